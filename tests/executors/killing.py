"""What the processes of `test_killed` do: run a study, and kill something of it."""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from equipoise.executors.choose import open_executor
from equipoise.models import kernels
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

#: The engine that goes on with what another one began.
RESUMED_BY = {"local:2": "submitit-local", "ray": "local:2", "submitit-local": "local:2"}


def worker_in(line: str) -> int | None:
    """The process that a line of a run names."""
    _, mark, rest = line.partition("(process ")
    return int(rest.partition(")")[0]) if mark else None


def run_and_kill(recipe: str, folder: str, on: str, victim: str) -> None:
    """Run a study, and kill something of it when its first step has begun."""
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
    planned, store = plan(Recipe.from_yaml(recipe)), Store.open(Path(folder))
    killed: list[Any] = []

    def say(line: str) -> None:
        print(line, flush=True)
        worker = worker_in(line)
        # what is preempted must take a while, as a training does
        if worker is not None and not killed and (victim != "preempted" or " fit " in line):
            killed.append(victim)
            kill(victim, worker)

    executor = open_executor(on, planned, store)
    if victim == "disk":  # no file of a result finds room, in any process that begins now
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
    summary = run(planned, store, say=say, executor=executor)
    print(f"done: {summary.done}, failed: {len(summary.failed)}", flush=True)


def kill(victim: str, worker: int) -> None:
    if victim == "driver":
        os.kill(os.getpid(), signal.SIGKILL)
    elif victim == "worker":
        os.kill(worker, signal.SIGKILL)
    elif victim == "preempted":
        os.kill(worker, signal.SIGUSR2)  # as Slurm does before it ends a job
    elif victim in ("raylet", "gcs_server"):  # of Ray's head node
        import ray

        node = ray._private.worker._global_node
        node.kill_raylet() if victim == "raylet" else node.kill_gcs_server()


if __name__ == "__main__":
    run_and_kill(*sys.argv[1:])
