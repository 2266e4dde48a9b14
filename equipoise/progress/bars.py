"""How far long work is: a bar on a terminal, a line a minute elsewhere and in a log.

`tqdm` draws, counts and estimates.
"""

import io
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from tqdm import tqdm

from equipoise.progress.messages import duration, is_quiet, keep, say

T = TypeVar("T")

_EVERY: Final = 60.0  # seconds between two lines
_DELAY: Final = 1.0  # seconds before a bar is drawn: what is done at once needs none


class _Bar(tqdm):  # type: ignore[type-arg]  # which it does not take when it runs
    """A bar without the thread that tqdm has look after slow bars: `update` is enough here."""

    monitor_interval = 0


@dataclass
class _Clock:
    """The minute between two lines, shared by tasks that follow one another.

    Many short tasks are long work, too.
    """

    said: float = 0.0  # when a line was due last, or work began
    seen: float = 0.0  # when work was seen last

    def begin(self) -> None:
        """A task begins; after a minute without any the minute begins anew."""
        now = time.monotonic()
        if now - self.seen >= _EVERY:
            self.said = now
        self.seen = now

    def is_due(self) -> bool:
        """Whether a line is due; the next one is a minute later."""
        self.seen = time.monotonic()
        due = self.seen - self.said >= _EVERY
        if due:
            self.said = self.seen
        return due


_CLOCK: Final = _Clock()


class Progress:
    """A number of steps, counted by `advance`."""

    def __init__(self, task: str, total: int, *, done: int, unit: str, shown: bool) -> None:
        self._task, self._unit, self._shown = task, unit, shown
        self._values: dict[str, float] = {}
        self._drawn = shown and sys.stderr.isatty() and not is_quiet()
        if shown:
            _CLOCK.begin()
        # where nothing is drawn tqdm counts all the same, for the lines
        self._bar = _Bar(
            desc=task, total=total, initial=done, unit=unit, leave=False, delay=_DELAY,
            file=sys.stderr if self._drawn else io.StringIO(),
        )  # fmt: skip

    def advance(self, steps: int = 1, **values: float) -> None:
        """Count steps; the values, such as a loss, stand beside them."""
        if values:
            self._values = values
            self._bar.set_postfix({n: f"{v:.4g}" for n, v in values.items()}, refresh=False)
        self._bar.update(steps)
        if self._shown and _CLOCK.is_due():
            (keep if self._drawn else say)(self._line())

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _line(self) -> str:
        state = self._bar.format_dict
        done, total, seconds = state["n"], state["total"], state["elapsed"]
        parts = [f"{self._task}: {self._unit} {done} of {total}"]
        parts += [f"{name} {value:.4g}" for name, value in self._values.items()]
        # of this run alone: what was done before took no time of it
        if seconds and (rate := (done - state["initial"]) / seconds):
            parts += [f"{rate:.3g} a second", f"{duration((total - done) / rate)} left"]
        return ", ".join(parts)


@contextmanager
def progress(
    task: str, total: int, *, done: int = 0, unit: str = "step", shown: bool = True
) -> Iterator[Progress]:
    """Show how far a task is for as long as a `with` block lasts.

    `done`: steps done before. `shown`: False in a process for which another speaks.
    """
    counter = Progress(task, total, done=done, unit=unit, shown=shown)
    try:
        yield counter
    finally:
        counter.close()


def counted(items: Iterable[T], task: str, total: int, *, unit: str) -> Iterator[T]:
    """The items, each counted when the next is asked for."""
    with progress(task, total, unit=unit) as counter:
        for item in items:
            yield item
            counter.advance()
