"""What the processes of `test_killed` do."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from equipoise import cli
from equipoise.commands import run as _run  # noqa: F401  (imported before a process is made)
from equipoise.models import kernels
from equipoise.study import execution, load_study, plan, runner  # noqa: F401


def run_to_the_end(recipe: str, out: str) -> None:
    """`equipoise run`, whose exit status is the process's.

    With torch's own float32 products: which library is faster is measured by each process, and
    the last digits of two studies may differ by it.
    """
    _quietly()
    # a shell that starts pytest in the background has SIGINT ignored in all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
    sys.exit(cli.run(["run", recipe, "--out", out]))


def run_and_die(recipe: str, out: str, moment: int) -> None:
    """The same, but killed at the `moment`-th write to the disk."""
    writes = 0

    def counted(method: Any) -> Any:
        def write(*arguments: Any, **named: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)

        return write

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.write_text = counted(Path.write_text)  # type: ignore[method-assign]
    Path.write_bytes = counted(Path.write_bytes)  # type: ignore[method-assign]
    os.fsync = counted(os.fsync)
    run_to_the_end(recipe, out)


def _quietly() -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
