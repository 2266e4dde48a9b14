"""Processes of this machine: the same bytes, also when one is killed; none outlives the command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored_results import stored

from equipoise.executors.choose import open_executor
from equipoise.executors.local import LocalExecutor
from equipoise.study.plan import Plan
from equipoise.study.runner import run
from equipoise.study.step_runner import StepOutcome
from equipoise.study.store import Store

from .killing import worker_in


def _is_alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.thorough
def test_a_killed_worker_loses_nothing(
    small_plan: Plan, store: Store, serial: dict[str, bytes]
) -> None:
    """Its step is done by another process, and the bytes are those of one process alone."""
    lines: list[str] = []
    workers: list[int] = []

    def say(line: str) -> None:
        lines.append(line)
        worker = worker_in(line)
        if worker is not None:
            if not workers:
                os.kill(worker, signal.SIGKILL)
            workers.append(worker)

    summary = run(small_plan, store, say=say, executor=open_executor("local:2", small_plan, store))
    assert (summary.done, summary.skipped, summary.failed) == (5, 0, ())
    assert len(lines) == 5  # a step is announced once, whoever ends it
    assert stored(store.folder) == serial
    logs = [store.log_of(step.key).read_text() for step in small_plan.steps]
    assert sum(log.count(", begun on ") for log in logs) in (5, 6)  # or it was killed at its end
    assert not any(_is_alive(worker) for worker in workers)


@pytest.mark.thorough
def test_a_process_that_always_ends_fails_the_step_alone(
    small_plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise.executors.local._serve", _end_at_once)
    lines: list[str] = []
    executor = open_executor("local:1", small_plan, store)
    summary = run(small_plan, store, say=lines.append, executor=executor)
    assert (summary.done, len(summary.failed)) == (0, 5)
    failure = store.failure(small_plan.steps[0].key)
    assert failure is not None
    assert "3 times its process ended without an answer, the last time by exit status 3" in (
        failure.why
    )


def _end_at_once(*_: object) -> None:
    os._exit(3)


@pytest.mark.slow
def test_killed_with_the_command(recipe_file: Path, tmp_path: Path) -> None:
    """No worker goes on by itself when the command was killed."""
    command = [sys.executable, "-m", "tests.executors.killing", str(recipe_file)]
    done = subprocess.run(
        [*command, str(tmp_path / "run"), "local:2", "driver"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    workers = [worker for line in done.stdout.splitlines() if (worker := worker_in(line))]
    assert workers
    end = time.monotonic() + 10
    while any(map(_is_alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(_is_alive, workers))


def test_closed_before_it_has_begun(
    small_plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = open_executor("local:2", small_plan, store)
    assert isinstance(executor, LocalExecutor)
    assert executor.slots == 2
    executor.close()
    executor.close()
    # a worker whose process has ended at that moment starts none in its place
    (worker, _) = executor._workers
    monkeypatch.setattr(worker._context, "Process", pytest.fail)
    worker.end(for_good=False)
    with pytest.raises(EOFError):
        worker.run()


def test_outcomes_are_plain_values() -> None:
    assert StepOutcome(state="refused", why="w") == StepOutcome(**{"state": "refused", "why": "w"})
