"""Where a value lies in a plot, in percent of its width, and the round numbers beside it."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from equipoise.number_text import ROUNDING

_MARGIN = 2.5  # percent left free on either side
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # times a power of ten
_EDGE = 14.0  # percent: nearer to an end, the ideal's label begins or ends at its line
_ROOM = 15.0  # percent that half of that label may need
_TICK = 8.0  # and half of a tick's

_SIGN = re.compile(r"(?:(?<![\w.)\]−-])|(?<=\de))-(?=\d)")  # of a number, not within a name
_KEPT = re.compile(r"(?<=\d) (?=[±%])|(?<=±) ")  # a space at which no line may end


class Tick(NamedTuple):
    """A round value on an axis."""

    place: float  # percent
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A straight scale from low to high, low < high, both finite."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    ideal: Tick | None = None

    def at(self, value: float) -> float:
        """Percent of the width at which a value lies; the ends for what lies beyond them."""
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return round(_MARGIN + share * (100.0 - 2 * _MARGIN), 1)

    @property
    def free_ticks(self) -> tuple[Tick, ...]:
        """The ticks whose labels leave room for that of the ideal."""
        if self.ideal is None:
            return self.ticks
        place = self.ideal.place
        left, right = (
            (0.0, 2.0) if place < _EDGE else (2.0, 0.0) if place > 100.0 - _EDGE else (1.0, 1.0)
        )
        return tuple(
            tick
            for tick in self.ticks
            if not place - _ROOM * left - _TICK < tick.place < place + _ROOM * right + _TICK
        )


def axis_of(values: Iterable[float], *, ideal: float | None = None, ticks: int = 4) -> Axis:
    """An axis on which all finite values and the ideal lie, with about `ticks` ticks.

    From 0 to 1 without finite values. Where all are equal but for rounding it lies in the
    middle, with the only tick; what is within 1e-9 of 0 is 0.
    """
    if ideal is not None and not math.isfinite(ideal):
        ideal = None
    finite = [
        0.0 if abs(value) <= ROUNDING else value
        for value in (*values, *(() if ideal is None else (ideal,)))
        if math.isfinite(value)
    ]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    only = [(high, f"{high:.3g}")] if high - low <= ROUNDING * max(abs(low), abs(high)) else []
    if only or not math.isfinite(high - low):
        half = 0.5 * abs(high) or 0.5
        low, high = low - half, high + half
    if not high - low < 1e307:  # near the largest number there is, where a step would overflow
        low, high = -1e300, 1e300
    scale = Axis(low, high)
    written = only or _ticks(low, high, ticks)
    return replace(
        scale,
        ticks=tuple(Tick(scale.at(value), minus(text)) for value, text in written),
        ideal=None if ideal is None else Tick(scale.at(ideal), minus(f"{ideal:g}")),
    )


class Whisker(NamedTuple):
    """A value with its interval in a plot, in percent of the width."""

    low: float
    high: float
    value: float


def whisker(value: float, low: float, high: float, *, axis: Axis) -> Whisker | None:
    """A value with its interval on an axis; None without a value, no length without an interval."""
    if not math.isfinite(value):
        return None
    ends = (low, high) if math.isfinite(low) and math.isfinite(high) else (value, value)
    return Whisker(axis.at(ends[0]), axis.at(ends[1]), axis.at(value))


def _ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Round values within [low, high], at most `count` + 1 of them, and how they are written."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        (factor * power for factor in _STEPS if factor * power >= rough * (1 - 1e-9)), 10 * power
    )
    # 0.3 / 0.1 is 2.9999999999999996, and a tick at an end must not be lost
    first = math.ceil(low / step - 1e-9)
    values = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if step / 10.0**-places % 1.0 > 1e-6:  # 2.5, 0.25
        places += 1
    if places > 6 or max(map(abs, values), default=0.0) >= 1e6:
        return [(value, f"{value:.3g}") for value in values]
    return [(value, f"{value + 0.0:.{places}f}") for value in values]  # + 0.0: no minus zero


def minus(text: str) -> str:
    """A number as text, with a real minus sign."""
    return text.replace("-", "−")


def typeset(text: str) -> str:
    """A sentence for the page: negative numbers with a real minus sign, and ± and % kept to theirs.

    Names keep their hyphens.
    """
    return _KEPT.sub("\N{NO-BREAK SPACE}", _SIGN.sub("−", text))
