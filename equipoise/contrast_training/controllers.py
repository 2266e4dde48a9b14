"""Controllers: which bias types a step takes its contrasts from, in which direction, and when
training stops.

BiasUnlearn (Liu et al. 2025, section 3.3) swaps a type's texts when its score falls below 50 and
stops near 50; its released code differs from its text, so both are here, beside two that look at
intervals, since a score of 50 items has a standard error of 7 points.

Each controller is a choice of options: its `name`, and what makes sense with it alone.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as options

from equipoise.contrast_training.evaluation import TypeBias
from equipoise.records import OPTIONS

PARITY = 50.0
_FULL = 2.0  # half-bands from which on a proportional controller has its full strength
_LEAST = 1e-9  # nats; margins without spread have no band


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeMixture:
    """What the batches of the next steps are drawn from."""

    directions: Mapping[str, int]  # by type; 1: forget the stereotype, -1: the anti-stereotype
    weights: Mapping[str, float]  # by type, relative; 0: the type rests
    strength: float = 1.0  # of forgetting and retaining, in (0, 1]

    @property
    def active(self) -> tuple[str, ...]:
        """Types that take part, sorted."""
        return tuple(sorted(axis for axis, weight in self.weights.items() if weight > 0))


def away_from_preferred(biases: Mapping[str, TypeBias]) -> TypeMixture:
    """Every type at equal weight, each away from the text that the model prefers now.

    A type that prefers anti-stereotypes from the start is turned from the first step on.
    """
    return TypeMixture(
        directions={axis: _away(bias.margin.value) for axis, bias in biases.items()},
        weights=dict.fromkeys(biases, 1.0),
    )


def away_from_stereotypes(axes: Iterable[str]) -> TypeMixture:
    """Every type at equal weight, away from its stereotypes, whatever the model prefers."""
    names = sorted(axes)
    return TypeMixture(directions=dict.fromkeys(names, 1), weights=dict.fromkeys(names, 1.0))


class Controller(ABC):
    """Decides after an evaluation on held-out contrasts."""

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        """The mixture that training begins with, given the biases before it."""
        return away_from_stereotypes(biases)

    @abstractmethod
    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """The next mixture, or the reason to stop."""


@options(frozen=True, kw_only=True, config=OPTIONS)
class ReferenceSwapping(Controller):
    """The released code's rule: only the type farthest from its base, turned when below it.

    Stops when every type's SS is within `near` of its base. The released code has 49 for gender,
    profession and race, and 48 for religion.
    """

    name: Literal["reference"] = "reference"
    #: SS by type that is aimed at; 50 where not given.
    bases: dict[str, Annotated[float, Field(ge=0, le=100)]] = field(default_factory=dict)
    near: Annotated[float, Field(gt=0)] = 2.0  # points of SS

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """The farthest type alone."""
        gaps = {axis: bias.ss.value - self.bases.get(axis, PARITY) for axis, bias in biases.items()}
        if all(abs(gap) < self.near for gap in gaps.values()):
            return f"every SS is within {self.near:g} points of its base"
        farthest = max(sorted(gaps), key=lambda axis: abs(gaps[axis]))
        return TypeMixture(
            directions={**mixture.directions, farthest: -1 if gaps[farthest] < 0 else 1},
            weights={axis: float(axis == farthest) for axis in biases},
        )


@options(frozen=True, kw_only=True, config=OPTIONS)
class PaperSwapping(Controller):
    """The paper's rule: all types stay, a type is turned while its SS is below 50.

    Stops when every SS is within `near` points of 50.
    """

    name: Literal["paper"] = "paper"
    near: Annotated[float, Field(gt=0)] = 2.0  # points of SS

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """All types, each turned towards 50."""
        if all(abs(bias.ss.value - PARITY) < self.near for bias in biases.values()):
            return f"every SS is within {self.near:g} points of 50"
        return TypeMixture(
            directions={axis: -1 if bias.ss.value < PARITY else 1 for axis, bias in biases.items()},
            weights=mixture.weights,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far a type is from parity, in half-bands: 0 at parity, 1 at the band's edge."""

    value: float
    low: float  # 95 % interval
    high: float

    @property
    def inside(self) -> bool:
        """Whether the interval lies inside the band."""
        return self.low > -1 and self.high < 1

    @property
    def side(self) -> int:
        """1: the stereotype is preferred; -1: the other text; 0: neither is shown."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def rests(self) -> bool:
        """Whether there is nothing to correct: no side, and in the inner half of the band."""
        return self.side == 0 and abs(self.value) < 0.5


@options(frozen=True, kw_only=True, config=OPTIONS)
class _BandController(Controller):
    """A controller with a band around parity, in points of SS about 50.

    "margin" compares it with the mean margin (`TypeBias.half_band`), which needs fewer items than
    counting preferences does (about 1.6 times, were margins normal), and is at 0 where they are
    evenly spread; "ss" counts them.
    """

    band: Annotated[float, Field(gt=0, lt=50)] = 5.0  # points of SS about 50
    judge: Literal["margin", "ss"] = "margin"  # "ss" needs many held-out contrasts

    def distance(self, bias: TypeBias) -> Distance:
        """How far a type is from parity."""
        if self.judge == "ss":
            interval, center, half = bias.ss, PARITY, self.band
        else:
            interval, center, half = bias.margin, 0.0, max(bias.half_band(self.band), _LEAST)
        value, low, high = (
            (edge - center) / half for edge in (interval.value, interval.low, interval.high)
        )
        return Distance(value=value, low=low, high=high)

    def _distances(self, biases: Mapping[str, TypeBias]) -> dict[str, Distance]:
        return {axis: self.distance(bias) for axis, bias in biases.items()}

    def _reached(self) -> str:
        return f"every interval of {self.judge} is within {self.band:g} points of SS of parity"


@options(frozen=True, kw_only=True, config=OPTIONS)
class EquivalenceStopping(_BandController):
    """Stops when every type's interval lies inside the band around parity.

    A type is turned only when its interval is on a side of it. It rests while its interval holds
    parity and its value is in the inner half of the band. When all types rest before their
    intervals are inside, the held-out contrasts cannot tell more, and training stops saying so.
    """

    name: Literal["equivalence"] = "equivalence"

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        """All types, each away from what the model prefers."""
        return away_from_preferred(biases)

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """All types that do not rest."""
        distances = self._distances(biases)
        if all(distance.inside for distance in distances.values()):
            return self._reached()
        if all(distance.rests for distance in distances.values()):
            return (
                f"no type's {self.judge} is shown to differ from parity, nor to be within "
                f"{self.band:g} points of SS of it: more held-out contrasts would tell"
            )
        return TypeMixture(
            directions={
                axis: distance.side or mixture.directions[axis]
                for axis, distance in distances.items()
            },
            weights={axis: 0.0 if distance.rests else 1.0 for axis, distance in distances.items()},
        )


@options(frozen=True, kw_only=True, config=OPTIONS)
class ProportionalSwapping(_BandController):
    """Takes a type in proportion to its distance from parity, and trains accordingly.

    Training strength is 1 while the largest distance from parity is at least twice the half-width
    of the band, and falls linearly to 0 below that. Stops as `EquivalenceStopping` does when all
    intervals are inside the band.
    """

    name: Literal["proportional"] = "proportional"

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        """All types, each away from what the model prefers, in proportion."""
        return self._mixture(self._distances(biases))

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:  # noqa: ARG002
        """All types in proportion."""
        distances = self._distances(biases)
        inside = all(distance.inside for distance in distances.values())
        return self._reached() if inside else self._mixture(distances)

    def _mixture(self, distances: Mapping[str, Distance]) -> TypeMixture:
        sizes = {axis: abs(distance.value) for axis, distance in distances.items()}
        largest = max(sizes.values())
        equal = not (largest > 0 and math.isfinite(largest))
        return TypeMixture(
            directions={axis: _away(distance.value) for axis, distance in distances.items()},
            weights={axis: 1.0 if equal else size / largest for axis, size in sizes.items()},
            strength=1.0 if equal else min(1.0, largest / _FULL),
        )


@options(frozen=True, kw_only=True, config=OPTIONS)
class NoController(Controller):
    """Never turns a type and never stops: the effect of the loss alone."""

    name: Literal["none"] = "none"

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """The same mixture again."""
        del biases
        return mixture


AnyController: TypeAlias = (
    EquivalenceStopping | ProportionalSwapping | PaperSwapping | ReferenceSwapping | NoController
)


def _away(margin: float) -> int:
    """The direction that makes a margin smaller."""
    return -1 if margin < 0 else 1
