"""Percentile bootstrap over examples, or over clusters of examples that belong together.

Efron & Tibshirani 1993, chapter 13 (percentile interval); Field & Welsh 2007 (whole clusters are
drawn); Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4 (percentiles
farther out, since those of few units hold less than they say). Every metric of a benchmark is put
to the same draws, and rows are gathered once a draw.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from equipoise.records import Column, Columns, Metric, Outcome

CLUSTER = "@cluster"
LEVEL = 0.95  # of an interval, unless another is asked for
LOST_DRAWS = 0.10  # an interval from fewer than 90 % of the draws is not given
FEWEST_CLUSTERS = 6  # for percentiles: fewer values lie all on one side in over 5 % of samples
METHOD = (
    "percentile bootstrap over clusters, 95 %, percentiles expanded for their number (Hesterberg "
    "2015); below 6 clusters Student's t around the value with the draws' spread; widened to "
    "contain the value"
)

Index = NDArray[np.intp]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A metric's value on some rows, with its 95 % interval.

    `low <= value <= high` whenever all three are finite. The interval is nan, with the reason,
    when it cannot be had: no value, fewer than two clusters, or too many undefined draws.
    """

    value: float
    low: float
    high: float
    n: int  # rows in which every value that the metric reads is finite
    clusters: int  # independent units among those rows
    reason: str | None = None  # why the value or the interval is nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Rows sorted so that each cluster is one run; what drawing whole clusters needs."""

    order: Index  # [row] position in the caller's columns
    starts: Index  # [cluster] first row of each run
    lengths: Index  # [cluster]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.starts)

    def rows(self, drawn: Index) -> Index:
        """Positions, in the caller's columns, of the rows of the drawn clusters, in turn."""
        lengths = self.lengths[drawn]
        ends = np.cumsum(lengths)
        shift = np.repeat(self.starts[drawn] - (ends - lengths), lengths)
        return self.order[shift + np.arange(len(shift))]

    def codes(self, drawn: Index) -> Index:
        """New cluster codes of those rows: a cluster that is drawn twice gets two codes."""
        return np.repeat(np.arange(len(drawn)), self.lengths[drawn])


class Gathered(Mapping[str, Column]):
    """Columns at chosen rows; each is gathered when a metric first asks for it, then kept."""

    def __init__(self, columns: Columns, rows: Index, codes: Index) -> None:
        self._columns = columns
        self._rows = rows
        self._found: dict[str, Column] = {CLUSTER: cast(Column, codes)}

    def __getitem__(self, key: str) -> Column:
        if key not in self._found:
            self._found[key] = self._columns[key][self._rows]
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class _Watched(Mapping[str, Column]):
    """Columns that note which of them a metric reads."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Column:
        column = self._columns[key]
        self.read.add(key)
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def columns_of(outcomes: Sequence[Outcome], *, cluster: str | None) -> dict[str, Column]:
    """Outcomes as columns, [example] each.

    One float column per value key (nan where an outcome lacks it); per group key `k` an
    integer column "@k" that numbers the groups in sorted order (-1 where an outcome lacks it);
    "@cluster" numbers the groups of the key `cluster`, or each example on its own when that is
    None or the outcome lacks it.
    """
    columns: dict[str, Column] = {}
    for key in _keys(outcome.values for outcome in outcomes):
        values = [outcome.values.get(key, math.nan) for outcome in outcomes]
        columns[key] = np.array(values, dtype=np.float64)
    for key in _keys(outcome.groups for outcome in outcomes):
        columns["@" + key] = _codes([outcome.groups.get(key) for outcome in outcomes])
    codes = _codes([outcome.groups.get(cluster) if cluster else None for outcome in outcomes])
    alone = codes < 0
    columns[CLUSTER] = np.where(alone, len(outcomes) + np.arange(len(outcomes)), codes)
    return columns


def cells_of(
    outcomes: Sequence[Outcome], keys: Sequence[str]
) -> list[tuple[dict[str, str], NDArray[np.bool_]]]:
    """The groups that get rows of their own: (group, which rows), overall first as {}."""
    cells: list[tuple[dict[str, str], NDArray[np.bool_]]] = [({}, np.ones(len(outcomes), bool))]
    for key in keys:
        names = [outcome.groups.get(key) for outcome in outcomes]
        for group in sorted({name for name in names if name is not None}):
            cells.append(({key: group}, np.array([name == group for name in names])))
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


def spread(metric: Metric, *, over: str) -> Metric:
    """The metric's standard deviation (ddof = 1) over the groups of a key, e.g. over prefixes.

    Named "<metric>_spread", in the metric's unit. 0: the groups agree. nan with fewer than two
    groups, or where the metric is nan in one.
    """

    def of(columns: Columns) -> float:
        codes = columns["@" + over]
        groups = np.unique(codes)
        values = [metric.of(Gathered(columns, *_members(columns, codes == g))) for g in groups]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    source = f"standard deviation of {metric.name} over {over}"
    return Metric(name=f"{metric.name}_spread", of=of, unit=metric.unit, source=source, low=0.0)


def _members(columns: Columns, chosen: NDArray[np.bool_]) -> tuple[Index, Index]:
    rows = np.flatnonzero(chosen)
    return rows, cast(Index, columns[CLUSTER][rows])


def clusters_of(columns: Columns) -> Clusters:
    """Sort the rows by cluster."""
    codes = columns[CLUSTER]
    order = np.argsort(codes, kind="stable")
    _, starts, lengths = np.unique(codes[order], return_index=True, return_counts=True)
    return Clusters(order=order, starts=starts, lengths=lengths)


def drawn_clusters(clusters: Clusters, *, draws: int, seed: int) -> Iterator[Index]:
    """As many clusters as there are, with replacement, once a draw; settled by the seed."""
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield generator.integers(clusters.count, size=clusters.count)


def point(metric: Metric, columns: Columns) -> Interval:
    """A metric's value on all rows, with n and the number of clusters and no interval yet."""
    watched = _Watched(columns)
    value = float(metric.of(watched)) if len(columns[CLUSTER]) else math.nan
    read = [columns[key] for key in sorted(watched.read) if not key.startswith("@")]
    finite = np.isfinite(read) if read else np.ones((1, len(columns[CLUSTER])), dtype=bool)
    counted = finite.all(axis=0)
    if not counted.any():  # columns that complement each other
        counted = finite.any(axis=0)
    reason = None
    if not math.isfinite(value):
        reason = f"{metric.name} is not defined on these {int(counted.sum())} measured examples"
        reason += f"; it needs {metric.needs}" if metric.needs else ""
    units = len(np.unique(columns[CLUSTER][counted]))
    return Interval(
        value=value, low=math.nan, high=math.nan, n=int(counted.sum()), clusters=units,
        reason=reason,
    )  # fmt: skip


