"""The watch of a training: looks at held-out contrasts and lets a controller decide."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from equipoise.errors import ModelError
from equipoise.models.watch import Watch
from equipoise.records import JSON
from equipoise.tuning.coded import Item
from equipoise.tuning.control import Controller, Mix
from equipoise.tuning.held_out import HeldOut, Seen
from equipoise.tuning.reader import TextReader
from equipoise.tuning.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A mix, and the step from which it holds."""

    number: int
    start: int
    mix: Mix


class ParityWatch(Watch):
    """Looks every few steps; a changed mix begins a phase.

    The controller is asked from a first look on. With `keep_lms`, what is kept is that of the last
    look at which no more points of LMS than that were lost, and training ends as soon as more are
    shown to be.
    """

    def __init__(
        self,
        controller: Controller,
        see: Callable[[], Seen],
        *,
        every: int,
        first_look: int,
        keep_lms: float | None = None,
    ) -> None:
        self._controller = controller
        self._see = see
        self._every = every
        self._first = first_look
        self._most = math.inf if keep_lms is None else keep_lms
        before = see()
        self._spreads = {axis: one.spread for axis, one in before.standings.items()}
        self.phase = Phase(number=0, start=0, mix=controller.first(before.standings))
        self.looks: list[JSON] = [_look(0, before, self.phase.mix)]
        self.reason = ""  # why it stopped; "": it has not
        self.seen = 0  # steps at the last look
        self.kept = 0  # steps at the last look that lost no more than may be lost

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return self._every

    @property
    def chooses(self) -> bool:
        """Whether there is a bound to what may be lost."""
        return self._most < math.inf

    @property
    def keeps(self) -> bool:
        """Whether at the last look no more was lost than may be."""
        return self.kept == self.seen

    @property
    def undone(self) -> str:
        """Which steps are not kept, and why; for people."""
        first = self.kept + 1
        which = f"step {first}" if first == self.seen else f"steps {first} to {self.seen}"
        return f"{which}, after which held-out LMS had fallen by more than {self._most:g} points"

    def look(self, steps: int, *, last: bool) -> bool:
        """Ask the controller; True when it says to stop, or when too much LMS is lost.

        Raises `ModelError` when training ends and too much was lost at every look.
        """
        asked = steps >= self._first
        if not (asked or last or self.chooses):
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
        fall = seen.fall
        if fall is None or fall.points.value <= self._most:
            self.kept = steps
        if fall is not None and fall.shown_over(self._most):
            self.reason = (
                f"held-out LMS had fallen by {fall.text}, where {self._most:g} may be lost"
            )
        elif asked:
            self._ask(seen.standings, steps, last=last)
        self.looks.append(_look(steps, seen, self.phase.mix))
        if fall is not None and not self.kept and (last or self.reason):
            raise ModelError(
                f"held-out LMS may fall by {self._most:g} points, it had fallen by more at every "
                f"look, after {steps} steps by {fall.text}; lower learning_rate or look_every"
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


def watch_on(
    reader: TextReader,
    dev: Sequence[Item],
    controller: Controller,
    *,
    every: int,
    first_look: int,
    keep_lms: float | None,
    seed: int,
) -> ParityWatch | None:
    """A watch of held-out items; None when there are none."""
    if not dev:
        return None
    return ParityWatch(
        controller,
        HeldOut(reader, dev, lms=keep_lms is not None, seed=seed),
        every=every,
        first_look=first_look,
        keep_lms=keep_lms,
    )


def report_of(
    watch: ParityWatch | None, items: Sequence[Item], dev: Sequence[Item]
) -> dict[str, JSON]:
    """For an edit's record: how many items there were, why training ended, and every look."""
    found: dict[str, JSON] = {"items": len(items), "held_out_items": len(dev)}
    if watch is not None:
        found["stopped"] = watch.reason or "the steps were used up"
        if watch.chooses:
            found["kept_after"] = watch.kept
        if not watch.keeps:
            found["undone"] = watch.undone
        found["looks"] = list(watch.looks)
    return found


def _look(steps: int, seen: Seen, mix: Mix) -> JSON:
    found: dict[str, JSON] = {
        "steps": steps,
        "directions": dict(mix.directions),
        "active": list(mix.active),
        "standings": {axis: one.as_json() for axis, one in seen.standings.items()},
    }
    if seen.fall is not None:
        found["lms"] = seen.fall.as_json()
    return found
