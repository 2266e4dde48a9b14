"""The watch of a training: looks at held-out contrasts and lets a controller decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from equipoise.contrast_training.controllers import Controller, Mix
from equipoise.contrast_training.evaluation import Seen
from equipoise.contrast_training.held_out_bias import Standing
from equipoise.contrast_training.held_out_texts import Passage
from equipoise.contrast_training.side_effects import Bounds
from equipoise.contrast_training.tokenized import TokenizedContrast
from equipoise.errors import ModelError
from equipoise.records import JSON
from equipoise.training.monitor import TrainingMonitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A mix, and the step from which it holds."""

    number: int
    start: int
    mix: Mix


class BiasEarlyStopping(TrainingMonitor):
    """Looks every few steps; a changed mix begins a phase.

    The controller is asked from a first look on. With bounds, what is kept is that of the last look
    at which nothing cost more than they allow, and training ends as soon as more is shown.
    """

    def __init__(
        self,
        controller: Controller,
        see: Callable[[], Seen],
        *,
        every: int,
        first_look: int,
        bounds: Bounds | None = None,
    ) -> None:
        self._controller = controller
        self._see = see
        self._every = every
        self._first = first_look
        self._bounds = bounds or {}
        before = see()
        self._spreads = {axis: one.spread for axis, one in before.standings.items()}
        self.phase = Phase(number=0, start=0, mix=controller.first(before.standings))
        self.looks: list[JSON] = [_look(0, before, self.phase.mix)]
        self.reason = ""  # why it stopped; "": it has not
        self.seen = 0  # steps at the last look
        self.kept = 0  # steps at the last look that cost no more than it may

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return self._every

    @property
    def restores_best(self) -> bool:
        """Whether there is a bound to what training may cost."""
        return bool(self._bounds)

    @property
    def is_best(self) -> bool:
        """Whether at the last look nothing had cost more than it may."""
        return self.kept == self.seen

    @property
    def undone(self) -> str:
        """Which steps are not kept, and why; for people."""
        first = self.kept + 1
        which = f"step {first}" if first == self.seen else f"steps {first} to {self.seen}"
        looks = [one for one in cast(list[Any], self.looks) if one["steps"] > self.kept]
        over = " or ".join(
            f"{of.name} had {of.moved} by more than {most:g}{of.unit}"
            for of, most in self._bounds.items()
            if any(_is_over(look.get(of.key, {}).get(of.move), most) for look in looks)
        )
        return f"{which}, after which {over}"

    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Ask the controller; True when it says to stop, or when something costs too much.

        Raises `ModelError` when training ends and something cost too much at every look.
        """
        asked = steps >= self._first
        if not (asked or last or self.restores_best):
            return False
        found = self._see()
        seen = replace(
            found,
            standings={
                axis: replace(one, spread=self._spreads[axis])
                for axis, one in found.standings.items()
            },
        )
        self.seen = steps
        over = [cost for cost in seen.costs if _is_over(cost.by.value, self._bounds[cost.of])]
        if not over:
            self.kept = steps
        shown = [one for one in over if one.shown_over(self._bounds[one.of])]
        if shown:
            self.reason = " and ".join(
                f"{one.said}, where keep_{one.of.key} is {self._bounds[one.of]:g}" for one in shown
            )
        elif asked:
            self._ask(seen.standings, steps, last=last)
        self.looks.append(_look(steps, seen, self.phase.mix))
        if over and not self.kept and (last or self.reason):
            allowed = " and ".join(
                f"{of.name} may {of.move} by {most:g}{of.unit}" for of, most in self._bounds.items()
            )
            raise ModelError(
                f"{allowed}, every look found more, after {steps} steps "
                f"{' and '.join(one.said for one in over)}; lower learning_rate or look_every"
            )
        return bool(self.reason)

    def _ask(self, standings: Mapping[str, Standing], steps: int, *, last: bool) -> None:
        found = self._controller.step(standings, self.phase.mix)
        if isinstance(found, str):
            self.reason = found
        elif found != self.phase.mix and not last:
            self.phase = Phase(number=self.phase.number + 1, start=steps, mix=found)

    def state(self) -> JSON:
        """Phase, looks and reason."""
        return {
            "number": self.phase.number,
            "start": self.phase.start,
            "mix": self.phase.mix.as_json(),
            "looks": list(self.looks),
            "reason": self.reason,
            "seen": self.seen,
            "kept": self.kept,
        }

    def restore(self, state: JSON) -> None:
        """Take up what `state` gave."""
        given = cast(dict[str, Any], state)
        self.phase = Phase(
            number=int(given["number"]), start=int(given["start"]), mix=Mix(**given["mix"])
        )
        self.looks = list(given["looks"])
        self.reason = str(given["reason"])
        self.seen = int(given["seen"])
        self.kept = int(given["kept"])


def report_of(
    watch: BiasEarlyStopping | None,
    items: Sequence[TokenizedContrast],
    dev: Sequence[TokenizedContrast],
    passages: Sequence[Passage] = (),
) -> dict[str, JSON]:
    """For an edit's record: how many items there were, why training ended, and every look."""
    found: dict[str, JSON] = {"items": len(items), "held_out_items": len(dev)}
    if passages:
        found["held_out_texts"] = len(passages)
    if watch is not None:
        found["stopped"] = watch.reason or "the steps were used up"
        if watch.restores_best:
            found["kept_after"] = watch.kept
        if not watch.is_best:
            found["undone"] = watch.undone
        found["looks"] = list(watch.looks)
    return found


def _is_over(value: float | None, most: float) -> bool:
    """So is what could not be had, and what was infinite: None in a report."""
    return value is None or not value <= most


def _look(steps: int, seen: Seen, mix: Mix) -> JSON:
    found: dict[str, JSON] = {
        "steps": steps,
        "directions": dict(mix.directions),
        "active": list(mix.active),
        "standings": {axis: one.as_json() for axis, one in seen.standings.items()},
    }
    found |= {cost.of.key: cost.as_json() for cost in seen.costs}
    return found
