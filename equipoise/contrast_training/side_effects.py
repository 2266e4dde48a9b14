"""What training costs on held-out texts, and the limits to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from equipoise.records import JSON
from equipoise.stats.resample import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffect:
    """A quantity that training may harm, in words; the option that limits it is keep_<key>."""

    key: str
    name: str
    move: str  # the harmful direction: "fall" or "rise"
    moved: str
    unit: str


#: Points of held-out LMS, in [0, 100]; see `evaluation`.
LMS = SideEffect(key="lms", name="held-out LMS", move="fall", moved="fallen", unit=" points")
#: Percent of the perplexity per token of held-out plain texts.
PERPLEXITY = SideEffect(
    key="perplexity",
    name="perplexity of held-out plain texts",
    move="rise",
    moved="risen",
    unit=" %",
)

#: The largest acceptable change of each limited side effect.
SideEffectLimits: TypeAlias = Mapping[SideEffect, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffectChange:
    """How far a side effect has moved since before training; above 0: for the worse."""

    effect: SideEffect
    change: Interval  # 95 %; 0: as before training
    now: float

    def over(self, limit: float) -> bool:
        """Whether the change is above the limit; so is a value that is not a number."""
        return not self.change.value <= limit

    def shown_over(self, limit: float) -> bool:
        """Whether the change is above the limit and significantly above 0."""
        return self.change.value > limit and self.change.low > 0

    def describe(self) -> str:
        """For people, with the interval."""
        change = self.change
        return (
            f"{self.effect.name} had {self.effect.moved} by {change.value:.2f}{self.effect.unit} "
            f"[{change.low:.2f}, {change.high:.2f}]"
        )

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; a value that is not finite is None."""
        return {
            self.effect.key: finite_or_none(self.now),
            self.effect.move: finite_or_none(self.change.value),
            "low": finite_or_none(self.change.low),
            "high": finite_or_none(self.change.high),
            "n": self.change.n,
        }


def finite_or_none(value: float) -> float | None:
    """The value as JSON can hold it."""
    return value if math.isfinite(value) else None
