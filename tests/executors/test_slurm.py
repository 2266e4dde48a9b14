"""What is submitted to Slurm; a step that cannot be, or asked about, has an answer all the same."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import RecipeError
from equipoise.executors.needs import Needs
from equipoise.study.plan import Plan
from equipoise.study.step_runner import StepOutcome

submitit = pytest.importorskip("submitit")

from equipoise.executors import slurm  # noqa: E402


def test_steps_that_need_the_same_are_an_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an sbatch that keeps what it is given, and takes it."""
    given = tmp_path / "given.sh"
    for name, does in {
        "sbatch": f"cp $1 {given}; echo Submitted batch job 12",
        "srun": "true", "sacct": "true", "scancel": "true",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    need = Needs(
        cpus=3, gpus=1, memory=24 * 10**9, hours=0.5, slurm={"account": "mine"}, why="a test"
    )
    executor = slurm.SlurmExecutor(tmp_path / "study.json", {}, cluster="slurm")
    executor._submit([(need, (key,), Future()) for key in ("a", "b")])
    assert len(executor._jobs) == 2
    pickles = sorted((tmp_path / "submitit").glob("*_submitted.pkl"))
    executor.close()
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in given.read_text().splitlines()
        if line.startswith("#SBATCH --")
    )
    assert options["array"].startswith("0-1")
    assert (options["time"], options["mem"], options["account"]) == ("30", "24GB", "mine")
    assert (options["cpus-per-task"], options["gpus-per-node"]) == ("3", "1")
    # a training of days outlives more than submitit's three ends of its time
    submitted = [submitit.core.utils.DelayedSubmission.load(file) for file in pickles]
    assert [each._timeout_countdown for each in submitted] == [20, 20]


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
