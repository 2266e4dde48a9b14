"""What the tables of a page show of changes and estimates: cells, badges, scales, the gravest."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from equipoise.conclusions import Change, Direction
from equipoise.number_text import brackets, group_name, numbers, probability
from equipoise.records import Estimate
from equipoise.report.axis import Axis, axis_of, minus
from equipoise.report.sentences import WORD

#: The word for a loss that is shown to be smaller than its margin.
WITHIN = "worse, within the margin"
_GRAVE: tuple[Direction, ...] = ("reversed", "worse", "unclear")


class Badge(NamedTuple):
    """A direction, or another state, as a word with a color."""

    #: A Direction with hyphens for spaces, or "within"; the style sheet gives it color and sign.
    tone: str
    word: str


class Cell(NamedTuple):
    """A number as text with its interval, and what the table sorts it by (nan: last)."""

    value: str
    interval: str  # "[49.0, 55.9]"; "" where there is none
    sort: float

    @property
    def text(self) -> str:
        """Both, on a line."""
        return f"{self.value} {self.interval}".rstrip()

    @property
    def key(self) -> str:
        """What the page's script sorts by."""
        return f"{self.sort:.4g}"


def badge_of(change: Change) -> Badge:
    """The badge of a change: a loss that is shown to be within its margin is no alarm.

    So that a cell does not call "worse" what the verdict calls "kept", and nothing more.
    """
    claim = change.claim
    if change.direction == "worse" and claim and claim.kind == "not_worse" and claim.shown:
        return Badge("within", WITHIN)
    return direction_badge(change.direction)


def direction_badge(direction: Direction) -> Badge:
    """The badge of a direction; its tone is the name of a class in the style sheet."""
    return Badge(direction.replace(" ", "-"), WORD[direction])


def cell(value: float, low: float, high: float) -> Cell:
    """A value with its interval, sorted by the value."""
    text, *ends = map(minus, numbers(value, low, high))
    return Cell(text, brackets(*ends), value)


def plain_cell(value: float) -> Cell:
    """A number to two decimals, such as an effect, which has no interval."""
    return Cell("n/a" if math.isnan(value) else minus(f"{value:.2f}"), "", value)


def p_cell(p: float) -> Cell:
    """A p-value, which has no interval."""
    return Cell(probability(p), "", p)


def row_name(shown: Change | Estimate) -> str:
    """The metric, and the group where there is any: "ss", "ss, axis age"."""
    return f"{shown.metric}, {group_name(shown.group)}" if shown.group else shown.metric


def shared_axis(changes: Sequence[Change], ticks: int = 3) -> Axis:
    """An axis that holds every end of every change, and the ideal that they have in common."""
    ends = [
        value
        for change in changes
        for value in (
            change.before, change.before_low, change.before_high,
            change.after, change.after_low, change.after_high,
        )
    ]  # fmt: skip
    ideals = {change.ideal for change in changes}
    return axis_of(ends, ideal=ideals.pop() if len(ideals) == 1 else None, ticks=ticks)


def estimate_axis(estimate: Estimate) -> Axis:
    """An axis that holds an estimate, its interval and its ideal."""
    ends = (estimate.value, estimate.low, estimate.high)
    return axis_of(ends, ideal=estimate.ideal, ticks=3)


def gravest(changes: Sequence[Change], most: int) -> list[Change]:
    """At most `most` changes, in the given order: what went wrong, then the smallest p."""

    def weigh(index: int) -> tuple[int, float, float]:
        change = changes[index]
        gravity = (*_GRAVE, change.direction).index(change.direction)
        p = change.p_holm if math.isfinite(change.p_holm) else 2.0
        size = abs(change.difference) if math.isfinite(change.difference) else -1.0
        return gravity, p, -size

    by_weight = sorted(range(len(changes)), key=weigh)
    return [changes[index] for index in sorted(by_weight[: max(0, most)])]


def matrix_cell(shown: Change | Estimate) -> tuple[Cell, str]:
    """The estimate, or the value after a change, and the value before it as text."""
    if isinstance(shown, Estimate):
        return cell(shown.value, shown.low, shown.high), ""
    value, before, *ends = map(
        minus, numbers(shown.after, shown.before, shown.after_low, shown.after_high)
    )
    return Cell(value, brackets(*ends), shown.after), before
