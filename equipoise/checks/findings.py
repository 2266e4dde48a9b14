"""Turn a check's faults into findings: a finding per fault, or a single "ok"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.conclusions import Finding
from equipoise.records import Measurement

Level: TypeAlias = Literal["warning", "error"]

MOST = 5  # findings of a check in a place; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
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
        shown.append(Fault(text=f"… and {len(rest)} more", level=level))
    return [
        Finding(check=check, level=fault.level, where=where, text=fault.text) for fault in shown
    ]


def describe_place(measurement: Measurement) -> str:
    """Benchmark, split and model."""
    return f"{measurement.benchmark} ({measurement.split}), {measurement.model}"


def row_of(metric: str, group: Mapping[str, str]) -> str:
    """A row in words: the metric, and its group where it is not overall."""
    if not group:
        return metric
    return f"{metric} ({', '.join(f'{key}={name}' for key, name in sorted(group.items()))})"


def count(number: int, what: str) -> str:
    """A number of things in words: "1 value", "12 values"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
