"""Draws of whole clusters, and metrics on them.

Field & Welsh 2007: whole clusters are drawn, with replacement, as often as there are clusters.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Codes, Weighted, Weights, ratio
from equipoise.records import Column, Columns, Metric

CLUSTER = "@cluster"
BLOCK = 2**18  # numbers of a matrix [draw, cluster] at a time: they stay in the processor's cache


class LazyColumns(Mapping[str, Column]):
    """Columns that are computed when a metric first reads them, then kept in `read`."""

    def __init__(self, keys: Columns, compute: Callable[[str], Column]) -> None:
        self._keys = keys
        self._compute = compute
        self.read: dict[str, Column] = {}

    def __getitem__(self, key: str) -> Column:
        if key not in self.read:
            self.read[key] = self._compute(key)
        return self.read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def values_of(metric: Metric, columns: Columns, weights: Weights) -> Column:
    """A metric's value in each draw: all at once where it is `Weighted`, else in turn.

    A plain function gets the drawn rows, in which a cluster that is drawn twice has two codes.
    """
    if isinstance(metric.of, Weighted):
        return metric.of.values(columns, weights)
    counts = weights.counts.reshape(-1, weights.counts.shape[-1]).astype(np.intp)
    values = [metric.of(_repeat_rows(columns, weights.clusters, draw)) for draw in counts]
    return np.reshape(values, weights.counts.shape[:-1])


def _repeat_rows(columns: Columns, clusters: Codes, counts: Codes) -> LazyColumns:
    """The columns with each row as often as its cluster was drawn."""
    times = counts[clusters]
    rows = np.arange(len(times)).repeat(times)

    def compute(key: str) -> Column:
        if key != CLUSTER:
            return columns[key][rows]
        # A copy of a cluster has a code of its own: a mean over clusters would count both as one.
        copies = np.arange(len(rows)) - (np.cumsum(times) - times).repeat(times)
        return cast(Column, clusters[rows] + len(counts) * copies)

    return LazyColumns(columns, compute)


def _gather(columns: Columns, rows: Codes) -> LazyColumns:
    return LazyColumns(columns, lambda key: columns[key][rows])


def resampled(
    metrics: Sequence[Metric], sides: Sequence[Columns], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """Metric values under resampling: [side, draw, metric], each draw the same on all sides.

    `sides` have the same rows in the same clusters.
    """
    values = np.full((len(sides), draws, len(metrics)), math.nan)
    once = Weights.once(sides[0][CLUSTER])
    count = len(once.counts)
    # Draws do not depend on the size of a block: the generator's numbers come in turn.
    generator = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, count))
    for start in range(0, draws, size):
        drawn = generator.integers(count, size=(min(size, draws - start), count))
        cells = (drawn + count * np.arange(len(drawn))[:, None]).ravel()
        counts = np.bincount(cells, minlength=drawn.size).astype(float).reshape(drawn.shape)
        weights = Weights(once.clusters, counts)
        for (side, columns), (k, metric) in product(enumerate(sides), enumerate(metrics)):
            values[side, start : start + len(drawn), k] = values_of(metric, columns, weights)
    return values


def spread(metric: Metric, *, over: str) -> Metric:
    """The metric's standard deviation (ddof = 1) over the groups of a key, e.g. over prefixes.

    Named "<metric>_spread", in the metric's unit. 0: the groups agree. nan with fewer than two
    groups, or where the metric is nan in any of them.
    """

    def deviation(columns: Columns, weights: Weights) -> Column:
        values, drawn = [], []
        codes = columns["@" + over]
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            part = Weights(weights.clusters[rows], weights.counts)
            values.append(values_of(metric, _gather(columns, rows), part))
            # A group that was not drawn is left out; one that is nan makes the spread nan.
            drawn.append(part.size(np.ones(len(rows), dtype=bool)) > 0)
        present = np.array(drawn)
        size = np.asarray(present.sum(axis=0), dtype=float)
        mean = ratio(np.where(present, values, 0.0).sum(axis=0), size)
        gaps = np.where(present, values - mean, 0.0)
        return np.sqrt(ratio(np.asarray((gaps**2).sum(axis=0)), size - 1))

    return Metric(
        name=f"{metric.name}_spread",
        of=Weighted(deviation),
        unit=metric.unit,
        source=f"standard deviation of {metric.name} over {over}",
        low=0.0,
    )
