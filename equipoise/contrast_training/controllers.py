"""Controllers: which types of bias a step takes its contrasts from, in which direction, and when
it is enough.

BiasUnlearn (Liu et al. 2025, section 3.3) swaps a type's texts when its score falls below 50 and
stops near 50; its released code differs from its text, so both are here, beside two that look at
intervals, since a score of 50 items has a standard error of 7 points.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from equipoise.contrast_training.held_out_bias import Standing
from equipoise.records import JSON

Judge: TypeAlias = Literal["margin", "ss"]

PARITY = 50.0
_FULL = 2.0  # half-bands from which on a proportional controller has its full strength
_LEAST = 1e-9  # nats; margins that do not spread have no band


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What the next steps are made of."""

    directions: Mapping[str, int]  # by type; 1: forget the stereotype, -1: the anti-stereotype
    weights: Mapping[str, float]  # by type, relative; 0: the type rests
    strength: float = 1.0  # of forgetting and retaining, in (0, 1]

    @property
    def active(self) -> tuple[str, ...]:
        """Types that take part, sorted."""
        return tuple(sorted(axis for axis, weight in self.weights.items() if weight > 0))

    def as_json(self) -> JSON:
        """For the state of a training."""
        return {
            "directions": dict(self.directions),
            "weights": dict(self.weights),
            "strength": self.strength,
        }


def all_types(standings: Mapping[str, Standing]) -> Mix:
    """Every type at equal weight, each away from the text that the model prefers now.

    A type that prefers anti-stereotypes from the start is turned from the first step on.
    """
    return Mix(
        directions={axis: _away(one.margin.value) for axis, one in standings.items()},
        weights=dict.fromkeys(standings, 1.0),
    )


def from_stereotypes(axes: Iterable[str]) -> Mix:
    """Every type at equal weight, away from its stereotypes, wherever the model stands."""
    names = sorted(axes)
    return Mix(directions=dict.fromkeys(names, 1), weights=dict.fromkeys(names, 1.0))


class Controller(ABC):
    """Decides after a look at the held-out contrasts."""

    @abstractmethod
    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """What training begins with, given where the model stands before it."""

    @abstractmethod
    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """What comes next, or the reason to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Controller):
    """The released code's rule: only the type farthest from its base, swapped when below it.

    Stops when every type's SS is within `near` of its base. Bases are 50 unless given; the code
    has 49 for gender, profession and race, and 48 for religion.
    """

    bases: Mapping[str, float] = field(default_factory=dict)
    near: float = 2.0

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """All types, away from stereotypes."""
        return from_stereotypes(standings)

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """The farthest type alone."""
        gaps = {
            axis: one.ss.value - self.bases.get(axis, PARITY) for axis, one in standings.items()
        }
        if all(abs(gap) < self.near for gap in gaps.values()):
            return f"every SS is within {self.near:g} points of its base"
        farthest = max(sorted(gaps), key=lambda axis: abs(gaps[axis]))
        return Mix(
            directions={**mix.directions, farthest: -1 if gaps[farthest] < 0 else 1},
            weights={axis: float(axis == farthest) for axis in standings},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed(Controller):
    """The paper's rule: all types stay, a type is swapped while its SS is below 50.

    Stops when every SS is within `near` points of 50.
    """

    near: float = 2.0

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """All types, away from stereotypes."""
        return from_stereotypes(standings)

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """All types, each turned towards 50."""
        if all(abs(standing.ss.value - PARITY) < self.near for standing in standings.values()):
            return f"every SS is within {self.near:g} points of 50"
        return Mix(
            directions={
                axis: -1 if one.ss.value < PARITY else 1 for axis, one in standings.items()
            },
            weights=mix.weights,
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
        """1: the stereotype is preferred; -1: the other text; 0: not shown either way."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def rests(self) -> bool:
        """Whether there is nothing to correct: no side, and in the inner half of the band."""
        return self.side == 0 and abs(self.value) < 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A band around parity, in points of SS about 50.

    "margin" holds it against the mean margin (`Standing.half_band`), which needs fewer items than
    counting preferences does (about 1.6 times, were margins normal), and is at 0 where they are
    evenly spread; "ss" counts them.
    """

    points: float = 5.0
    judge: Judge = "margin"

    def distance(self, one: Standing) -> Distance:
        """Where a type stands."""
        if self.judge == "ss":
            found, centre, half = one.ss, PARITY, self.points
        else:
            found, centre, half = one.margin, 0.0, max(one.half_band(self.points), _LEAST)
        return Distance(
            value=(found.value - centre) / half,
            low=(found.low - centre) / half,
            high=(found.high - centre) / half,
        )

    @property
    def reached(self) -> str:
        """Why training stops when every interval is inside."""
        return f"every interval of {self.judge} is within {self.points:g} points of SS of parity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence(Controller):
    """Stops when every type's interval lies inside the band around parity.

    A type is turned only when its interval lies on one side. It rests while its interval holds
    parity and its value is in the inner half of the band. When all types rest before their
    intervals are inside, the held-out contrasts cannot tell more, and training stops saying so.
    """

    band: Band = field(default_factory=Band)

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """All types, each away from what the model prefers."""
        return all_types(standings)

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """All types that do not rest."""
        found = {axis: self.band.distance(one) for axis, one in standings.items()}
        if all(one.inside for one in found.values()):
            return self.band.reached
        if all(one.rests for one in found.values()):
            return (
                f"no type's {self.band.judge} is shown to differ from parity, nor to be within "
                f"{self.band.points:g} points of SS of it: more held-out contrasts would tell"
            )
        return Mix(
            directions={axis: one.side or mix.directions[axis] for axis, one in found.items()},
            weights={axis: 0.0 if one.rests else 1.0 for axis, one in found.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportional(Controller):
    """Takes a type in proportion to how far it is from parity, and steps accordingly.

    From two half-bands on training has its full strength; nearer, the share of the largest
    distance that is left. Stops as `Equivalence` does when all intervals are inside the band.
    """

    band: Band = field(default_factory=Band)

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """All types, each away from what the model prefers, in proportion."""
        return self._mix({axis: self.band.distance(one) for axis, one in standings.items()})

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """All types in proportion."""
        del mix
        found = {axis: self.band.distance(one) for axis, one in standings.items()}
        return self.band.reached if all(one.inside for one in found.values()) else self._mix(found)

    def _mix(self, found: Mapping[str, Distance]) -> Mix:
        far = {axis: abs(one.value) for axis, one in found.items()}
        largest = max(far.values())
        even = not (largest > 0 and math.isfinite(largest))
        return Mix(
            directions={axis: _away(one.value) for axis, one in found.items()},
            weights={axis: 1.0 if even else value / largest for axis, value in far.items()},
            strength=1.0 if even else min(1.0, largest / _FULL),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Controller):
    """Never turns and never stops: what the loss alone does."""

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        """All types, away from stereotypes."""
        return from_stereotypes(standings)

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        """The same again."""
        del standings
        return mix


def _away(margin: float) -> int:
    """The direction that lowers the size of a margin."""
    return -1 if margin < 0 else 1
