"""Percentile bootstrap over examples, or over clusters of examples that belong together.

Efron & Tibshirani 1993, chapter 13 (percentile interval); Field & Welsh 2007 (whole clusters are
drawn); Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4 (percentiles
farther out, since those of few units hold less than they say). Every metric of a benchmark gets the
same draws: all at once where it is `Weighted`, else in turn on gathered rows.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import (
    CLUSTER,
    Codes,
    LazyColumns,
    Weighted,
    Weights,
    mean_of,
    ratio,
    values_of,
)
from equipoise.records import Column, Columns, Metric, Outcome

BLOCK = 2**18  # numbers of a matrix [draw, cluster] at a time: they stay in the processor's cache
LEVEL = 0.95  # of an interval, unless another is asked for
LOST_DRAWS = 0.10  # an interval from fewer than 90 % of the draws is not given
FEWEST_CLUSTERS = 6  # for percentiles: fewer values lie all on one side in over 5 % of samples
METHOD = (
    "percentile bootstrap over clusters, 95 %, percentiles expanded for their number (Hesterberg "
    "2015); below 6 clusters Student's t around the value with the draws' spread; widened to "
    "contain the value"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A metric's value on some rows, with its 95 % interval.

    `low <= value <= high` whenever all three are finite. The interval is nan, with the reason,
    without a value, with fewer than two clusters, or with too many undefined draws.
    """

    value: float
    low: float
    high: float
    n: int  # rows in which every value that the metric reads is finite
    clusters: int  # independent units among those rows
    reason: str | None = None  # why the value or the interval is nan


def columns_of(outcomes: Sequence[Outcome], *, cluster: str | None) -> dict[str, Column]:
    """Outcomes as columns, [example] each.

    One float column per value key (nan where an outcome lacks it); per group key `k` an
    integer column "@k" that numbers the groups in sorted order (-1 where an outcome lacks it);
    "@cluster" numbers the groups of the key `cluster`, or each example on its own when that is
    None or the outcome lacks it.
    """
    columns = value_columns(outcomes)
    for key in sorted({key for outcome in outcomes for key in outcome.groups}):
        columns["@" + key] = _number([outcome.groups.get(key) for outcome in outcomes])
    codes = _number([outcome.groups.get(cluster) if cluster else None for outcome in outcomes])
    # Numbers beyond those of the groups, so that nothing joins an outcome that has no group.
    columns[CLUSTER] = np.where(codes < 0, len(outcomes) + np.arange(len(outcomes)), codes)
    return columns


def value_columns(outcomes: Sequence[Outcome]) -> dict[str, Column]:
    """Those columns of `columns_of` that are no groups'."""
    return {
        key: np.array([outcome.values.get(key, math.nan) for outcome in outcomes], np.float64)
        for key in sorted({key for outcome in outcomes for key in outcome.values})
    }


def cells_of(
    outcomes: Sequence[Outcome], keys: Sequence[str]
) -> list[tuple[dict[str, str], NDArray[np.bool_]]]:
    """The groups that get rows of their own: (group, which rows), overall first as {}."""
    cells: list[tuple[dict[str, str], NDArray[np.bool_]]] = [({}, np.ones(len(outcomes), bool))]
    for key in keys:
        names = [outcome.groups.get(key) for outcome in outcomes]
        codes = _number(names)
        groups = sorted({name for name in names if name is not None})
        cells += [({key: group}, codes == code) for code, group in enumerate(groups)]
    return cells


def by_cell(
    outcomes: Sequence[Outcome], keys: Sequence[str], of: Callable[[NDArray[np.bool_]], T]
) -> Iterator[tuple[dict[str, str], T]]:
    """What `of` makes of the rows of each group of `cells_of`; asked once for the same rows."""
    known: dict[bytes, T] = {}
    for group, mask in cells_of(outcomes, keys):
        rows = mask.tobytes()
        if rows not in known:
            known[rows] = of(mask)
        yield group, known[rows]


def select(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, Column]:
    """The columns at the rows marked true."""
    return {key: column[rows] for key, column in columns.items()}


def point(metric: Metric, columns: Columns) -> Interval:
    """A metric's value on all rows, with n and the number of clusters and no interval yet."""
    # n counts the rows that have all that the metric reads, and a function does not say what it is.
    watched = LazyColumns(columns, columns.__getitem__)
    value = float(metric.of(watched)) if len(columns[CLUSTER]) else math.nan
    read = [columns[key] for key in sorted(watched.read) if not key.startswith("@")]
    finite = np.isfinite(read) if read else np.ones((1, len(columns[CLUSTER])), dtype=bool)
    counted = finite.all(axis=0)
    if not counted.any():  # columns that complement each other
        counted = finite.any(axis=0)
    reason = None
    n = int(np.count_nonzero(counted))
    if math.isnan(value):
        value = math.nan  # the same object each time: estimates without a value compare equal
    if not math.isfinite(value):
        reason = f"{metric.name} is not defined on these {n} measured examples"
        reason += f"; it needs {metric.needs}" if metric.needs else ""
    clusters = len(np.unique(columns[CLUSTER][counted]))
    return Interval(value=value, low=math.nan, high=math.nan, n=n, clusters=clusters, reason=reason)


