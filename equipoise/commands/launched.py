"""A command that torchrun or `accelerate launch` started several times: joined, and heard once."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Final

from equipoise.errors import RecipeError
from equipoise.installed import environment
from equipoise.processes.launch import is_main_process, process_count, process_index
from equipoise.progress.messages import warn

#: What several processes do together; other verbs are quick, or no work that can be shared.
_VERBS: Final = ("measure", "locate", "attribute", "mitigate", "inject", "run", "demo")


@contextmanager
def launched() -> Iterator[None]:
    """A `with` block around a command, in which the main process alone prints."""
    if process_count() == 1:
        yield
        return
    from equipoise.processes.torch_group import leave

    try:
        if is_main_process():
            yield
            return
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        leave()


def join_processes(arguments: Sequence[str]) -> None:
    """Connect the processes of a command, where a launcher started several.

    Raises `RecipeError` for a verb that a single process does, `ProcessError` when processes were
    not started alike.
    """
    if process_count() == 1:
        if {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= os.environ.keys():
            warn(
                "warning: accelerate launch starts a single process on processors, whatever "
                "--num_processes says; torchrun --nproc-per-node starts several"
            )
        return
    if not arguments or {"--help", "-h", "--version"} & {*arguments}:
        return
    if arguments[0] not in _VERBS:
        raise RecipeError(
            f"several processes can do {', '.join(_VERBS)}, got {arguments[0]} in "
            f"{process_count()}; start it without a launcher"
        )
    from equipoise.models.kernels import float32_matmul
    from equipoise.processes.together import check_alike
    from equipoise.processes.torch_group import join

    join()
    alike = environment() | {"command": " ".join(arguments)}
    check_alike(alike, remedy="start all with the same packages and arguments")
    float32_matmul()  # measured by the main process for all, before any does something alone


def warn_once(text: str) -> None:
    """Print an error: of several processes the first that fails says why, with its number."""
    if process_count() == 1:
        warn(text)
        return
    from equipoise.processes.together import first_to_fail

    if not first_to_fail():
        return
    if is_main_process():
        warn(text)
        return
    with redirect_stderr(sys.__stderr__):
        warn(f"process {process_index()}: {text}")
