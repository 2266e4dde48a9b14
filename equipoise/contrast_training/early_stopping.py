"""Early stopping: held-out bias is evaluated, a controller decides, side effects stay in limits.

A controller says which bias types a step takes its contrasts from, in which direction, and when
training stops. BiasUnlearn (Liu et al. 2025, section 3.3) swaps a type's texts when its score falls
below 50 and stops near 50; its released code differs from its text, so both are here, beside two
that look at intervals, since a score of 50 items has a standard error of 7 points.

Each controller is a choice of options: its `name`, and what makes sense with it alone.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass as options

from equipoise.contrast_training.evaluation import (
    Evaluation,
    SideEffectLimits,
    TypeBias,
)
from equipoise.errors import ModelError
from equipoise.records import JSON, OPTIONS
from equipoise.training.loop import TrainingMonitor

_PARITY = 50.0
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
        gaps = {
            axis: bias.ss.value - self.bases.get(axis, _PARITY) for axis, bias in biases.items()
        }
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
        if all(abs(bias.ss.value - _PARITY) < self.near for bias in biases.values()):
            return f"every SS is within {self.near:g} points of 50"
        return TypeMixture(
            directions={
                axis: -1 if bias.ss.value < _PARITY else 1 for axis, bias in biases.items()
            },
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
            interval, center, half = bias.ss, _PARITY, self.band
        else:
            interval, center, half = bias.margin, 0.0, max(bias.half_band(self.band), _LEAST)
        edges = (interval.value, interval.low, interval.high)
        value, low, high = ((edge - center) / half for edge in edges)
        return Distance(value=value, low=low, high=high)

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        """The next mixture, unless every interval is inside the band."""
        distances = {axis: self.distance(bias) for axis, bias in biases.items()}
        if all(distance.inside for distance in distances.values()):
            return f"every interval of {self.judge} is within {self.band:g} points of SS of parity"
        return self._next(distances, mixture)

    @abstractmethod
    def _next(self, distances: Mapping[str, Distance], mixture: TypeMixture) -> TypeMixture | str:
        """The next mixture while a type's interval is not inside the band, or a reason to stop."""


