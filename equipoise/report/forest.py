"""A forest plot: the groups of one metric before and after, on one scale with the ideal line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Direction
from equipoise.report.axis import Axis
from equipoise.report.page_rows import ChangeRow, row, shared_axis
from equipoise.report.sentences import group_name

_GRAVE: tuple[Direction, ...] = ("reversed", "worse", "unclear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Rows on one scale; those left out changed least."""

    metric: str
    unit: str
    rows: tuple[ChangeRow, ...]
    axis: Axis
    left_out: int = 0


def forest(changes: Sequence[Change], *, most: int) -> Forest | None:
    """The changes of a metric, one row per group, on a common scale; None without changes.

    Of more than `most`, only the `gravest` are shown.
    """
    if not changes:
        return None
    shown = gravest(changes, most=most)
    axis = shared_axis(shown, ticks=4)
    return Forest(
        metric=changes[0].metric,
        unit=changes[0].unit,
        rows=tuple(row(change, group_name(change.group), axis=axis) for change in shown),
        axis=axis,
        left_out=len(changes) - len(shown),
    )


def gravest(changes: Sequence[Change], *, most: int) -> list[Change]:
    """At most `most` changes, in the given order: what went wrong, then the smallest p."""
    by_weight = sorted(range(len(changes)), key=lambda k: _weight(changes[k]))
    return [changes[k] for k in sorted(by_weight[: max(0, most)])]


def _weight(change: Change) -> tuple[int, float, float]:
    gravity = _GRAVE.index(change.direction) if change.direction in _GRAVE else len(_GRAVE)
    p = change.p_holm if math.isfinite(change.p_holm) else 2.0
    size = abs(change.difference) if math.isfinite(change.difference) else -1.0
    return gravity, p, -size
