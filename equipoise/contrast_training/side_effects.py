"""What training costs on held-out texts, and how much of it may be paid."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from equipoise.records import JSON
from equipoise.stats.resample import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is looked at, in words; the option that bounds it is keep_<key>."""

    key: str
    name: str
    move: str  # what is bad: "fall" or "rise"
    moved: str
    unit: str


#: Points of held-out LMS in [0, 100]: `held_out.HeldOut`.
LMS = Measure(key="lms", name="held-out LMS", move="fall", moved="fallen", unit=" points")
#: Percent of the perplexity a token of plain texts kept apart.
PERPLEXITY = Measure(
    key="perplexity",
    name="perplexity of held-out plain texts",
    move="rise",
    moved="risen",
    unit=" %",
)

#: The most that may be paid, by what is looked at; what is not in it may cost anything.
Bounds: TypeAlias = Mapping[Measure, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """How far one of them has moved since before training; below 0: for the better."""

    of: Measure
    by: Interval  # 95 %; 0: as before
    now: float

    def shown_over(self, most: float) -> bool:
        """Whether it is more than `most`, and more than chance on what was looked at."""
        return self.by.value > most and self.by.low > 0

    @property
    def said(self) -> str:
        """For people, with the interval."""
        one = self.by
        return (
            f"{self.of.name} had {self.of.moved} by {one.value:.2f}{self.of.unit} "
            f"[{one.low:.2f}, {one.high:.2f}]"
        )

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; what could not be had, or is infinite, is None."""
        return {
            self.of.key: finite_or_none(self.now),
            self.of.move: finite_or_none(self.by.value),
            "low": finite_or_none(self.by.low),
            "high": finite_or_none(self.by.high),
            "n": self.by.n,
        }


def finite_or_none(value: float) -> float | None:
    """As JSON can hold it."""
    return value if math.isfinite(value) else None
