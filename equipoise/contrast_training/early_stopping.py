"""The monitor of a training on contrasts: evaluates, lets a controller decide, keeps the limits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from pydantic import TypeAdapter

from equipoise.contrast_training.controllers import Controller, TypeMixture
from equipoise.contrast_training.evaluation import Evaluation, SideEffectLimits, TypeBias
from equipoise.errors import ModelError
from equipoise.records import JSON
from equipoise.training.loop import TrainingMonitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A mixture, and the step from which on it is used."""

    number: int
    start: int
    mixture: TypeMixture


class BiasEarlyStopping(TrainingMonitor):
    """Evaluates every few steps; a changed mixture begins a phase.

    The controller decides from step `first` on. With limits, training returns the weights of the
    last evaluation at which no side effect was over its limit, and ends as soon as one is shown to
    be.
    """

    def __init__(
        self,
        controller: Controller,
        evaluation: Callable[[], Evaluation],
        *,
        every: int,
        first: int,
        limits: SideEffectLimits | None = None,
    ) -> None:
        self._controller = controller
        self._evaluation = evaluation
        self._every = every
        self._first = first
        self._limits = limits or {}
        before = evaluation()
        self._spreads = {axis: bias.spread for axis, bias in before.biases.items()}
        self.phase = Phase(number=0, start=0, mixture=controller.first(before.biases))
        self.evaluations: list[JSON] = [_describe(0, before, self.phase.mixture)]
        self.reason = ""  # why it stopped; "": it has not
        self.evaluated = 0  # steps at the last evaluation
        self.best = 0  # steps at the last evaluation within the limits

    @property
    def every(self) -> int:
        """Steps between two evaluations."""
        return self._every

    @property
    def restores_best(self) -> bool:
        """Whether there are limits to side effects."""
        return bool(self._limits)

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
        evaluation = self._with_first_spreads(self._evaluation())
        self.evaluated = steps
        over = [change for change in evaluation.changes if change.over(self._limits[change.effect])]
        if not over:
            self.best = steps
        shown = [change for change in over if change.shown_over(self._limits[change.effect])]
        if shown:
            self.reason = " and ".join(
                f"{change.describe()}, where keep_{change.effect.key} is "
                f"{self._limits[change.effect]:g}"
                for change in shown
            )
        elif decides:
            self._decide(evaluation.biases, steps, last=last)
        self.evaluations.append(_describe(steps, evaluation, self.phase.mixture))
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

    def _with_first_spreads(self, evaluation: Evaluation) -> Evaluation:
        """With the spreads before training: to level all margins must not narrow the band."""
        biases = {
            axis: replace(bias, spread=self._spreads[axis])
            for axis, bias in evaluation.biases.items()
        }
        return replace(evaluation, biases=biases)

    def _decide(self, biases: Mapping[str, TypeBias], steps: int, *, last: bool) -> None:
        decision = self._controller.step(biases, self.phase.mixture)
        if isinstance(decision, str):
            self.reason = decision
        elif decision != self.phase.mixture and not last:
            self.phase = Phase(number=self.phase.number + 1, start=steps, mixture=decision)

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
            report["undone"] = self._describe_undone()
        return {**report, "evaluations": list(self.evaluations)}

    def _describe_undone(self) -> str:
        """Which steps are undone, and why."""
        first = self.best + 1
        steps = f"step {first}" if first == self.evaluated else f"steps {first} to {self.evaluated}"
        undone = [
            evaluation
            for evaluation in cast(list[Any], self.evaluations)
            if evaluation["steps"] > self.best
        ]
        passed = []
        for effect, limit in self._limits.items():
            changes = [evaluation.get(effect.key, {}).get(effect.move) for evaluation in undone]
            # None: missing or infinite
            if any(change is None or change > limit for change in changes):
                passed.append(
                    f"{effect.name} had {effect.moved} by more than {limit:g}{effect.unit}"
                )
        return f"{steps}, after which {' or '.join(passed)}"


def _describe(steps: int, evaluation: Evaluation, mixture: TypeMixture) -> JSON:
    described: dict[str, JSON] = {
        "steps": steps,
        "directions": dict(mixture.directions),
        "active": list(mixture.active),
        "types": {axis: bias.as_json() for axis, bias in evaluation.biases.items()},
    }
    return described | {change.effect.key: change.as_json() for change in evaluation.changes}
