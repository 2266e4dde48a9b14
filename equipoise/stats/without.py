"""What leaving rows out does to metrics: their values on the other rows, and the paired change."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Columns, Metric
from equipoise.stats.resample import (
    Interval,
    bootstrap,
    percentile_interval,
    point,
    resampled,
    select,
)

CHANGE = "_change"  # at the end of a metric's name: what leaving rows out does to it


def without_rows(
    metrics: Sequence[Metric],
    columns: Columns,
    left_out: Sequence[NDArray[np.bool_]],
    *,
    draws: int,
    seed: int,
) -> list[list[tuple[Interval, Interval]]]:
    """For each set of rows and each metric: its value without them, and the change that makes.

    `columns` as from `resample.columns_of`, `left_out`: [row] each. A value without rows is that of
    `resample.bootstrap` on the other rows, as if they alone had been measured. A change is the
    value without them less that of all rows, in the metric's unit; 0: they make no difference. Its
    interval is from draws of whole clusters, the same for both values; its n and clusters count
    what is left out, on which it rests, so that below 2 clusters it has no interval.
    """
    every = np.full(len(columns[CLUSTER]), True)
    sides = [dict(columns), *(_masked(columns, rows) for rows in left_out)]
    drawn = resampled(metrics, sides, draws=draws, seed=seed)
    results = []
    for side, rows in enumerate(left_out, start=1):
        kept = select(columns, every & ~rows)
        without = bootstrap(metrics, kept, draws=draws, seed=seed)
        changes = [
            _change(
                point(metric, columns),
                other,
                drawn[side, :, k] - drawn[0, :, k],
                point(metric, select(columns, rows)),
            )
            for k, (metric, other) in enumerate(zip(metrics, without, strict=True))
        ]
        results.append(list(zip(without, changes, strict=True)))
    return results


def _masked(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """The columns with nan in these rows, which metrics then leave out, in the same clusters."""
    return {
        key: column if key.startswith("@") else np.where(rows, math.nan, column)
        for key, column in columns.items()
    }


def _change(
    every: Interval, without: Interval, drawn: NDArray[np.float64], lost: Interval
) -> Interval:
    value = without.value - every.value
    if not math.isfinite(value):
        reason = every.reason or without.reason
        return replace(lost, value=math.nan, low=math.nan, high=math.nan, reason=reason)
    low, high, reason = percentile_interval(value, drawn, clusters=lost.clusters)
    return replace(lost, value=value, low=low, high=high, reason=reason)
