"""Run a program that a model wrote, with limits, and say how it ended.

The program has a process group of its own, which is killed; limits of processor time, memory and
the size of files; an empty temporary folder as its own; no environment; no network where Linux lets
a user leave it, and else by Python's audit hooks, which also refuse other processes and writing
elsewhere. That keeps careless programs from harm. It is no jail: who expects malice runs all of it
in a container or a virtual machine.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from equipoise.errors import ModelError

Kind: TypeAlias = Literal["passed", "syntax", "assertion", "error", "timeout", "memory", "crash"]
#: How a program can fail: it is no Python, a test does not hold, another exception, too long, too
#: large, or it ended without a word.
FAILURES: Final[tuple[str, ...]] = get_args(Kind)[1:]

_CHILD: Final = Path(__file__).with_name("child.py")
_MOST_REPORTED: Final = 4096  # bytes
_PATIENCE: Final = (
    4  # times the processor time that is waited by the clock: other programs run, too
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a program ended."""

    kind: Kind
    message: str  # of its exception, up to 200 characters; "" without one


def run_program(source: str, *, seconds: int, megabytes: int) -> Ending:
    """Run Python source to its end or to a limit.

    `seconds` of processor time (four times as many by the clock), `megabytes` of address space,
    Python's own among them. It has passed when its last line was reached. Raises `ModelError` on a
    system without such limits.
    """
    if os.name != "posix":
        raise ModelError(
            "programs that a model wrote run only where the system limits them, got "
            f"'{sys.platform}'; run on Linux or macOS"
        )
    patience = seconds * _PATIENCE
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as report:
        inside = Path(folder, "inside")
        inside.mkdir()
        file = Path(folder, "program.py")
        file.write_bytes(source.encode("utf-8", "surrogatepass"))
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-B", "-X", "utf8", _CHILD, file),
                *map(str, (seconds, megabytes, patience)),
            ],
            cwd=inside,
            env={"HOME": str(inside), "TMPDIR": str(inside), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=report,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            return Ending(kind="timeout", message="")
        finally:
            # the whole group, also where the program itself has ended
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        report.seek(0)
        return _read_ending(report.read(_MOST_REPORTED), status)


def _read_ending(report: bytes, status: int) -> Ending:
    """The program's report; without one the signal that ended it says what happened."""
    with suppress(ValueError):
        kind, message = json.loads(report)
        if kind in get_args(Kind):
            return Ending(kind=kind, message=str(message))
    # what the limits of processor time and of the clock send
    if -status in (signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM):
        return Ending(kind="timeout", message="")
    return Ending(kind="crash", message=f"exit status {status}")
