"""Changes and estimates as rows of a table with a plot: texts, sorting keys and scales."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from equipoise.conclusions import Change, Direction
from equipoise.records import Estimate
from equipoise.report.axis import Axis, axis_of, minus
from equipoise.report.sentences import WORD, brackets, group_name, numbers, probability

#: The word for a loss that is shown to be smaller than its margin.
WITHIN = "worse, within the margin"
Shown = TypeVar("Shown", Change, Estimate)
_GRAVE: tuple[Direction, ...] = ("reversed", "worse", "unclear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A direction, or another state, as a word with a color."""

    tone: str  # a Direction or "within", to which the style sheet gives a color and a sign
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number as text with its interval, and what the table sorts it by (nan: last)."""

    value: str
    interval: str = ""  # "[49.0, 55.9]"; "" where there is none
    sort: float

    @property
    def text(self) -> str:
        """Both, on a line."""
        return f"{self.value} {self.interval}".rstrip()

    @property
    def key(self) -> str:
        """What the page's script sorts by."""
        return f"{self.sort:.7g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[Shown]):
    """A change or an estimate under a name, drawn on an axis."""

    name: str
    shown: Shown
    axis: Axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """A forest plot: the groups of a metric, on a common scale with the ideal line."""

    metric: str
    rows: tuple[Row[Change], ...]
    axis: Axis
    left_out: int = 0  # those that changed least


def badge(direction: Direction) -> Badge:
    """The badge of a direction."""
    return Badge(tone=direction, word=WORD[direction])


def badge_of(change: Change) -> Badge:
    """The badge of a change: a loss that is shown to be within its margin is no alarm.

    So that a cell does not call "worse" what the verdict calls "kept", and nothing more.
    """
    claim = change.claim
    if change.direction == "worse" and claim and claim.kind == "not_worse" and claim.shown:
        return Badge(tone="within", word=WITHIN)
    return badge(change.direction)


def change_rows(changes: Iterable[Change], *, grouped: bool = False) -> tuple[Row[Change], ...]:
    """One row per change, each on its own scale; with `grouped` the name has the group."""
    return tuple(
        named_row(
            change, f"{change.metric}, {group_name(change.group)}" if grouped else change.metric
        )
        for change in changes
    )


def named_row(change: Change, name: str) -> Row[Change]:
    """A row of a change under another name, on its own scale."""
    return Row(name=name, shown=change, axis=shared_axis([change]))


def estimate_rows(estimates: Iterable[Estimate]) -> tuple[Row[Estimate], ...]:
    """One row per estimate, each on its own scale."""
    return tuple(
        Row(
            name=f"{e.metric}, {group_name(e.group)}" if e.group else e.metric,
            shown=e,
            axis=axis_of((e.value, e.low, e.high), ideal=e.ideal, ticks=3),
        )
        for e in estimates
    )


def cell(value: float, low: float, high: float) -> Cell:
    """A value with its interval, sorted by the value."""
    text, *ends = map(minus, numbers(value, low, high))
    return Cell(value=text, interval=brackets(*ends), sort=value)


def plain_cell(value: float) -> Cell:
    """A number to two decimals, such as an effect, which has no interval."""
    return Cell(value="n/a" if math.isnan(value) else minus(f"{value:.2f}"), sort=value)


def p_cell(p: float) -> Cell:
    """A p-value, which has no interval."""
    return Cell(value=probability(p), sort=p)


def shared_axis(changes: Sequence[Change], *, ticks: int = 3) -> Axis:
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


def forest(changes: Sequence[Change], *, most: int) -> Forest | None:
    """The changes of a metric, a row per group, on a common scale; None without changes.

    Of more than `most`, only the `gravest` are shown.
    """
    if not changes:
        return None
    shown = gravest(changes, most=most)
    axis = shared_axis(shown, ticks=4)
    return Forest(
        metric=changes[0].metric,
        rows=tuple(Row(name=group_name(change.group), shown=change, axis=axis) for change in shown),
        axis=axis,
        left_out=len(changes) - len(shown),
    )


def gravest(changes: Sequence[Change], *, most: int) -> list[Change]:
    """At most `most` changes, in the given order: what went wrong, then the smallest p."""
    by_weight = sorted(range(len(changes)), key=lambda index: _weigh(changes[index]))
    return [changes[index] for index in sorted(by_weight[: max(0, most)])]


def _weigh(change: Change) -> tuple[int, float, float]:
    gravity = _GRAVE.index(change.direction) if change.direction in _GRAVE else len(_GRAVE)
    p = change.p_holm if math.isfinite(change.p_holm) else 2.0
    size = abs(change.difference) if math.isfinite(change.difference) else -1.0
    return gravity, p, -size
