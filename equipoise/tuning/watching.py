"""The watch of a training: looks at held-out contrasts and lets a controller decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from equipoise.errors import ModelError
from equipoise.models.watch import Watch
from equipoise.records import JSON
from equipoise.tuning.coded import Item
from equipoise.tuning.control import Controller, Mix
from equipoise.tuning.held_out import Fall, HeldOut, Seen
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

    The controller is asked from a first look on. With `keep_lms`, training ends when more points
    of LMS than that are lost, at whatever look, and what it was at the look before is kept.
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
        self._keep_lms = keep_lms
        before = see()
        self._spreads = {axis: one.spread for axis, one in before.standings.items()}
        self.phase = Phase(number=0, start=0, mix=controller.first(before.standings))
        self.looks: list[JSON] = [_look(0, before, self.phase.mix)]
        self.reason = ""  # why it stopped; "": it has not
        self.kept = 0  # steps at the last look that lost no more than may be lost
        self._spoilt = False

    @property
    def every(self) -> int:
        """Steps between two looks."""
        return self._every

    @property
    def spoilt(self) -> bool:
        """Whether more LMS was lost than may be."""
        return self._spoilt

    def look(self, steps: int) -> bool:
        """Ask the controller; True when it says to stop, or when too much LMS is lost.

        Raises `ModelError` when that is so at the first look.
        """
        if steps < self._first and self._keep_lms is None:
            return False
        found = self._see()
        seen = replace(
            found,
            standings={
                axis: replace(one, spread=self._spreads[axis])
                for axis, one in found.standings.items()
            },
        )
        if self._keep_lms is not None and seen.fall is not None and seen.fall.over(self._keep_lms):
            self.reason = self._lost(seen.fall, self._keep_lms, steps)
            self._spoilt = True
        else:
            self.kept = steps
            if steps >= self._first:
                self._ask(seen.standings, steps)
        self.looks.append(_look(steps, seen, self.phase.mix))
        return bool(self.reason)

    def _ask(self, standings: Mapping[str, Standing], steps: int) -> None:
        found = self._controller.step(standings, self.phase.mix)
        if isinstance(found, str):
            self.reason = found
        elif found != self.phase.mix:
            self.phase = Phase(number=self.phase.number + 1, start=steps, mix=found)

    def _lost(self, fall: Fall, margin: float, steps: int) -> str:
        if not self.kept:
            raise ModelError(
                f"held-out LMS may fall by {margin:g} points, it fell by {fall.text} within the "
                f"{steps} steps before the first look; look more often or lower the learning rate"
            )
        return (
            f"held-out LMS had fallen by {fall.text} after {steps} steps, where {margin:g} may be "
            f"lost; what is kept is as it was after {self.kept}"
        )

    def state(self) -> JSON:
        """Phase, looks and reason."""
        return {
            "number": self.phase.number,
            "start": self.phase.start,
            "mix": self.phase.mix.as_json(),
            "looks": list(self.looks),
            "reason": self.reason,
            "kept": self.kept,
            "spoilt": self._spoilt,
        }

    def restore(self, state: JSON) -> None:
        """Take up what `state` gave."""
        given = cast(dict[str, Any], state)
        self.phase = Phase(
            number=int(given["number"]), start=int(given["start"]), mix=Mix(**given["mix"])
        )
        self.looks = list(given["looks"])
        self.reason = str(given["reason"])
        self.kept = int(given["kept"])
        self._spoilt = bool(given["spoilt"])


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
        if watch.spoilt:
            found["kept_after"] = watch.kept
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
