"""Turn a check's faults into findings: a finding per fault, or a single "ok"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.conclusions import Finding

Level: TypeAlias = Literal["warning", "error"]

MOST = 5  # findings of a check in a place; the rest is counted


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a place."""

    text: str  # a sentence, with the values
    level: Level = "error"


def conclude(
    check: str, where: str, faults: Sequence[Fault], *, sound: str | None
) -> list[Finding]:
    """The findings of a check in a place, at most `MOST` in full.

    `sound` says how much was looked at; None: nothing, and then no fault is no finding either.
    """
    if not faults:
        return [] if sound is None else [Finding(check=check, level="ok", where=where, text=sound)]
    rest = faults[MOST:]
    shown = list(faults[:MOST])
    if rest:
        level: Level = "error" if any(fault.level == "error" for fault in rest) else "warning"
        shown.append(Fault(f"… and {len(rest)} more", level))
    return [
        Finding(check=check, level=fault.level, where=where, text=fault.text) for fault in shown
    ]


def row_of(metric: str, group: Mapping[str, str]) -> str:
    """A row in words: the metric, and its group where it is not overall."""
    if not group:
        return metric
    return f"{metric} ({', '.join(f'{key}={name}' for key, name in sorted(group.items()))})"
