"""Disparity: how far groups lie apart in a value of their texts, and how far they would by chance.

The gap is the largest of the groups' means less the smallest, within a domain (genders are held
against each other, not against religions), and over several domains the mean of their gaps. It is
never below 0, and the smaller the groups, the larger without any difference between them. So beside
it stands what it is when clusters (the entities that texts are about) are dealt to the groups of
their domain at random, as many to each group as it has: Good 2005, "Permutation, Parametric and
Bootstrap Tests of Hypotheses", chapter 3. A cluster's texts go together, for they are alike. What
is dealt is how far a cluster's mean lies from that of all, in units of how far those of clusters of
its size do (from the variances between and within clusters): where one group has small clusters
and another large ones, its mean is the less certain, dealt as observed. Of clusters of one size
this is dealing the clusters themselves. Within clusters that have texts of every group, their
means are dealt.

Columns have shape [text].
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from equipoise.metrics.weighted import (
    CLUSTER,
    Codes,
    Weighted,
    Weights,
    mean_over_groups,
    ratio,
)
from equipoise.records import Column, Columns, Metric

Spread: TypeAlias = Callable[[Column], Column]  # of [..., group], over the groups

#: Random deals; what was observed counts as one more, so that no p is below 1 in 2,001.
DEALS: Final = 2_000
UPPER: Final = 0.95  # quantile of the deals that is reported
_TIE: Final = 1e-9  # of the values' spread: deals that tie with what was observed count as it does
_UNIT: Final = "@prompt"  # of samples: rows of a cluster that share it are one prompt's
_BLOCK: Final = 2**20  # numbers of a block of deals


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Which groups are held against each other: those of a key, within each group of another."""

    groups: str = "compared"  # key of the groups; texts without it are in no gap
    within: str | None = None  # key of the domains; None: all groups are of one
    #: a cluster has texts of every group, which are dealt within it: a scene about each of them
    paired: bool = False


def range_of(means: Column) -> Column:
    """The largest less the smallest mean: [..., group] to [...]; nan of fewer than two."""
    present = ~np.isnan(means)
    high = np.where(present, means, -math.inf).max(axis=-1)
    low = np.where(present, means, math.inf).min(axis=-1)
    return np.where(present.sum(axis=-1) > 1, high - low, math.nan)