def bootstrap(
    metrics: Sequence[Metric], columns: Columns, *, draws: int, seed: int
) -> list[Interval]:
    """Each metric's value and 95 % interval, from the same draws of whole clusters.

    `columns` as from `columns_of`. Undefined (nan) draws are left out; when they are more than
    10 % the interval is nan, and so is that of a metric that is not `resampled`. The interval is
    widened to contain the value where it does not: the percentiles of a metric that is biased under
    resampling may miss it.
    """
    (intervals,) = bootstrap_alike(metrics, [columns], draws=draws, seed=seed)
    return intervals


def bootstrap_alike(
    metrics: Sequence[Metric], sides: Sequence[Columns], *, draws: int, seed: int
) -> list[list[Interval]]:
    """`bootstrap` of each side, the draws made once; sides have the same rows and clusters."""
    points = [[point(metric, columns) for metric in metrics] for columns in sides]
    defined = [
        tuple(
            k
            for k, (metric, value) in enumerate(zip(metrics, values, strict=True))
            if metric.resampled and value.reason is None and value.clusters > 1
        )
        for values in points
    ]
    drawn: dict[int, NDArray[np.float64]] = {}
    for which in dict.fromkeys(defined):
        chosen = [side for side, its in enumerate(defined) if its == which]
        metrics_drawn = [deviation_of(metrics[k]) or metrics[k] for k in which]
        values = resampled(
            metrics_drawn, [sides[side] for side in chosen], draws=draws if which else 0, seed=seed
        )
        drawn |= dict(zip(chosen, values, strict=True))
    return [
        [
            _with_interval(metric, value, drawn[side][:, its.index(k)] if k in its else None)
            for k, (metric, value) in enumerate(zip(metrics, points[side], strict=True))
        ]
        for side, its in enumerate(defined)
    ]


def _with_interval(metric: Metric, value: Interval, draws: Column | None) -> Interval:
    """A metric's value with the interval of its draws, or with why it has none."""
    if draws is not None:
        interval = percentile_interval if metric.deviation is None else deviation_interval
        low, high, reason = interval(
            value.value, draws, clusters=value.clusters, within=(metric.low, metric.high)
        )
        if reason is not None and len(draws) and metric.needs:
            reason += f"; it needs {metric.needs}"
        return replace(value, low=low, high=high, reason=reason)
    if value.reason is None:
        reason = f"{metric.name} has no interval"
        return replace(value, reason=_too_few(value.clusters) if metric.resampled else reason)
    return value


def bootstrap_means(
    columns: Columns, names: Sequence[str], *, draws: int, seed: int
) -> list[Interval]:
    """`bootstrap` of the plain means of some columns."""
    means = [Metric(name=name, of=mean_of(name), unit="", source="mean") for name in names]
    return bootstrap(means, columns, draws=draws, seed=seed)


def percentile_interval(
    value: float,
    draws: Column,
    *,
    clusters: int,
    within: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
) -> tuple[float, float, str | None]:
    """(low, high, reason): an interval from the finite draws, 95 % by default.

    Percentiles at Phi(-t sqrt(k / (k - 1))) with Student's t of k - 1 degrees, not at 2.5 %: the
    plain percentiles of 10 clusters hold the truth in 89 % of samples only. Draws never leave the
    range of the clusters' values, so that below 6 clusters no percentile is far enough: there it is
    value ± t s sqrt(k / (k - 1)), s the draws' standard deviation. Cut to `within`, the values
    that the metric can have, and widened to contain the value.
    """
    from scipy import special  # where it is used: stored results are read without it

    finite = draws[np.isfinite(draws)]
    if clusters < 2:
        return math.nan, math.nan, _too_few(clusters)
    if len(draws) == 0:
        return math.nan, math.nan, "no bootstrap draws were asked for"
    if len(finite) < (1 - LOST_DRAWS) * len(draws):
        lost = len(draws) - len(finite)
        return math.nan, math.nan, f"undefined in {lost} of {len(draws)} bootstrap draws"
    reach = float(special.stdtrit(clusters - 1, 0.5 + level / 2)) * _expansion(clusters)
    if clusters < FEWEST_CLUSTERS:
        half = reach * float(np.std(finite))
        low, high = value - half, value + half
    else:
        tail = float(special.ndtr(-reach))
        low, high = np.quantile(finite, (tail, 1 - tail))
    low, high = max(float(low), within[0]), min(float(high), within[1])
    return min(low, value), max(high, value), None


