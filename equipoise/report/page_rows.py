"""Changes and estimates as rows of a table with a plot: texts, sorting keys and places."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Direction
from equipoise.records import Estimate
from equipoise.report.axis import Axis, Whisker, axis_of, minus, whisker
from equipoise.report.sentences import WORD, group_name, numbers, probability

#: The word for a loss that is shown to be smaller than its margin.
WITHIN = "worse, within the margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A direction, or another state, as a word with a color."""

    tone: str  # a Direction or "within", to which the style sheet gives a color and a sign
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number as text with its interval, and what the table sorts it by (nan: last)."""

    value: str
    held: str  # its interval, "[49.0, 55.9]"; "" where there is none
    sort: float

    @property
    def text(self) -> str:
        """Both, on one line."""
        return f"{self.value} {self.held}" if self.held else self.value

    @property
    def key(self) -> str:
        """What the page's script sorts by."""
        return f"{self.sort:.7g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One change as the page shows it."""

    name: str
    unit: str
    before: Cell
    after: Cell
    difference: Cell
    effect: Cell
    p: Cell
    n: int
    clusters: int
    badge: Badge
    start: Whisker | None  # before
    end: Whisker | None  # after
    axis: Axis
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRow:
    """One estimate as the page shows it."""

    name: str
    unit: str
    value: Cell
    n: int
    clusters: int
    point: Whisker | None
    axis: Axis
    reason: str | None


def badge(direction: Direction) -> Badge:
    """The badge of a direction."""
    return Badge(tone=direction, word=WORD[direction])


def badge_of(change: Change) -> Badge:
    """The badge of a change: a loss that is shown to be within its margin is no alarm.

    So that a cell does not call "worse" what the verdict calls "kept", and nothing more.
    """
    claim = change.claim
    if change.direction == "worse" and claim is not None and claim.kind == "not_worse":
        return Badge(tone="within", word=WITHIN) if claim.shown else badge("worse")
    return badge(change.direction)


def change_rows(changes: Iterable[Change], *, grouped: bool = False) -> tuple[ChangeRow, ...]:
    """One row per change, each on its own scale; with `grouped` the name has the group."""
    return tuple(
        named_row(
            change, f"{change.metric}, {group_name(change.group)}" if grouped else change.metric
        )
        for change in changes
    )


def named_row(change: Change, name: str) -> ChangeRow:
    """A row of a change under another name, on its own scale."""
    return row(change, name, axis=shared_axis([change]))


def estimate_rows(estimates: Iterable[Estimate]) -> tuple[EstimateRow, ...]:
    """One row per estimate, each on its own scale."""
    return tuple(_estimate_row(estimate) for estimate in estimates)


def cell(value: float, low: float, high: float) -> Cell:
    """A value with its interval, sorted by the value."""
    text, start, end = map(minus, numbers(value, low, high))
    return Cell(value=text, held="" if "n/a" in (start, end) else f"[{start}, {end}]", sort=value)


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


def row(change: Change, name: str, *, axis: Axis) -> ChangeRow:
    """A change under that name, drawn on that axis."""
    before = change.before, change.before_low, change.before_high
    after = change.after, change.after_low, change.after_high
    effect = change.effect
    return ChangeRow(
        name=name,
        unit=change.unit,
        before=cell(*before),
        after=cell(*after),
        difference=cell(change.difference, change.low, change.high),
        effect=_bare("n/a" if math.isnan(effect) else minus(f"{effect:.2f}"), effect),
        p=_bare(probability(change.p_holm), change.p_holm),
        n=change.n,
        clusters=change.clusters,
        badge=badge_of(change),
        start=whisker(*before, axis=axis),
        end=whisker(*after, axis=axis),
        axis=axis,
        reason=change.reason,
    )


def _bare(text: str, value: float) -> Cell:
    return Cell(value=text, held="", sort=value)


def _estimate_row(estimate: Estimate) -> EstimateRow:
    axis = axis_of((estimate.value, estimate.low, estimate.high), ideal=estimate.ideal, ticks=3)
    name = (
        estimate.metric
        if not estimate.group
        else f"{estimate.metric}, {group_name(estimate.group)}"
    )
    return EstimateRow(
        name=name,
        unit=estimate.unit,
        value=cell(estimate.value, estimate.low, estimate.high),
        n=estimate.n,
        clusters=estimate.clusters,
        point=whisker(estimate.value, estimate.low, estimate.high, axis=axis),
        axis=axis,
        reason=estimate.reason,
    )