def variance_of(means: Column) -> Column:
    """The variance (ddof = 1) of the means, likewise. Sampling noise is in it."""
    present = ~np.isnan(means)
    size = present.sum(axis=-1).astype(np.float64)
    mean = ratio(np.where(present, means, 0.0).sum(axis=-1), size)
    squares = np.where(present, (means - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    return ratio(squares, size - 1.0)


def disparity(
    columns: Columns, weights: Weights, name: str, compared: Compared, *, spread: Spread
) -> Column:
    """The spread of the groups' means of a column, the mean over domains: [draw].

    Rows whose value is nan, and those without a group, are left out; so are, in a draw, groups that
    it lacks. nan where no domain has two groups.
    """
    values, codes, domains = _read(columns, name, compared)
    if not domains:
        return np.full(weights.counts.shape[:-1], math.nan)
    means = weights.mean_within(values, codes)
    spreads = [spread(means[..., groups]) for groups in domains]
    return mean_over_groups(np.stack(spreads, axis=-1))


def deviation(
    columns: Columns, weights: Weights, name: str, compared: Compared, *, spread: Spread
) -> Column:
    """The spread of how far the groups' means of each draw lie from those of all rows: [draw].

    A range of means differs from the true one by no more than the range of the means' errors, so
    that the interval of a gap is the gap ± the 95 % quantile of this; over domains likewise, as
    their errors add up at most. A group's part is widened by sqrt(k / (k - 1)) for its k clusters;
    nan in draws that lack a group, and where a group has a single cluster, of whose mean no draw
    says how uncertain it is.
    """
    values, codes, domains = _read(columns, name, compared)
    if not domains:
        return np.full(weights.counts.shape[:-1], math.nan)
    moved = weights.mean_within(values, codes)
    once = Weights(weights.clusters, np.ones(weights.counts.shape[-1]))
    sums, _, _, starts = once.cells(values, codes)
    clusters = np.diff(np.append(starts, len(sums))).astype(np.float64)
    wider = np.sqrt(ratio(clusters, clusters - 1.0))
    moved = (moved - once.mean_within(values, codes)) * wider
    compared_groups = np.concatenate(domains)
    lacking = np.isnan(moved[..., compared_groups]).any(axis=-1)
    spreads = [spread(moved[..., groups]) for groups in domains]
    return np.where(lacking, math.nan, mean_over_groups(np.stack(spreads, axis=-1)))


def _read(columns: Columns, name: str, compared: Compared) -> tuple[Column, Codes, list[Codes]]:
    """A column with nan where it is not compared, codes of groups, and the groups of each domain.

    Codes number the groups from 0, domain by domain; a domain's groups are places among those.
    """
    values = columns.get(name)
    named = columns.get("@" + compared.groups)
    rows = len(columns[CLUSTER])
    none = np.full(rows, -1, dtype=np.intp)
    if values is None or named is None:
        return np.full(rows, math.nan), none, []
    within = np.zeros(rows) if compared.within is None else columns["@" + compared.within]
    counted = ~np.isnan(values) & (named >= 0) & (within >= 0)
    width = int(named[counted].max(initial=0)) + 1
    pairs = (within[counted] * width + named[counted]).astype(np.intp)
    present = np.bincount(pairs) > 0  # renumbered without sorting: draws ask many times
    codes = none.copy()
    codes[counted] = (np.cumsum(present) - 1)[pairs]
    domain = np.flatnonzero(present) // width
    domains = [np.flatnonzero(domain == number) for number in np.unique(domain)]
    return (
        np.where(counted, values, math.nan),
        codes,
        [places for places in domains if len(places) > 1],
    )


# --- dealing clusters to groups at random ---------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Chance:
    """A spread as it was observed, and in random deals of the clusters to the groups."""

    observed: float
    deals: Column  # [deal]

    @property
    def mean(self) -> float:
        """What it is on average without any difference between groups."""
        return float(self.deals.mean())

    @property
    def upper(self) -> float:
        """What it is below in 95 % of deals."""
        return float(np.quantile(self.deals, UPPER))

    @property
    def p(self) -> float:
        """Share of deals, that observed among them, with as large a spread; in (0, 1]."""
        slack = _TIE * max(abs(self.observed), float(self.deals.max()))
        reached = np.count_nonzero(self.deals >= self.observed - slack)
        return float((1 + reached) / (1 + len(self.deals)))


def chance(
    columns: Columns, weights: Weights, name: str, compared: Compared, *, spread: Spread
) -> Chance | None:
    """A column's disparity among random deals; None where it is not defined."""
    values, codes, domains = _read(columns, name, compared)
    observed, deals = [], []
    for groups in domains:
        cells = _cells(columns, weights, values, np.where(np.isin(codes, groups), codes, -1))
        observed.append(float(spread(_group_means(cells.sums, cells.sizes, cells.starts))))
        deals.append(spread(_dealt(*cells.as_bytes(paired=compared.paired))))
    if not observed:
        return None
    # domains are dealt apart, and their n-th deals make one of all
    return Chance(observed=float(np.mean(observed)), deals=np.mean(deals, axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two groups of a domain, by their codes in the columns of `Compared`'s keys."""

    domain: int  # -1 where groups are of no domain
    lower: int
    higher: int
    gap: float  # the higher mean less the lower
    p: float  # share of deals in which any two groups of the domain lie as far apart; in (0, 1]


def pair_gaps(columns: Columns, weights: Weights, name: str, compared: Compared) -> list[Pair]:
    """Every two groups of each domain.

    p is corrected for all pairs of the domain (single-step max-T: Westfall and Young 1993).
    """
    values, codes, domains = _read(columns, name, compared)
    pairs = []
    for groups in domains:
        cells = _cells(columns, weights, values, np.where(np.isin(codes, groups), codes, -1))
        means = _group_means(cells.sums, cells.sizes, cells.starts)
        gaps = range_of(_dealt(*cells.as_bytes(paired=compared.paired)))
        first = [np.flatnonzero(codes == group)[0] for group in groups]
        names = [int(columns["@" + compared.groups][row]) for row in first]
        within = -1 if compared.within is None else int(columns["@" + compared.within][first[0]])
        order = [int(place) for place in np.argsort(means, kind="stable")]
        for place, low in enumerate(order):
            for high in order[place + 1 :]:
                gap = float(means[high] - means[low])
                p = Chance(observed=gap, deals=gaps).p
                pairs.append(
                    Pair(domain=within, lower=names[low], higher=names[high], gap=gap, p=p)
                )
    return pairs


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cells:
    """What is dealt in a domain: the texts of a cluster in a group, sorted by group; [cell]."""

    sums: Column  # of differences from the domain's mean
    sizes: Column
    scatter: Column  # of the sums: the deviation expected of a cell of this size, in any unit
    clusters: Codes
    starts: Codes  # where groups begin

    def as_bytes(self, *, paired: bool) -> tuple[bytes, ...]:
        """The arguments of `_dealt`; paired: dealt within clusters."""
        # within a cluster means are dealt, from which what its groups share drops out
        scatter = self.sizes if paired else self.scatter
        parts = (self.sums / scatter, self.sizes, scatter, self.starts)
        return (*(part.tobytes() for part in parts), self.clusters.tobytes() if paired else b"")


def _cells(columns: Columns, weights: Weights, values: Column, codes: Codes) -> Cells:
    rows = codes >= 0
    # centred, so that a tie is one but for the rounding of the differences themselves
    centred = np.where(rows, values - values[rows].mean(), math.nan)
    sums, sizes, clusters, starts = weights.cells(centred, codes)
    # samples of a prompt are alike: a cluster is as certain as it has prompts
    units, place = np.arange(len(rows), dtype=np.float64), np.flatnonzero(rows)
    named = columns.get(_UNIT, np.full(len(rows), -1.0))
    units = np.where(named >= 0, named, -1 - units)[place]
    keys = np.stack([codes[place], weights.clusters[place], units])
    (groups, owners, _), unit = np.unique(keys, axis=1, return_inverse=True)
    means = np.bincount(unit.ravel(), centred[place]) / np.bincount(unit.ravel())
    _, cell = np.unique(np.stack([groups, owners]), axis=1, return_inverse=True)
    of = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(sums))))
    variance = _variances(means, cell.ravel(), of)
    scatter = sizes * np.sqrt(variance / variance.max()) if variance.any() else sizes
    return Cells(sums=sums, sizes=sizes, scatter=scatter, clusters=clusters, starts=starts)


def _variances(values: Column, cell: Codes, group: Codes) -> Column:
    """The variance of each cell's mean, from those between and within cells of a group: [cell].

    One-way random effects, by the method of moments (Searle, Casella and McCulloch 1992, section
    3.6), a variance below 0 taken for 0. `values`, `cell`: [unit]; `group`: [cell].
    """
    sizes = np.bincount(cell).astype(np.float64)
    means = np.bincount(cell, values) / sizes
    free = len(values) - len(sizes)
    within = float(((values - means[cell]) ** 2).sum()) / free if free else 0.0
    totals = np.bincount(group, sizes)
    off = means - (np.bincount(group, sizes * means) / totals)[group]
    weight = float((totals - np.bincount(group, sizes**2) / totals).sum())
    spare = float((sizes * off**2).sum()) - within * (len(sizes) - len(totals))
    between = max(0.0, spare / weight) if weight > 0 else 0.0
    return np.asarray(between + within / sizes)


def _group_means(sums: Column, sizes: Column, starts: Codes) -> Column:
    """Means of all rows of a group: [..., cluster] to [..., group]."""
    totals = np.add.reduceat(sums, starts, axis=-1)
    return np.asarray(totals / np.add.reduceat(sizes, starts, axis=-1))


@lru_cache(maxsize=512)  # gap, variance, quantile and p rest on the same deals, as do domains' rows
def _dealt(
    units_of: bytes, sizes_of: bytes, scatter_of: bytes, starts_of: bytes, clusters_of: bytes
) -> Column:
    """The groups' means in each deal: [deal, group]; with clusters, dealt within each of these."""
    units, sizes, scatter = (np.frombuffer(part) for part in (units_of, sizes_of, scatter_of))
    starts = np.frombuffer(starts_of, dtype=np.intp)
    clusters = np.frombuffer(clusters_of, dtype=np.intp)
    places = np.argsort(clusters, kind="stable")
    # of the content: equal numbers give equal deals, and two domains are dealt independently
    generator = np.random.default_rng(zlib.crc32(units_of + sizes_of + starts_of))
    size = max(1, _BLOCK // len(units))
    blocks = []
    for start in range(0, DEALS, size):
        order = np.tile(np.arange(len(units)), (min(size, DEALS - start), 1))
        dealt = generator.permuted(order, axis=1)
        if len(clusters):  # by cluster, each cluster's in the order that they were dealt in
            by_cluster = np.argsort(clusters[dealt], axis=1, kind="stable")
            dealt[:, places] = np.take_along_axis(dealt, by_cluster, axis=1)
        blocks.append(_group_means(units[dealt] * scatter, sizes, starts))
    return np.concatenate(blocks)


# --- metrics --------------------------------------------------------------------------------------

_NEEDS: Final = "texts of two groups that are compared, each of several clusters (entities)"
_LARGEST: Final = "own: largest less smallest mean of the groups of a domain; mean over domains"


def gap_metric(column: str, unit: str, compared: Compared, *, factor: float, high: float) -> Metric:
    """`<column>_gap`; `factor`: what values are multiplied by; `high`: the largest possible gap."""
    return Metric(
        name=f"{column}_gap", unit=unit, source=_LARGEST, ideal=0.0, low=0.0, high=high,
        of=Weighted(lambda c, w: factor * disparity(c, w, column, compared, spread=range_of)),
        deviation=Weighted(
            lambda c, w: factor * deviation(c, w, column, compared, spread=range_of)
        ),
        needs=_NEEDS,
    )  # fmt: skip


def chance_metrics(
    column: str, unit: str, compared: Compared, *, factor: float
) -> tuple[Metric, ...]:
    """What stands beside a gap: null's mean and 95 % quantile, p, and the groups' SD with its null.

    The SD is the square root of the variance of the groups' means, of several domains of the mean
    variance.
    """
    dealt = "own: clusters dealt to the groups of their domain at random"

    def metric(name: str, unit: str, of: Callable[[Chance], float], spread: Spread) -> Metric:
        def value(columns: Columns, weights: Weights) -> Column:
            if weights.counts.ndim > 1:  # of drawn rows there is no level of chance
                return np.full(weights.counts.shape[:-1], math.nan)
            level = chance(columns, weights, column, compared, spread=spread)
            return np.array(math.nan if level is None else of(level))

        return Metric(
            name=f"{column}_{name}", of=Weighted(value), unit=unit, source=dealt, low=0.0,
            resampled=False, needs=_NEEDS,
        )  # fmt: skip

    def deviation_of_sd(columns: Columns, weights: Weights) -> Column:
        squares = deviation(columns, weights, column, compared, spread=variance_of)
        return factor * np.sqrt(squares)

    return (
        metric("gap_null", unit, lambda level: factor * level.mean, range_of),
        metric("gap_null_95", unit, lambda level: factor * level.upper, range_of),
        metric("gap_p", "probability", lambda level: level.p, range_of),
        Metric(
            name=f"{column}_group_sd",
            unit=unit,
            ideal=0.0,
            low=0.0,
            needs=_NEEDS,
            of=Weighted(
                lambda c, w: factor * np.sqrt(disparity(c, w, column, compared, spread=variance_of))
            ),
            deviation=Weighted(deviation_of_sd),
            source="own: root of the variance (ddof 1) of the groups' means, mean over domains",
        ),
        metric(
            "group_sd_null",
            unit,
            lambda level: factor * float(np.sqrt(level.deals).mean()),
            variance_of,
        ),
    )
