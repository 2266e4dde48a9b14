"""Metrics of items that were asked about twice: as the data have them, and with capitals restored.

An outcome has each value a second time, its name with `RESTORED` at the end.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from equipoise.metrics.weighted import LazyColumns, Value, Weighted, percent, values_of
from equipoise.records import Column, Columns, Metric

RESTORED: Final = "_restored"


def in_both_cases(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Each metric with capitals restored, how much it changes by that, and how many preferences do.

    `NAME_restored`, and `NAME_restored_change`, restored less official, paired by item, in the
    metric's unit; 0: case does not matter. `prefers_restored_flips`: percent of items whose
    preference between stereotype and anti-stereotype is another, of all that were measured.
    """
    restored = [
        replace(metric, name=metric.name + RESTORED, of=Weighted(_restored(metric)))
        for metric in metrics
    ]
    changes = [
        Metric(
            name=f"{metric.name}{RESTORED}_change", of=Weighted(_change(metric)), unit=metric.unit,
            source="ours: restored less official, paired",
        )
        for metric in metrics
    ]  # fmt: skip
    flips = percent(
        f"prefers{RESTORED}_flips",
        lambda c, w: 100 * w.mean(_flips(c["prefers"], c["prefers" + RESTORED])),
        source="ours",
    )
    return (*restored, *changes, flips)


def _restored(metric: Metric) -> Value:
    return lambda c, w: values_of(metric, _second(c), w)


def _change(metric: Metric) -> Value:
    return lambda c, w: values_of(metric, _second(c), w) - values_of(metric, c, w)


def _second(columns: Columns) -> Columns:
    """The columns by the names of the first, groups as they are."""
    return LazyColumns(columns, lambda key: columns[key if key.startswith("@") else key + RESTORED])


def _flips(first: Column, second: Column) -> Column:
    """1 where two preferences differ, 0 where not, nan where either is."""
    differ = (first != second).astype(float)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, differ)
