"""Metrics of many resamples at once: rows count as often as their cluster was drawn.

A bootstrap draws whole clusters with replacement, and a permutation exchanges the sides of some:
either way a cluster's rows are there a whole number of times. So a metric of a thousand draws is a
few products of a matrix [draw, cluster] with sums per cluster, and no draw's rows are gathered.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column, Columns, Margin, Metric

CLUSTER = "@cluster"  # the column of cluster numbers

Codes: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Value: TypeAlias = Callable[[Columns, "Weights"], Column]  # columns are [row], values [draw]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """How often each row counts, in each of many draws.

    Reductions take [row] and give [draw], or a single number where `counts` has no axis of draws.
    Rows whose value is nan are left out; with no row left the answer is nan.
    """

    clusters: Codes  # [row] number of the row's cluster, from 0
    counts: Column  # [draw, cluster], or [cluster]: how often each was drawn
    _sizes: dict[bytes, Column] = field(default_factory=dict, init=False)  # by the rows' marks

    @classmethod
    def once(cls, codes: Column) -> "Weights":
        """Every row once, in no draw: plain values. `codes`: the rows' clusters, in any numbers."""
        names, clusters = np.unique(codes, return_inverse=True)
        return cls(clusters, np.ones(len(names)))

    def total(self, values: Column, rows: Mask) -> Column:
        """The sum over the marked rows, of which none may be nan."""
        clusters = self.clusters
        if not rows.all():
            clusters, values = clusters[rows], values[rows]
        sums = np.bincount(clusters, values, self.counts.shape[-1])
        # Without a row numpy counts in integers, whatever the type of the weights.
        return _product(self.counts, sums.astype(np.float64, copy=False))

    def size(self, rows: Mask) -> Column:
        """How many rows are marked, each as often as it was drawn."""
        marks = rows.tobytes()  # metrics of one benchmark ask for the same few
        if marks not in self._sizes:
            self._sizes[marks] = self.total(np.ones(len(rows)), rows)
        return self._sizes[marks]

    def mean(self, values: Column) -> Column:
        """Mean over rows."""
        rows = ~np.isnan(values)
        return ratio(self.total(values, rows), self.size(rows))

    def median(self, values: Column) -> Column:
        """Median over rows; of an even number halfway between the two in the middle."""
        order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
        if not len(order):
            return np.full(self.counts.shape[:-1], math.nan)
        # Counts are whole: int32 halves the largest matrix of all metrics, which is [draw, row].
        reached = self.counts.astype(np.int32)[..., self.clusters[order]]
        np.cumsum(reached, axis=-1, out=reached)
        size = reached[..., -1:]
        # The first row before which as many are counted as come before the middle.
        low, high = (
            np.count_nonzero(reached <= before, axis=-1) for before in ((size - 1) // 2, size // 2)
        )
        ordered = np.append(values[order], math.nan)  # the end is reached where nothing was drawn
        return np.asarray((ordered[low] + ordered[high]) / 2)

    def cluster_means(self, values: Column, rows: Mask) -> tuple[Column, Mask]:
        """Each cluster's mean over the marked rows, 0 without any; and which clusters have some."""
        width = self.counts.shape[-1]
        sizes = np.bincount(self.clusters[rows], minlength=width)
        sums = np.bincount(self.clusters[rows], values[rows], width)
        return sums / np.maximum(sizes, 1), sizes > 0

    def macro(self, values: Column) -> Column:
        """Mean over clusters of the mean within each; a cluster drawn twice counts twice."""
        means, present = self.cluster_means(values, ~np.isnan(values))
        return ratio(_product(self.counts, means), _product(self.counts, present.astype(float)))

    def macro_within(self, values: Column, groups: Column) -> Column:
        """`macro` within each group: [draw, group], in the order of the codes that have a row.

        nan where a group was not drawn. Rows without a group (code -1) are left out.
        """
        sums, sizes, clusters, starts = self.cells(values, groups)
        drawn = self.counts[..., clusters]
        return ratio(_sums(drawn, sums / sizes, starts), _sums(drawn, np.ones(1), starts))

    def mean_within(self, values: Column, groups: Column | Codes) -> Column:
        """`mean` within each group: [draw, group], as of `macro_within`."""
        sums, sizes, clusters, starts = self.cells(values, groups)
        drawn = self.counts[..., clusters]
        return ratio(_sums(drawn, sums, starts), _sums(drawn, sizes, starts))

    def macro_over(self, values: Column, groups: Column) -> Column:
        """Mean over groups of the mean within each; a group that was drawn counts once.

        `groups`: codes, [row]. Rows without a group (code -1) are left out.
        """
        return mean_over_groups(self.mean_within(values, groups))

    def cells(self, values: Column, groups: Column | Codes) -> tuple[Column, Column, Codes, Codes]:
        """The rows that share a group and a cluster, sorted by group: sums, sizes and clusters.

        Last comes the place of each group's first cell.
        """
        rows = ~np.isnan(values) & (groups >= 0)
        width = self.counts.shape[-1]
        codes = groups[rows].astype(np.intp) * width + self.clusters[rows]
        cells, cell = np.unique(codes, return_inverse=True)
        group, cluster = np.divmod(cells, width)
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        sums = np.bincount(cell, values[rows], len(cells)).astype(np.float64, copy=False)
        sizes = np.bincount(cell, minlength=len(cells)).astype(np.float64)
        return sums, sizes, cluster, starts


@dataclass(frozen=True, slots=True)
class Weighted:
    """A metric's function that can take all draws at once: `Metric.of` of every built-in metric.

        Metric(name="gap", of=Weighted(lambda c, w: w.mean(np.abs(c["he"] - c["she"]))), …)

    `values` gets the columns, [row], and their weights; it gives a value per draw and never looks
    at "@cluster", which the weights stand for. Called with columns alone it is a plain metric.
    """

    values: Value

    def __call__(self, columns: Columns) -> float:
        """The value on all rows."""
        return float(self.values(columns, Weights.once(columns["@cluster"])))


def mean_of(column: str) -> Weighted:
    """The mean of a column over the rows that have a value, for `Metric.of`."""
    return Weighted(lambda c, w: w.mean(c[column]))


def mean_if_any(column: str) -> Weighted:
    """The same of a column that may be missing, since no row had a value."""
    return Weighted(lambda c, w: w.mean(c.get(column, np.full(len(w.clusters), math.nan))))


def mean_absolute(column: str) -> Weighted:
    """The mean of a column's absolute values, likewise."""
    return Weighted(lambda c, w: w.mean(np.abs(c[column])))


def percent(  # noqa: PLR0913
    name: str,
    of: Value,
    *,
    source: str,
    ideal: float | None = None,
    better: bool | None = None,
    low: float = 0.0,
    grid: float | None = None,
    margin: float | None = None,
    needs: str | None = None,
) -> Metric:
    """A metric in percent, up to 100. `better`: whether more is; `margin` in points."""
    return Metric(
        name=name, of=Weighted(of), unit="%", source=source, ideal=ideal, higher_is_better=better,
        low=low, high=100.0, grid=grid, margin=None if margin is None else Margin(size=margin),
        needs=needs,
    )  # fmt: skip


def ratio(numerator: Column, denominator: Column) -> Column:
    """Numerator / denominator; nan where the denominator is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, np.divide(numerator, denominator), math.nan)


def mean_over_groups(values: Column) -> Column:
    """Mean along the last axis of what is not nan; nan where all of it is."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1))


def _product(counts: Column, sums: Column) -> Column:
    with np.errstate(invalid="ignore"):  # infinite sums, of a metric that is not finite either
        return np.asarray(counts @ sums)


def _sums(counts: Column, sums: Column, starts: Codes) -> Column:
    """Counts * sums, added up from each start to the next: [draw, start]."""
    if not len(starts):
        return np.empty((*counts.shape[:-1], 0))
    with np.errstate(invalid="ignore"):
        return np.add.reduceat(counts * sums, starts, axis=-1)


# --- metrics in draws -----------------------------------------------------------------------


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
    values = [
        # not asked about no rows: a plain function need not know an answer
        metric.of(_repeat_rows(columns, weights.clusters, draw))
        if draw[weights.clusters].any()
        else math.nan
        for draw in counts
    ]
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
