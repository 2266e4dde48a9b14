"""What a recipe asks of the machines that run its steps. No result and no key depends on it."""

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from equipoise.records import JSON

_BYTES: Final = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE: Final = re.compile(r"(0*[1-9]\d*(?:\.\d+)?|0?\.\d*[1-9]\d*) ?(MB|GB|TB)")


def _check_memory(value: str) -> str:
    if _SIZE.fullmatch(value) is None:
        raise ValueError(f"memory must be a size such as '24 GB' (or MB, TB), not '{value}'")
    return value


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False),
)
class ResourceSpec:
    """What a step is given; None: what is estimated from the model and the kind of step."""

    cpus: Annotated[int, Field(ge=1)] | None = None  # and as many threads
    gpus: Annotated[int, Field(ge=0)] | None = None
    memory: Annotated[str, AfterValidator(_check_memory)] | None = None  # such as "24 GB"
    hours: Annotated[float, Field(gt=0)] | None = (
        None  # until Slurm ends the job and queues it anew
    )
    #: More of Slurm's options, by their long names with underscores: partition, account, qos, ...
    slurm: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of `memory`."""
        size = _SIZE.fullmatch(self.memory or "")
        return None if size is None else int(float(size[1]) * _BYTES[size[2]])

    def over(self, other: "ResourceSpec") -> "ResourceSpec":
        """These, and those of another where these say nothing."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        stated = {name: value for name, value in named.items() if value is not None}
        return replace(other, **stated | {"slurm": {**other.slurm, **self.slurm}})
