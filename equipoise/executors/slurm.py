"""Steps as jobs of Slurm, through submitit: arrays of jobs, which it queues anew when preempted.

submitit keeps a job's function and its answer as pickles in a folder of the study, as it does for
any function; they are of the user's own processes, and results never pass through them.
"""

import queue
import shutil
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeAlias

from equipoise.errors import PackageError, RecipeError
from equipoise.executors.needs import Needs
from equipoise.executors.worker import do_step
from equipoise.study.plan import Step
from equipoise.study.step_runner import StepOutcome

try:
    import submitit
    from submitit.helpers import DelayedSubmission
except ModuleNotFoundError as error:
    raise PackageError(
        f"--on slurm needs submitit, got no module '{error.name}'; "
        "run pip install 'equipoise[cluster]'"
    ) from None

#: A step that waits to be submitted: what it needs, what `do_step` takes, and its answer.
_Waiting: TypeAlias = tuple[Needs, tuple[Any, ...], "Future[StepOutcome]"]
_POLL: Final = 1.0  # seconds between two looks at the jobs
_HOURS: Final = 4.0  # of a job whose recipe says nothing; then it is queued anew and goes on
_REQUEUED: Final = 20  # times at most that a job may run out of time; submitit's own are 3


class ResumedStep:
    """A step that is submitted again when Slurm ends its job: the store has what it had done."""

    def __call__(self, *arguments: Any) -> dict[str, Any]:
        """As `do_step`."""
        return do_step(*arguments)

    def checkpoint(self, *arguments: Any) -> "DelayedSubmission":
        """What submitit puts in the place of a job that is preempted or out of time."""
        return DelayedSubmission(self, *arguments)


class SlurmExecutor:
    """Steps that are ready at the same time, and need the same, are an array of jobs."""

    slots = 1_000_000

    def __init__(self, job: Path, needs: Mapping[str, Needs], *, cluster: str) -> None:
        """`cluster`: "slurm", or "local" for processes that submitit starts here.

        Raises `RecipeError` where Slurm is not.
        """
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise RecipeError(
                "--on slurm must be run where jobs are submitted, got no sbatch on "
                f"{socket.gethostname()}; run it on a login node, or use --on local:2"
            )
        self._job, self._needs = job, needs
        self._folder = job.parent / "submitit"
        self._cluster = cluster
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._jobs: list[tuple[submitit.Job[Any], Future[StepOutcome]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        """Have a step done by a job; it is submitted with others that are ready now."""
        needs, outcome = self._needs[step.key], Future[StepOutcome]()
        arguments = (str(self._job), step.key, [*lost], needs.cpus)
        self._waiting.put((needs, arguments, outcome))
        return outcome

    def close(self) -> None:
        """Cancel the jobs that have not ended."""
        self._over.set()
        self._thread.join()
        for job, _ in self._jobs:
            job.cancel()

    def _serve(self) -> None:
        """Submit what waits and pass on what has ended, until the end."""
        while not self._over.wait(_POLL):
            waiting = [self._waiting.get() for _ in range(self._waiting.qsize())]
            for _, alike in groupby(sorted(waiting, key=_needed), key=_needed):
                self._submit([*alike])
            for job, outcome in [*self._jobs]:
                if _has_ended(job, outcome):
                    self._jobs.remove((job, outcome))

    def _submit(self, waiting: Sequence[_Waiting]) -> None:
        """Submit steps that need the same as an array."""
        needs = waiting[0][0]
        asked: dict[str, Any] = {
            "name": "equipoise",
            "timeout_min": max(1, round(60 * (needs.hours or _HOURS))),
            "cpus_per_task": needs.cpus,
            "gpus_per_node": needs.gpus,
        }
        if needs.memory is not None:
            asked["mem_gb"] = needs.memory / 1e9
        if self._cluster == "slurm" and needs.slurm:
            asked["slurm_additional_parameters"] = dict(needs.slurm)
        try:
            executor = submitit.AutoExecutor(
                folder=self._folder, cluster=self._cluster, slurm_max_num_timeout=_REQUEUED
            )
            executor.update_parameters(**asked)
            with executor.batch():
                jobs = [executor.submit(ResumedStep(), *arguments) for _, arguments, _ in waiting]
        except Exception as error:  # submitit's own kinds, and whatever sbatch answers
            for _, _, outcome in waiting:
                outcome.set_exception(RecipeError(_refused(needs, error)))
        else:
            outcomes = [outcome for _, _, outcome in waiting]
            self._jobs += zip(jobs, outcomes, strict=True)


def _has_ended(job: "submitit.Job[Any]", outcome: "Future[StepOutcome]") -> bool:
    """Whether a job has ended, whose answer is then passed on."""
    try:
        if not job.done():
            return False
        outcome.set_result(StepOutcome(**job.result()))
    except Exception as error:  # of submitit, or of the step's process
        outcome.set_exception(ChildProcessError(f"job {job.job_id}: {error}"))
    return True


def _refused(needs: Needs, error: Exception) -> str:
    why = " ".join(str(error).split())
    return f"Slurm must take jobs of {needs.sizes}, got: {why}; change the recipe's resources"


def _needed(waiting: _Waiting) -> str:
    return repr(waiting[0])
