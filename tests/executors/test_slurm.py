"""What comes of steps that cannot be submitted, or asked about: an answer, and no endless wait."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import RecipeError
from equipoise.executors.needs import Needs
from equipoise.study.plan import Plan
from equipoise.study.step_runner import StepOutcome

pytest.importorskip("submitit")

from equipoise.executors import slurm


def test_a_folder_that_cannot_be_made(
    small_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_POLL", 0.01)
    (tmp_path / "submitit").write_text("a file in its place")
    step = small_plan.steps[0]
    needs = {step.key: Needs(cpus=1, gpus=0, memory=None, why="a test")}
    executor = slurm.SlurmExecutor(tmp_path / "study.json", needs, cluster="local")
    try:
        with pytest.raises(RecipeError, match=r"Slurm must take jobs of 1 CPU, got: .*File exists"):
            executor.run(step, frozenset()).result(timeout=5)
    finally:
        executor.close()


def test_a_job_that_cannot_be_asked_about() -> None:
    class Lost:
        job_id = "7"

        def done(self) -> bool:
            raise OSError("stale file handle")

    lost: Any = Lost()
    outcome: Future[StepOutcome] = Future()
    assert slurm._has_ended(lost, outcome)
    with pytest.raises(ChildProcessError, match="job 7: stale file handle"):
        outcome.result()
