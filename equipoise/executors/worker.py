"""What a worker does: check that it may take part in a study, then do the steps it is given.

What needs torch is imported once the variables of the study are set, which libraries read when
they are imported.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from equipoise.executors.study_job import StudyJob
    from equipoise.study.plan import Plan, Step
    from equipoise.study.store import Store

#: Imported by every worker; a server that makes workers imports it once for all.
MODULES: Final = ("equipoise.study.runner", "equipoise.executors.study_job")


def do_step(job: str, key: str, lost: Sequence[str], threads: int) -> dict[str, Any]:
    """Do a step of the study of a job file; gives the values of a `StepOutcome`.

    `lost`: keys of its needs that failed. `threads`: of torch.
    Nothing is raised that a user can fix: it comes back as a state and a reason.
    """
    return copy_context().run(_do_step, job, key, lost, threads)


def check_worker(job: str, lock: str = "") -> str:
    """Why this process may not take part in a study; empty: it may. Reads the whole recipe.

    `lock`: of the store, held by the command, which must not be had here, too.
    """
    try:
        data = _read_job(job)["data"]
    except OSError as error:
        return f"{_here()} must see the study's folder, got: {error}; name one on a shared disk"
    except ValueError as error:
        return f"{_here()} must be able to read {job}, got: {error}; run the same command again"
    if data is not None:
        from equipoise.data.sources import name_folder

        name_folder(Path(data))  # until the end of this context
    if lock:
        with _store_of(job).lock(lock) as mine:
            if mine:
                return (
                    f"{_here()} must respect locks on {Path(job).parents[1]}, it got one that the "
                    "command holds; put the study on another disk with --out"
                )
    return _refusal(job)


def _do_step(job: str, key: str, lost: Sequence[str], threads: int) -> dict[str, Any]:
    if why := check_worker(job):
        return {"state": "refused", "why": why}
    import torch

    from equipoise.errors import PlaceError
    from equipoise.models.kernels import settled_matmul
    from equipoise.progress.messages import report_to
    from equipoise.study.execution import StepExecutor
    from equipoise.study.plan import without_failed
    from equipoise.study.step_runner import StepRunner

    torch.set_num_threads(threads)
    read, plan, store = _read_job(job), _plan(job), _store_of(job)
    step = next(step for step in plan.steps if step.key == key)
    possible = without_failed(plan.recipe, step, lost) or step
    device, batch_tokens = read["device"], read["batch_tokens"]
    executor = StepExecutor(
        recipe=plan.recipe, store=store, models=_open_models(device, batch_tokens)
    )
    runner = StepRunner(store=store, executor=executor, begin=_say_begun)
    report_to(quiet=False, log=None)
    with plan.recipe.in_folder(), settled_matmul(read["float32_matmul"]):
        try:
            with _written_to(store.log_of(possible.key)):
                outcome = asdict(runner.run(possible))
                print(*(str(value) for value in outcome.values() if value), file=sys.stderr)
        except PlaceError as error:
            return {"state": "no_place", "why": str(error)}
    return outcome


@lru_cache(maxsize=1)
def _read_job(job: str) -> "StudyJob":
    """Raises `OSError` and `ValueError`."""
    read: Mapping[str, Any] = json.loads(Path(job).read_text(encoding="utf-8"))
    os.environ.update(read["variables"])
    return read


@lru_cache(maxsize=1)
def _refusal(job: str) -> str:
    from equipoise.errors import EquipoiseError
    from equipoise.executors.study_job import describe_package, find_difference

    read = _read_job(job)
    mine, expected = describe_package(), read["package"]
    if mine != expected:
        return (
            f"{_here()} must have the same equipoise as the command, it has {_name(mine)} in place "
            f"of {_name(expected)}; install the same there"
        )
    try:
        plan = _plan(job)
    except EquipoiseError as error:
        return f"{_here()} must be able to read the recipe, got: {error}"
    keys = {step.key for step in plan.steps}
    lacking = [key for key in read["contents"] if key not in keys]
    if not lacking:
        return ""
    title, content = read["contents"][lacking[0]]
    same = [dict(step.content) for step in plan.steps if step.title == title]
    difference = find_difference(content, same[0]) if same else f"'{title}' is no step there"
    return (
        f"{_here()} must have the same data and models as the command, of '{title}' {difference}; "
        "put the same files there"
    )


@lru_cache(maxsize=1)
def _plan(job: str) -> "Plan":
    from equipoise.executors.study_job import read_recipe
    from equipoise.study.plan import plan

    return plan(read_recipe(_read_job(job)))


@lru_cache(maxsize=1)
def _open_models(device: str, batch_tokens: int | None) -> Any:
    """The model that this process has open, from step to step."""
    from equipoise.study.execution import OpenModel

    return OpenModel(device=device, batch_tokens=batch_tokens)


def _store_of(job: str) -> "Store":
    from equipoise.study.store import Store

    return Store(folder=Path(job).parents[1])


def _say_begun(step: "Step") -> None:
    from equipoise.study.store import BEGUN

    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{now} {step.title}{BEGUN}{_here()}", file=sys.stderr, flush=True)


@contextmanager
def _written_to(log: Path) -> Iterator[None]:
    """All that this process prints goes to a log, also what is no Python."""
    before = [os.dup(1), os.dup(2)]
    with (
        log.open("a", encoding="utf-8", buffering=1) as stream,
        redirect_stdout(stream),
        redirect_stderr(stream),
    ):
        try:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            yield
        finally:
            for number, place in zip((1, 2), before, strict=True):
                os.dup2(place, number)
                os.close(place)


def _here() -> str:
    return f"on {socket.gethostname()} (process {os.getpid()})"


def _name(package: Mapping[str, str]) -> str:
    return f"{package['version']} (code {package['code']})"
