"""What a step needs of a machine: from the recipe, else from the model's size and the kind of step.

Memory is a guess on the high side: weights and a half for activations where a model is read; four
times the weights where it is trained (weights, gradients, Adam's two moments), though an adapter
needs less; and what Python and torch take by themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from equipoise.errors import RecipeError
from equipoise.inference.decision_server import is_server
from equipoise.records import JSON
from equipoise.remote.options import is_remote
from equipoise.study.plan import Plan, Step
from equipoise.study.recipe import MitigationSpec, ModelSpec
from equipoise.study.resource_spec import ResourceSpec
from equipoise.study.time_guess import count_parameters

#: Devices that are no certain one: each process of `local:N` sees its share of the GPUs alone.
NO_CERTAIN: Final = ("auto", "cuda", "split")
_PROCESS: Final = 1.5e9  # bytes of Python, torch and results
#: Bytes over those of the weights, by kind of step; other kinds open no model.
_WEIGHTS: Final[Mapping[str, float]] = {
    "measure": 1.5, "locate": 1.5, "attribute": 4.0, "fit": 4.0, "lds": 4.0, "removal": 4.0,
}  # fmt: skip
#: Bytes of a parameter by `quantize`, else by `dtype`; "auto" may be as much as float32.
_BYTES_OF: Final[Mapping[str, float]] = {
    "nf4": 0.5, "int8": 1, "bfloat16": 2, "float16": 2, "float32": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a step is given, and why."""

    cpus: int
    gpus: int
    memory: int | None  # bytes; None: not known
    threads: int | None = None  # of torch, if the recipe says so
    hours: float | None = None
    slurm: Mapping[str, JSON] = field(default_factory=dict)
    why: str

    @property
    def sizes(self) -> str:
        """Such as "1 CPU, 2 GPUs, 24 GB"."""
        parts = [_count(self.cpus, "CPU")]
        parts += [_count(self.gpus, "GPU")] if self.gpus else []
        parts += [] if self.memory is None else [f"{self.memory / 1e9:.3g} GB"]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine has to give."""

    name: str
    cpus: float
    gpus: float
    memory: float  # bytes

    def fits(self, needs: Needs) -> bool:
        """Whether a step that needs this could ever run on it."""
        memory = needs.memory or 0
        return needs.cpus <= self.cpus and needs.gpus <= self.gpus and memory <= self.memory


def needs_of(plan: Plan, step: Step, *, device: str) -> Needs:
    """What a step needs. `device`: as `--device` has it; of "cuda" and "split" it takes a GPU."""
    asked = plan.recipe.resources
    if step.kind not in _WEIGHTS or step.model is None or _is_served(step.model.name):
        # an account of Slurm is wanted of every job
        return Needs(
            cpus=1, gpus=0, memory=None, hours=asked.hours, slurm=asked.slurm, why="opens no model"
        )
    if step.kind == "fit" and isinstance(step.mitigation, MitigationSpec):
        asked = step.mitigation.resources.over(asked)
    memory, why = _estimate_memory(step.model, step.kind)
    stated = [name for name in ("cpus", "gpus", "memory", "hours") if _states(asked, name)]
    if stated:
        why = f"the recipe's {', '.join(stated)}" + ("" if asked.memory else f"; {why}")
    return Needs(
        cpus=asked.cpus or 1,
        threads=asked.cpus,
        gpus=int(device.startswith(("cuda", "split"))) if asked.gpus is None else asked.gpus,
        memory=asked.memory_bytes or memory,
        hours=asked.hours,
        slurm=asked.slurm,
        why=why,
    )


def refuse_impossible(
    wanted: Iterable[tuple[Step, Needs]], machines: Sequence[Machine], *, remedy: str
) -> None:
    """Raise `RecipeError` for a step that fits on no machine."""
    for step, needs in wanted:
        if not any(machine.fits(needs) for machine in machines):
            capacities = "; ".join(
                f"{machine.name}: {machine.cpus:g} CPUs, {machine.gpus:g} GPUs, "
                f"{machine.memory / 1e9:.3g} GB"
                for machine in machines
            )
            raise RecipeError(
                f"a step must fit on a machine, '{step.title}' needs {needs.sizes} ({needs.why}), "
                f"there is {capacities or 'none'}; {remedy}"
            )


def _is_served(name: str) -> bool:
    return is_remote(name) or is_server(name)


def _states(asked: ResourceSpec, name: str) -> bool:
    return getattr(asked, name) is not None


def _estimate_memory(model: ModelSpec, kind: str) -> tuple[int | None, str]:
    parameters = _count_parameters(model.base or model.name)
    if parameters is None:
        return None, "the size of its model is not known before it is opened"
    width = _BYTES_OF.get(model.quantize, _BYTES_OF.get(model.dtype, 4))
    times = _WEIGHTS[kind]
    why = f"{parameters / 1e6:.3g} M parameters of {width:g} bytes, times {times:g}, and 1.5 GB"
    return int(_PROCESS + times * width * parameters), why


@lru_cache(maxsize=64)
def _count_parameters(name: str) -> int | None:
    return count_parameters(name)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")