def deviation_of(metric: Metric) -> Metric | None:
    """What is drawn for the interval of a metric that has a deviation; None for another."""
    return None if metric.deviation is None else replace(metric, of=metric.deviation)


def deviation_interval(
    value: float,
    draws: Column,
    *,
    clusters: int,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float, str | None]:
    """(low, high, reason): the value ± the 95 % quantile of how far draws lie from all rows.

    For a value that can differ from the truth by no more than its parts do, such as the range of
    means: percentiles of its draws miss a truth of 0 always, for every draw adds to the range. It
    holds the truth in at least 95 % of samples. nan as of `percentile_interval`.
    """
    low, high, reason = percentile_interval(value, draws, clusters=clusters)
    if reason is not None:
        return low, high, reason
    reach = float(np.quantile(draws[np.isfinite(draws)], LEVEL))
    return max(value - reach, within[0]), min(value + reach, within[1]), None


def cluster_shares(
    clusters: Sequence[str], *, draws: int, seed: int
) -> tuple[NDArray[np.float64], int]:
    """How much each row counts in each resample of whole clusters, and how many clusters there are.

    `clusters`: [row], at least one. Shares: [draw, row], each draw's sum is 1.
    """
    number = {name: k for k, name in enumerate(dict.fromkeys(clusters))}
    codes = np.array([number[name] for name in clusters], dtype=np.intp)
    even = np.full(len(number), 1 / len(number))
    drawn = np.random.default_rng(seed).multinomial(len(number), even, size=draws)[:, codes]
    return drawn / drawn.sum(axis=1, keepdims=True), len(number)


def one_sided_p(value: float, draws: Column, *, clusters: int, above: float) -> float:
    """The p of "the truth is at most `above`", from the same draws as the interval; in [0, 1).

    Below 0.05 where the lower end of `percentile_interval` with level 0.90 is above `above`: it is
    that interval, read backwards. Where every draw is above, their number bounds how small a p
    the percentiles can give, and Student's t of the draws' spread goes on from there. For "at
    least", negate all three numbers. nan where there is no interval.
    """
    from scipy import special

    finite = np.sort(draws[np.isfinite(draws)])
    # Two at least, for a spread: of no draws at all, none is lost either.
    if clusters < 2 or len(finite) < max(2.0, (1 - LOST_DRAWS) * len(draws)):
        return math.nan
    if clusters < FEWEST_CLUSTERS:
        return _students_p(value, finite, clusters=clusters, above=above)
    share = _share_below(finite, above)
    p = float(special.stdtr(clusters - 1, float(special.ndtri(share)) / _expansion(clusters)))
    if finite[0] > above:
        p = min(p, _students_p(value, finite, clusters=clusters, above=above))
    return p


def _students_p(value: float, draws: Column, *, clusters: int, above: float) -> float:
    from scipy import special

    unit = float(np.std(draws)) * _expansion(clusters)
    if unit == 0.0:
        return 0.0 if value > above else 1.0
    return float(special.stdtr(clusters - 1, -(value - above) / unit))


def _share_below(ordered: Column, bound: float) -> float:
    """Where `bound` lies among sorted draws, as `np.quantile` counts; never quite 0 or 1."""
    last, place = len(ordered) - 1, int(np.searchsorted(ordered, bound, side="right"))
    if place == 0 or place > last:
        share = float(place > last)
    else:
        left, right = float(ordered[place - 1]), float(ordered[place])
        share = (place - 1 + (bound - left) / (right - left)) / last
    # A share of 0 would make p exactly 0, which no finite number of draws can show.
    edge = 1 / (len(ordered) + 1)
    return min(max(share, edge), 1 - edge)


def _expansion(clusters: int) -> float:
    """The bootstrap's standard deviation is short by this factor: it divides by k, not k - 1."""
    return math.sqrt(clusters / (clusters - 1))


def _too_few(clusters: int) -> str:
    return f"an interval needs at least 2 independent clusters, there are {clusters}"


def _number(names: Sequence[str | None]) -> Column:
    """Each name's place among the different names, sorted; -1 for None."""
    known = sorted({name for name in names if name is not None})
    number: dict[str | None, int] = {name: k for k, name in enumerate(known)}
    return cast(Column, np.array([number.get(name, -1) for name in names], dtype=np.intp))


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
            # A group that was not drawn is left out; a nan among the others makes the spread nan.
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


def _gather(columns: Columns, rows: Codes) -> LazyColumns:
    return LazyColumns(columns, lambda key: columns[key][rows])
