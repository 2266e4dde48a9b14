"""Steps as tasks of Ray, on this machine or on a cluster: its retries, its resources, its logs."""

import logging
import os
import socket
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from equipoise.errors import PackageError, RecipeError
from equipoise.executors.local import TRIES
from equipoise.executors.needs import Machine, Needs
from equipoise.executors.worker import check_worker, do_step
from equipoise.study.plan import Step
from equipoise.study.step_runner import StepOutcome
from equipoise.study.store import Store

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise PackageError(
        f"--on ray needs Ray, got no module '{error.name}'; run pip install 'equipoise[cluster]'"
    ) from None

#: What tasks answer when the cluster is gone, and not a worker of it.
_LOST: Final = (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError)
_ANSWERS: Final = 5.0  # seconds within which an address must answer
_CHECKED: Final = 600.0  # seconds within which a worker must have started and read the recipe


class RayExecutor:
    """Every step that is ready is a task; Ray waits until there is room for it."""

    slots = 1_000_000

    def __init__(self, job: Path, needs: Mapping[str, Needs], *, address: str) -> None:
        """`address`: of a cluster, as Ray names it; empty: one is started on this machine.

        Raises `RecipeError` where there is none, and for a machine of it that may not take part.
        """
        self._job, self._needs = job, needs
        _connect(address)
        try:
            if not address:
                # all its processes import what they need while the first one is asked
                for _ in range(int(ray.cluster_resources()["CPU"]) - 1):
                    ray.remote(check_worker).options(max_retries=0).remote(str(job))
            _check_machines(job)
        except BaseException:
            self.close()
            raise

    @property
    def machines(self) -> list[Machine]:
        """What each machine of the cluster has to give."""
        return [
            Machine(
                name=node["NodeManagerHostname"],
                cpus=node["Resources"].get("CPU", 0),
                gpus=node["Resources"].get("GPU", 0),
                memory=node["Resources"].get("memory", 0),
            )
            for node in _alive()
        ]

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        """Have a step done by a worker of the cluster."""
        needs = self._needs[step.key]
        task = ray.remote(do_step).options(
            name=step.title,
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory,
            max_retries=TRIES - 1,
        )
        answer = task.remote(str(self._job), step.key, [*lost], needs.cpus).future()
        outcome: Future[StepOutcome] = Future()
        answer.add_done_callback(lambda done: _pass_on(done, outcome))
        return outcome

    def close(self) -> None:
        """Leave the cluster, which ends what is under way for this study."""
        ray.shutdown()


def _connect(address: str) -> None:
    # reports of use leave no machine unless the user switched them on
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        # else its workers would wait for whatever else this machine does
        os.environ.setdefault("RAY_worker_niceness", "0")
    if address and address != "auto":
        _check_answers(address)
    new: dict[str, Any] = {} if address else {"include_dashboard": False}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **new
        )
    # Ray raises its own kinds, of the system, and of the caller for one mistake or another
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise RecipeError(
            f"--on ray must reach a cluster, got of {address or 'this machine'}: {why}; check with "
            "ray status, or leave the address out"
        ) from error


def _check_answers(address: str) -> None:
    """Raise `RecipeError` at once where Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWERS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise RecipeError(
            f"--on ray must name a cluster that answers as ray:HOST:PORT, got '{address}' "
            f"({error}); start one there with ray start --head, or leave the address out"
        ) from None


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _check_machines(job: Path) -> None:
    """Ask every machine whether it may take part, while a lock is held that it must not get."""
    store = Store(folder=job.parents[1])
    with store.waiting_lock("probe"):
        asked = [
            (
                node["NodeManagerHostname"],  # which several of a machine have in common
                ray.remote(check_worker)
                .options(
                    num_cpus=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                )
                .remote(str(job), "probe"),
            )
            for node in _alive()
        ]
        for name, answer in asked:
            try:
                why = ray.get(answer, timeout=_CHECKED)
            except ray.exceptions.GetTimeoutError:
                raise RecipeError(
                    f"every machine must answer within {_CHECKED:g} s that it can run equipoise, "
                    f"{name} has not; look at its load and at its /tmp/ray, or take it out"
                ) from None
            except ray.exceptions.RayError as error:
                last = str(error).strip().splitlines()[-1]
                raise RecipeError(
                    f"every machine must be able to run equipoise, {name} cannot: {last}; install "
                    "the same version there"
                ) from None
            if why:
                raise RecipeError(why)


def _pass_on(done: "Future[dict[str, Any]]", outcome: "Future[StepOutcome]") -> None:
    error = done.exception()
    if isinstance(error, _LOST):
        why = " ".join(str(error).split())
        outcome.set_exception(
            RecipeError(
                f"--on ray must keep its cluster, which ended while steps ran ({why}); what is "
                "finished is kept, run the same command again, or go on with --on local:2"
            )
        )
    elif error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(StepOutcome(**done.result()))
