"""Draws of whole clusters, and metrics on them: all draws at once, or in turn on gathered rows.

Field & Welsh 2007: whole clusters are drawn, with replacement, as often as there are clusters.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Weighted, Weights, ratio
from equipoise.records import Column, Columns, Metric

CLUSTER = "@cluster"
BLOCK = 2**18  # numbers of a matrix [draw, cluster] at a time: they stay in the processor's cache

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Rows sorted so that each cluster is a run; what drawing whole clusters needs."""

    numbers: Index  # [row] number of the row's cluster, from 0
    order: Index  # [row] position in the caller's columns
    starts: Index  # [cluster] first row of each run
    lengths: Index  # [cluster]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.starts)

    @property
    def once(self) -> Weights:
        """Weights of the rows as they are."""
        return Weights(self.numbers, np.ones(self.count))

    def rows(self, drawn: Index) -> Index:
        """Positions, in the caller's columns, of the rows of the drawn clusters, in turn."""
        lengths = self.lengths[drawn]
        ends = np.cumsum(lengths)
        shift = np.repeat(self.starts[drawn] - (ends - lengths), lengths)
        return self.order[shift + np.arange(len(shift))]

    def codes(self, drawn: Index) -> Index:
        """New cluster codes of those rows: a cluster that is drawn twice gets two codes."""
        return np.repeat(np.arange(len(drawn)), self.lengths[drawn])


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


def _gather(columns: Columns, rows: Index, codes: Index) -> LazyColumns:
    """The columns at some rows, whose clusters have these codes."""
    gathered = LazyColumns(columns, lambda key: columns[key][rows])
    gathered.read[CLUSTER] = cast(Column, codes)
    return gathered


def spread(metric: Metric, *, over: str) -> Metric:
    """The metric's standard deviation (ddof = 1) over the groups of a key, e.g. over prefixes.

    Named "<metric>_spread", in the metric's unit. 0: the groups agree. nan with fewer than two
    groups, or where the metric is nan in any of them.
    """
    inner = metric.of

    def groups(columns: Columns) -> Iterator[tuple[Index, Columns]]:
        codes = columns["@" + over]
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            yield rows, _gather(columns, rows, cast(Index, columns[CLUSTER][rows]))

    def plain(columns: Columns) -> float:
        values = [inner(group) for _, group in groups(columns)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    def weighted(of: Weighted, columns: Columns, weights: Weights) -> Column:
        values, drawn = [], []
        for rows, group in groups(columns):
            part = Weights(weights.clusters[rows], weights.counts)
            values.append(of.values(group, part))
            drawn.append(part.size(np.ones(len(rows), dtype=bool)) > 0)
        present = np.array(drawn)
        size = np.asarray(present.sum(axis=0), dtype=float)
        mean = ratio(np.where(present, values, 0.0).sum(axis=0), size)
        gaps = np.where(present, values - mean, 0.0)
        return np.sqrt(ratio(np.asarray((gaps**2).sum(axis=0)), size - 1))

    return Metric(
        name=f"{metric.name}_spread",
        of=Weighted(partial(weighted, inner)) if isinstance(inner, Weighted) else plain,
        unit=metric.unit,
        source=f"standard deviation of {metric.name} over {over}",
        low=0.0,
    )


def clusters_of(columns: Columns) -> Clusters:
    """Number the clusters in the order of their codes, and sort the rows by cluster."""
    _, numbers, lengths = np.unique(columns[CLUSTER], return_inverse=True, return_counts=True)
    return Clusters(
        numbers=numbers,
        order=np.argsort(numbers, kind="stable"),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
    )


def drawn_clusters(clusters: Clusters, *, draws: int, seed: int) -> Iterator[Index]:
    """As many clusters as there are, with replacement, per draw: [draw, cluster], in blocks.

    Settled by the seed, whatever the size of a block: the generator's numbers come in turn.
    """
    generator = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, clusters.count))
    for start in range(0, draws, size):
        shape = (min(size, draws - start), clusters.count)
        yield generator.integers(clusters.count, size=shape)


def resampled(
    metrics: Sequence[Metric],
    sides: Sequence[Columns],
    clusters: Clusters,
    *,
    draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Metric values under resampling: [side, draw, metric], each draw the same on all sides.

    `sides` have the same rows in the same clusters.
    """
    values = np.full((len(sides), draws, len(metrics)), math.nan)
    plain = [k for k, metric in enumerate(metrics) if not isinstance(metric.of, Weighted)]
    start = 0
    for drawn in drawn_clusters(clusters, draws=draws, seed=seed):
        block = slice(start, start + len(drawn))
        cells = (drawn + clusters.count * np.arange(len(drawn))[:, None]).ravel()
        counts = np.bincount(cells, minlength=drawn.size).astype(float).reshape(drawn.shape)
        weights = Weights(clusters.numbers, counts)  # how often each cluster is in each draw
        for side, columns in enumerate(sides):
            for k, metric in enumerate(metrics):
                if isinstance(metric.of, Weighted):
                    values[side, block, k] = metric.of.values(columns, weights)
        for index, draw in enumerate(drawn if plain else ()):
            rows, codes = clusters.rows(draw), clusters.codes(draw)
            for side, columns in enumerate(sides):
                gathered = _gather(columns, rows, codes)
                for k in plain:
                    values[side, start + index, k] = metrics[k].of(gathered)
        start += len(drawn)
    return values