@options(frozen=True, kw_only=True, config=OPTIONS)
class EquivalenceStopping(_BandController):
    """Stops when every type's interval lies inside the band around parity.

    A type is turned only when its interval is on a side of it. It rests while its interval holds
    parity and its value is in the inner half of the band. When all types rest before their
    intervals are inside, the held-out contrasts cannot tell more, and training stops saying so.
    """

    name: Literal["equivalence"] = "equivalence"

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        """All types, each away from what the model prefers, from the first step on."""
        return TypeMixture(
            directions={axis: -1 if bias.margin.value < 0 else 1 for axis, bias in biases.items()},
            weights=dict.fromkeys(biases, 1.0),
        )

    def _next(self, distances: Mapping[str, Distance], mixture: TypeMixture) -> TypeMixture | str:
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
        distances = {axis: self.distance(bias) for axis, bias in biases.items()}
        return self._next(distances, super().first(biases))

    def _next(self, distances: Mapping[str, Distance], mixture: TypeMixture) -> TypeMixture:
        del mixture  # each mixture follows from the distances alone
        sizes = {axis: abs(distance.value) for axis, distance in distances.items()}
        largest = max(sizes.values())
        equal = not (largest > 0 and math.isfinite(largest))
        return TypeMixture(
            directions={axis: -1 if far.value < 0 else 1 for axis, far in distances.items()},
            weights={axis: 1.0 if equal else size / largest for axis, size in sizes.items()},
            strength=1.0 if equal else min(1.0, largest / 2),  # full from two half-bands on
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


# --- the monitor --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A mixture, and the step from which on it is used."""

    number: int
    start: int
    mixture: TypeMixture


class BiasEarlyStopping(TrainingMonitor):
    """Evaluates every few steps; a changed mixture begins a phase.

    The controller decides from step `first` on. With limits, training returns the weights of the
    last evaluation at which no side effect was over its limit, and ends as soon as any is shown to
    be.
    """

    def __init__(
        self,
        controller: Controller,
        evaluation: Callable[[], Evaluation],
        *,
        every: int,
        first: int,
        limits: SideEffectLimits,
    ) -> None:
        self._controller = controller
        self._evaluation = evaluation
        self.every = every
        self.restores_best = bool(limits)
        self._first = first
        self._limits = limits
        before = evaluation()
        self._spreads = {axis: bias.spread for axis, bias in before.biases.items()}
        self.phase = Phase(number=0, start=0, mixture=controller.first(before.biases))
        self.evaluations: list[JSON] = []
        self._record(0, before.biases, before)
        self.reason = ""  # why it stopped; "": it has not
        self.evaluated = 0  # steps at the last evaluation
        self.best = 0  # steps at the last evaluation within the limits

    @property
    def is_best(self) -> bool:
        """Whether every side effect was within its limit at the last evaluation."""
        return self.best == self.evaluated

    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Let the controller decide; True when it stops training, or a side effect is too large.

        Raises `ModelError` when training ends and every evaluation was over a limit.
        """
        decides = steps >= self._first
        if not (decides or last or self.restores_best):
            return False
        evaluation, self.evaluated = self._evaluation(), steps
        over = [change for change in evaluation.changes if change.over(self._limits[change.effect])]
        if not over:
            self.best = steps
        shown = [change for change in over if change.shown_over(self._limits[change.effect])]
        # With the spreads before training: to level all margins must not narrow the band.
        biases = {
            axis: replace(bias, spread=self._spreads[axis])
            for axis, bias in evaluation.biases.items()
        }
        if shown:
            self.reason = " and ".join(
                f"{change.describe()}, where keep_{change.effect.key} is "
                f"{self._limits[change.effect]:g}"
                for change in shown
            )
        elif decides:
            decision = self._controller.step(biases, self.phase.mixture)
            if isinstance(decision, str):
                self.reason = decision
            # A phase begins new epochs of texts; with an unchanged mixture the old epochs go on.
            elif decision != self.phase.mixture and not last:
                self.phase = Phase(number=self.phase.number + 1, start=steps, mixture=decision)
        self._record(steps, biases, evaluation)
        if over and not self.best and (last or self.reason):
            limits = " and ".join(
                f"{effect.name} may {effect.move} by {limit:g}{effect.unit}"
                for effect, limit in self._limits.items()
            )
            raise ModelError(
                f"{limits}, every evaluation was over, after {steps} steps "
                f"{' and '.join(change.describe() for change in over)}; lower learning_rate or "
                "evaluate_every"
            )
        return bool(self.reason)

    def _record(self, steps: int, biases: Mapping[str, TypeBias], evaluation: Evaluation) -> None:
        overall = evaluation.overall
        self.evaluations.append(
            {
                "steps": steps,
                "directions": dict(self.phase.mixture.directions),
                "active": list(self.phase.mixture.active),
                **({} if overall is None else {"overall": overall.as_json()}),
                "types": {axis: bias.as_json() for axis, bias in biases.items()},
                **{change.effect.key: change.as_json() for change in evaluation.changes},
            }
        )

    def state(self) -> JSON:
        """Everything that later evaluations and batches depend on."""
        return {
            "phase": asdict(self.phase),
            "evaluations": list(self.evaluations),
            "reason": self.reason,
            "evaluated": self.evaluated,
            "best": self.best,
        }

    def restore(self, state: JSON) -> None:
        """Continue from what `state` gave."""
        saved = cast(dict[str, Any], state)
        self.phase = TypeAdapter(Phase).validate_python(saved["phase"])
        self.evaluations = list(saved["evaluations"])
        self.reason, self.evaluated, self.best = (
            saved[name] for name in ("reason", "evaluated", "best")
        )

    def report(self) -> dict[str, JSON]:
        """For an edit's record: why training ended, what was undone, and every evaluation."""
        report: dict[str, JSON] = {"stopped": self.reason or "the steps were used up"}
        if self.restores_best:
            report["kept_after"] = self.best
        if not self.is_best:
            first, last = self.best + 1, self.evaluated
            passed = []
            for effect, limit in self._limits.items():
                changes = [
                    evaluation.get(effect.key, {}).get(effect.move)
                    for evaluation in cast(list[Any], self.evaluations)
                    if evaluation["steps"] > self.best
                ]
                # None: missing or infinite
                if any(change is None or change > limit for change in changes):
                    passed.append(
                        f"{effect.name} had {effect.moved} by more than {limit:g}{effect.unit}"
                    )
            steps = f"step {first}" if first == last else f"steps {first} to {last}"
            report["undone"] = f"{steps}, after which {' or '.join(passed)}"
        return {**report, "evaluations": list(self.evaluations)}
