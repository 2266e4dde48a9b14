"""What runs the steps of a study: made for its plan, once all can be run."""

from typing import Final

from equipoise.errors import RecipeError
from equipoise.executors.lock_probe import check_locks
from equipoise.executors.needs import NO_CERTAIN, Machine, Needs, needs_of, refuse_impossible
from equipoise.executors.place import Place, parse_place
from equipoise.executors.study_job import write_job
from equipoise.study.plan import Plan
from equipoise.study.runner import Executor
from equipoise.study.store import Store

_ASK_LESS: Final = "ask for less under resources in the recipe, or take a smaller model"


def needs_by_key(plan: Plan, *, device: str) -> dict[str, Needs]:
    """What each step of a plan needs."""
    with plan.recipe.in_folder():
        return {step.key: needs_of(plan, step, device=device) for step in plan.steps}


def describe_places(on: str | None, plan: Plan, *, device: str) -> tuple[str, dict[str, str]]:
    """Where the steps of a plan would run, and for each, by its key, what it is given and why.

    Nothing is started, and no cluster asked. Raises `RecipeError` for a place that is none, and
    for a device that it cannot give.
    """
    if on is None:
        return "this process, one after the other", {}
    place, needs = parse_place(on), needs_by_key(plan, device=device)
    _refuse_certain_gpu(place, device)
    return place.text, {key: f"{need.sizes}: {need.why}" for key, need in needs.items()}


def open_executor(
    on: str, plan: Plan, store: Store, *, device: str = "auto", batch_tokens: int | None = None
) -> Executor:
    """What runs the steps of a plan at a place, `runner.run`'s `executor`.

    Raises `RecipeError` for a place that is not there or cannot give that device, for a step that
    fits on none of its machines, and for a machine that has other code or data; `PackageError`
    where its package is not installed; `PlaceError` for a store on a disk whose locks do not hold.
    """
    place, needs = parse_place(on), needs_by_key(plan, device=device)
    _refuse_certain_gpu(place, device)
    check_locks(store)
    wanted = [(step, needs[step.key]) for step in plan.steps]
    if place.engine == "local":
        from equipoise.executors.local import LocalExecutor, this_machine

        here = this_machine()
        _check_shares(place, here, device)
        share = here.gpus // place.processes
        machine = Machine(name=here.name, cpus=here.cpus, gpus=share, memory=here.memory)
        refuse_impossible(wanted, [machine], remedy=_ASK_LESS)
        job = write_job(plan, store, device=device, batch_tokens=batch_tokens)
        return LocalExecutor(job, needs, processes=place.processes, device=device)
    job = write_job(plan, store, device=device, batch_tokens=batch_tokens)
    if place.engine == "ray":
        from equipoise.executors.ray_cluster import RayExecutor

        executor = RayExecutor(job, needs, address=place.address)
        try:
            refuse_impossible(wanted, executor.machines, remedy=_ASK_LESS)
        except RecipeError:
            executor.close()
            raise
        return executor
    from equipoise.executors.slurm import SlurmExecutor

    cluster = "slurm" if place.engine == "slurm" else "local"
    return SlurmExecutor(job, needs, cluster=cluster)


def _refuse_certain_gpu(place: Place, device: str) -> None:
    """Ray and Slurm choose the GPUs of a step, which sees no others and counts them from 0."""
    if place.engine != "local" and device.startswith("cuda:"):
        raise RecipeError(
            f"--device must leave the choice of GPUs to {place.engine}, got '{device}'; use "
            "--device cuda"
        )


def _check_shares(place: Place, here: Machine, device: str) -> None:
    """Every process needs a GPU of its own, or none has any."""
    if device in NO_CERTAIN and 0 < here.gpus < place.processes:
        raise RecipeError(
            f"--on local:N must have at most as many processes as there are GPUs, got "
            f"{place.processes} for {here.gpus:g}; use --on local:{here.gpus:g} or --device cpu"
        )
