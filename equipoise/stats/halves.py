"""How differently a metric changed in two groups of items: both changes, and their difference.

Where an edit should move two kinds of items alike and another cause moves them apart, neither
change alone tells which it was. Paired as any change: the same draws of clusters on all sides and
in both groups (`compare`).
"""

from dataclasses import replace

import numpy as np

from equipoise.conclusions import Change, gap_name
from equipoise.metrics.weighted import LazyColumns, Weighted, Weights, values_of
from equipoise.records import Column, Columns, Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.pairing import Paired
from equipoise.stats.resample import select


def compare_halves(
    metric: Metric, key: str, paired: Paired, *, draws: int, seed: int
) -> list[Change]:
    """The change of `gap_of` on the items that have a group of the key; none without both groups.

    Its difference is that of the two changes, the first group's less the second's.
    """
    names = [outcome.groups.get(key) for outcome in paired.outcomes]
    if len({name for name in names if name is not None}) != 2:
        return []
    mask = np.array([name is not None for name in names])
    sides = Sides(
        before=select(paired.sides.before, mask),
        afters=tuple(select(side, mask) for side in paired.sides.afters),
        other_befores=tuple(select(side, mask) for side in paired.sides.other_befores),
    )
    return compare_metrics([gap_of(metric, key)], sides, draws=draws, seed=seed)


def gap_of(metric: Metric, key: str) -> Metric:
    """The metric in the first of two groups, in the order of their names, less it in the second.

    In the metric's unit, without an ideal. nan where either is.
    """

    def difference(columns: Columns, weights: Weights) -> Column:
        first, second = (_within(metric, key, code, columns, weights) for code in (0, 1))
        return first - second

    return replace(
        metric,
        name=gap_name(metric.name, key),
        of=Weighted(difference),
        source=f"ours: {metric.name} in one group of {key} less the other",
        ideal=None,
        higher_is_better=None,
        low=-metric.high,
        margin=None,
        grid=None,
    )


def _within(metric: Metric, key: str, code: int, columns: Columns, weights: Weights) -> Column:
    rows = np.flatnonzero(columns["@" + key] == code)
    part = Weights(weights.clusters[rows], weights.counts)
    return values_of(metric, LazyColumns(columns, lambda name: columns[name][rows]), part)