def bootstrap(
    metrics: Sequence[Metric], columns: Columns, *, draws: int, seed: int
) -> list[Interval]:
    """Each metric's value and 95 % interval, from the same draws of whole clusters.

    `columns` as from `columns_of`. Undefined (nan) draws are left out; when they are more than
    10 % the interval is nan. The interval is widened to contain the value where it does not:
    the percentiles of a metric that is biased under resampling may miss it.
    """
    points = [point(metric, columns) for metric in metrics]
    asked = [k for k, one in enumerate(points) if one.reason is None and one.clusters > 1]
    values = np.empty((draws, len(asked)))
    clusters = clusters_of(columns)
    for row, drawn in enumerate(drawn_clusters(clusters, draws=draws if asked else 0, seed=seed)):
        gathered = Gathered(columns, clusters.rows(drawn), clusters.codes(drawn))
        for place, k in enumerate(asked):
            values[row, place] = metrics[k].of(gathered)
    placed = {k: values[:, place] for place, k in enumerate(asked)}
    return [
        _finished(one, placed.get(k), within=(metrics[k].low, metrics[k].high))
        for k, one in enumerate(points)
    ]


def bootstrap_means(
    columns: Columns, names: Sequence[str], *, draws: int, seed: int
) -> list[Interval]:
    """`bootstrap` of the plain means of some columns, all finite: the same draws, taken at once."""
    clusters = clusters_of(columns)
    drawn = np.empty((draws, clusters.count), dtype=np.intp)
    for row, drawn_cluster in enumerate(drawn_clusters(clusters, draws=draws, seed=seed)):
        drawn[row] = drawn_cluster
    sizes = clusters.lengths[drawn].sum(axis=1)
    found = []
    for name in names:
        values = columns[name]
        sums = np.add.reduceat(values[clusters.order], clusters.starts)[drawn].sum(axis=1)
        interval = Interval(
            value=float(values.mean()),
            low=math.nan,
            high=math.nan,
            n=len(values),
            clusters=clusters.count,
        )
        found.append(_finished(interval, sums / sizes))
    return found


def percentile_interval(
    value: float,
    draws: Column,
    *,
    clusters: int,
    within: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
) -> tuple[float, float, str | None]:
    """(low, high, reason): an interval from the finite draws of so many clusters, 95 % by default.

    Percentiles at Phi(-t sqrt(k / (k - 1))) with Student's t of k - 1 degrees, not at 2.5 %: the
    plain ones of 10 clusters hold the truth in 89 % of samples only. Draws never leave the range
    of the clusters' values, so that below 6 clusters no percentile is far enough: there it is
    value ± t s sqrt(k / (k - 1)), s the draws' standard deviation. Cut to `within`, the values
    that the metric can have, and widened to contain the value.
    """
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


def one_sided_p(value: float, draws: Column, *, clusters: int, above: float) -> float:
    """The p of "the truth is at most `above`", from the same draws as the interval; in [0, 1).

    Below 0.05 where the lower end of `percentile_interval` with level 0.90 is above `above`: it is
    that interval, read backwards. Where every draw is above, their number bounds how small a p
    the percentiles can give, and Student's t of the draws' spread goes on from there. For "at
    least", negate all three numbers. nan where there is no interval.
    """
    finite = np.sort(draws[np.isfinite(draws)])
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
    edge = 1 / (len(ordered) + 1)
    return min(max(share, edge), 1 - edge)


def _expansion(clusters: int) -> float:
    """The bootstrap's standard deviation is short by this factor: it divides by k, not k - 1."""
    return math.sqrt(clusters / (clusters - 1))


def _too_few(clusters: int) -> str:
    return f"an interval needs at least 2 independent clusters, there are {clusters}"


def _finished(
    one: Interval, draws: Column | None, *, within: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    if one.reason is not None:
        return one
    if draws is None:
        return replace(one, reason=_too_few(one.clusters))
    low, high, reason = percentile_interval(one.value, draws, clusters=one.clusters, within=within)
    return replace(one, low=low, high=high, reason=reason)


def _keys(mappings: Iterator[Mapping[str, object]] | Sequence[Mapping[str, object]]) -> list[str]:
    return sorted({key for mapping in mappings for key in mapping})


def _codes(names: Sequence[str | None]) -> Column:
    number = {
        name: k for k, name in enumerate(sorted({name for name in names if name is not None}))
    }
    codes = [-1 if name is None else number[name] for name in names]
    return cast(Column, np.array(codes, dtype=np.intp))
