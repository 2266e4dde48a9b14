"""What a check holds against a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["warning", "error"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a place."""

    text: str  # a sentence, with the values
    level: Level = "error"


def row_of(metric: str, group: Mapping[str, str]) -> str:
    """A row in words: the metric, and its group where it is not overall."""
    if not group:
        return metric
    return f"{metric} ({', '.join(f'{key}={name}' for key, name in sorted(group.items()))})"
