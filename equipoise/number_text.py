"""Numbers as a reader sees them: values, intervals, and differences with their sign."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

ROUNDING: Final = 1e-9  # what is no larger, or differs by no more of its size, is rounding


def numbers(*values: float, beside: Iterable[float] = ()) -> tuple[str, ...]:
    """The values with as many decimals as the largest of them deserves, alike for all.

    1 decimal from 10 on, 2 from 1 on, 3 from 0.01 on, 4 below, two digits of each below 0.001; what
    is within 1e-9 of 0 is rounding, and 0. "n/a" for nan. `beside`: numbers that these are read
    beside; where those have two digits each, so have these below 1.
    """
    largest = _largest(values)
    if ROUNDING < largest < 0.001 or (largest < 1 and ROUNDING < _largest(beside) < 0.001):
        return tuple(
            "n/a" if math.isnan(value) else "0" if abs(value) <= ROUNDING else f"{value:.1e}"
            for value in values
        )
    places = 1 if largest >= 10 else 2 if largest >= 1 else 4 if ROUNDING < largest < 0.01 else 3
    return tuple(rounded(value, places) for value in values)


def _largest(values: Iterable[float]) -> float:
    return max((abs(value) for value in values if math.isfinite(value)), default=0.0)


def rounded(value: float, places: int) -> str:
    """The value with so many decimals, no sign before a zero; "n/a" for nan."""
    if math.isnan(value):
        return "n/a"
    text = f"{value:.{places}f}"
    return text[1:] if text[0] == "-" and float(text) == 0.0 else text


def interval(value: float, low: float, high: float, *, places: int | None = None) -> str:
    """A value with its interval, "52.4 [49.0, 55.9]"; alone where there is none.

    `places`: decimals; None: as many as `numbers` gives them.
    """
    text, start, end = _decimals(places, value, low, high)
    return f"{text} {brackets(start, end)}".rstrip()


def difference(
    value: float,
    low: float,
    high: float,
    *,
    unit: str = "",
    note: str = "",
    places: int | None = None,
) -> str:
    """A difference with its sign and its interval, "+5.7 points [2.0, 9.1]"; 0 has no sign.

    `note`: behind the interval, in its brackets; the rest as of `interval`.
    """
    text, start, end = _decimals(places, value, low, high)
    plus = "+" if value > 0 and float(text) != 0.0 else ""
    return f"{plus}{text}{unit} {brackets(start, end, note)}".rstrip()


def _decimals(places: int | None, *values: float) -> tuple[str, ...]:
    if places is None:
        return numbers(*values)
    return tuple(rounded(value, places) for value in values)


def brackets(low: str, high: str, note: str = "") -> str:
    """The ends of an interval, with a note behind them; "" where an end is not known."""
    return "" if "n/a" in (low, high) else f"[{low}, {high}{note}]"


def probability(p: float) -> str:
    """A p-value for a reader: "0.012", "< 0.001", "n/a"."""
    if math.isnan(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def group_name(group: Mapping[str, str]) -> str:
    """What a group is called: "axis gender", or "overall"."""
    return ", ".join(f"{key} {name}" for key, name in group.items()) or "overall"
