"""A metric by group, with intervals that hold together, and what each group could have shown.

Simultaneous intervals by the largest studentised deviation of the bootstrap (max-|t|; Romano and
Wolf 2005, "Exact and approximate stepdown methods", section 2): the critical value is the 95 %
quantile, over draws, of the largest |draw - value| / standard error of any group. So the interval
of the worst group holds its truth though it was chosen for being the worst. A standard error is
never below what the scatter of all groups lets expect: the draws of six equal answers do not
scatter, which shows nothing. Of a metric within bounds that is their scatter at this value (a share
of two more successes and failures, Agresti and Coull 1998), of another theirs and its own (Smyth
2004). Student's t in place of the normal, as in `resample`. The smallest effect that could have
been seen: (critical value + 0.84) standard errors.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import CLUSTER, LazyColumns, Weighted, Weights, values_of
from equipoise.records import Column, Columns, Metric, Outcome
from equipoise.slices import Evidence, Slice, SliceTable
from equipoise.stats.resample import FEWEST_CLUSTERS, LEVEL, columns_of, point, resampled, select

POWER = 0.80  # with which an effect is called one that could have been seen
ITEM = "item"  # what units are where no key says more
_PRIOR = 20.0  # degrees of freedom that the scatter of all groups lends to each
_MOST = 2000  # groups of a table
_LONGEST_LOG = 100.0  # of a ratio that draws do not tell from 0

Mask: TypeAlias = NDArray[np.bool_]


class Sliced(Protocol):
    """What is compared between groups; a benchmark is."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is made of the outcomes."""

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the metrics that are said first."""

    @property
    def slices(self) -> tuple[str, ...]:
        """Group keys by which the first of them is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The rows of a group, and what the metric says of them."""

    names: Mapping[str, str]
    rows: Mask
    value: float
    n: int
    units: int
    reason: str | None
    error: float = math.nan  # standard error


def slices_of(
    benchmark: Sliced, outcomes: Sequence[Outcome], *, cluster: str | None, draws: int, seed: int
) -> Iterator[SliceTable]:
    """The tables of a benchmark's first headline metric (`slice_tables`)."""
    metric = next(each for each in benchmark.metrics if each.name == benchmark.headline[0])
    yield from slice_tables(
        metric, outcomes, benchmark.slices, cluster=cluster, draws=draws, seed=seed
    )


def slice_tables(
    metric: Metric,
    outcomes: Sequence[Outcome],
    keys: Sequence[str],
    *,
    cluster: str | None,
    draws: int,
    seed: int,
) -> Iterator[SliceTable]:
    """A table for each key, then for the first two keys that divide items in two ways.

    Keys that make fewer than two groups with a value have none.
    """
    tables = [
        table
        for key in dict.fromkeys(keys)
        if (table := slice_table(metric, outcomes, (key,), cluster=cluster, draws=draws, seed=seed))
    ]
    yield from tables
    for first, second in combinations([table for table in tables if table.units != ITEM], 2):
        pairs = {(each.groups.get(first.by[0]), each.groups.get(second.by[0])) for each in outcomes}
        if len(pairs) > max(len(first.slices), len(second.slices)):  # neither is within the other
            both = slice_table(
                metric, outcomes, (*first.by, *second.by), cluster=cluster, draws=draws, seed=seed
            )
            yield from [both] if both else []
            return


def slice_table(
    metric: Metric,
    outcomes: Sequence[Outcome],
    by: Sequence[str],
    *,
    cluster: str | None,
    draws: int,
    seed: int,
) -> SliceTable | None:
    """The metric by the groups of these keys together; None for fewer than two with a value.

    Where each group lies within a cluster its items are the units: what is said is then of this
    group, not of others like it.
    """
    names = [tuple(outcome.groups.get(key) for key in by) for outcome in outcomes]
    known = sorted({name for name in names if None not in name}, key=str)
    if not metric.resampled or not 2 <= len(known) <= _MOST:
        return None
    number = {name: code for code, name in enumerate(known)}
    codes = np.array([number.get(name, -1) for name in names])
    columns = columns_of(outcomes, cluster=cluster)
    units = cluster if cluster is not None else ITEM
    masks = [codes == code for code in range(len(known))]
    if cluster is not None and all(len(np.unique(columns[CLUSTER][m])) == 1 for m in masks):
        columns, units = columns_of(outcomes, cluster=None), ITEM
    groups = []
    for name, mask in zip(known, masks, strict=True):
        of_group = point(metric, select(columns, mask))
        groups.append(
            _Group(
                names=dict(zip(by, map(str, name), strict=True)), rows=mask, value=of_group.value,
                n=of_group.n, units=of_group.clusters, reason=of_group.reason,
            )
        )  # fmt: skip
    if sum(math.isfinite(group.value) for group in groups) < 2:
        return None
    is_point = metric.ideal is not None and metric.higher_is_better is None
    reference = metric.ideal if is_point else point(metric, columns).value
    return _tabulate(
        metric, groups, math.nan if reference is None else reference,
        drawn=_draw(metric, columns, groups, draws=draws, seed=seed), by=tuple(by), units=units,
    )  # fmt: skip


def detectable_effect(low: float, high: float, *, units: int, level: float = LEVEL) -> float:
    """The smallest effect that an interval of this width sees with 80 % power; nan without one.

    From its standard error: half its width is the critical value of Student's t in such errors.
    """
    from scipy import special  # not when results are read

    if units < 2 or not (math.isfinite(low) and math.isfinite(high)):
        return math.nan
    critical = float(special.stdtrit(units - 1, 0.5 + level / 2))
    return (high - low) / 2 * (1 + float(special.stdtrit(units - 1, POWER)) / critical)


def _tabulate(
    metric: Metric,
    groups: Sequence[_Group],
    reference: float,
    *,
    drawn: NDArray[np.float64],
    by: tuple[str, ...],
    units: str,
) -> SliceTable:
    groups = _with_errors(metric, groups, drawn)
    family = [
        k
        for k, group in enumerate(groups)
        if group.units >= FEWEST_CLUSTERS and math.isfinite(group.error) and group.error > 0
    ]
    values = np.array([groups[k].value for k in family])
    deviations = drawn[:, family] - values
    tail = _tail(deviations, np.array([groups[k].error for k in family]))
    slices = tuple(
        _slice(metric, group, reference, tail=tail, compared=k in family, draws=len(drawn))
        for k, group in enumerate(groups)
    )
    # with draws that scatter as much as their errors say
    wider = _wider(drawn[:, family], [groups[k] for k in family])
    return SliceTable(
        by=by, metric=metric.name, unit=metric.unit, reference=reference,
        higher_is_better=metric.higher_is_better, units=units, slices=slices,
        difference=_difference(metric, values, deviations * wider),
        ratio=_ratio(metric, values, drawn[:, family], wider),
    )  # fmt: skip


def _draw(
    metric: Metric, columns: Columns, groups: Sequence[_Group], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """The metric of each group in each draw of clusters: [draw, group].

    Groups that share no cluster are drawn apart, which is the same and much faster.
    """
    numbers = [np.unique(columns[CLUSTER][group.rows]) for group in groups]
    together = np.concatenate(numbers) if numbers else np.array([])
    if len(np.unique(together)) == len(together):
        drawn = np.full((draws, len(groups)), math.nan)
        for k, group in enumerate(groups):
            if group.units > 1 and math.isfinite(group.value):
                state = np.random.SeedSequence([seed, k]).generate_state(1)
                part = resampled(
                    [metric], [select(columns, group.rows)], draws=draws, seed=int(state[0])
                )
                drawn[:, k] = part[0, :, 0]
        return drawn
    parts = [_restrict(metric, np.flatnonzero(group.rows)) for group in groups]
    values: NDArray[np.float64] = resampled(parts, [columns], draws=draws, seed=seed)[0]
    return values


def _restrict(metric: Metric, rows: NDArray[np.intp]) -> Metric:
    """The metric on some rows alone, in the draws of all."""

    def value(columns: Columns, weights: Weights) -> Column:
        part = Weights(weights.clusters[rows], weights.counts)
        return values_of(metric, LazyColumns(columns, lambda key: columns[key][rows]), part)

    return replace(metric, of=Weighted(value))


def _with_errors(
    metric: Metric, groups: Sequence[_Group], drawn: NDArray[np.float64]
) -> list[_Group]:
    """The groups with standard errors, none smaller than those of all let expect."""
    sizes = np.array([group.units for group in groups], dtype=float)
    values = np.array([group.value for group in groups])
    finite = np.isfinite(drawn)
    whole = (sizes > 1) & (finite.sum(axis=0) >= max(2.0, 0.9 * len(drawn)))
    degrees = np.where(whole, sizes - 1, 0.0)
    scatter = np.full(len(groups), math.nan)  # variance of a unit, by group
    for k in np.flatnonzero(whole):
        scatter[k] = np.var(drawn[finite[:, k], k]) * sizes[k] ** 2 / degrees[k]
    pooled = _mean(scatter[whole], degrees[whole])
    expected = np.full(len(groups), pooled)
    if math.isfinite(metric.low) and math.isfinite(metric.high):
        # towards an end of its range a share scatters less, but never as little as equal answers
        share = (values - metric.low) / (metric.high - metric.low)
        plain = _mean((share * (1 - share))[whole], degrees[whole])
        likely = (sizes * share + 2) / (sizes + 4)  # Agresti and Coull 1998
        if plain > 0:
            expected = pooled / plain * likely * (1 - likely)
    else:
        expected = np.where(
            whole, (degrees * scatter + _PRIOR * pooled) / (degrees + _PRIOR), pooled
        )
    variance = np.fmax(scatter, expected)
    errors = np.where(
        np.isfinite(values) & (sizes > 0), np.sqrt(variance / np.maximum(sizes, 1)), math.nan
    )
    return [replace(group, error=float(e)) for group, e in zip(groups, errors, strict=True)]


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.average(values, weights=weights)) if weights.sum() > 0 else math.nan


def _tail(deviations: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """The share of a normal beyond the critical value, on one side; nan without draws."""
    from scipy import special  # not when results are read

    if not len(errors):
        return (1 - LEVEL) / 2
    if not len(deviations):
        return math.nan
    # draws of a small group scatter less than its error says, which is no reason for a smaller one
    scaled = np.abs(deviations) / np.minimum(
        errors, np.maximum(np.nanstd(deviations, axis=0), 1e-300)
    )
    largest = np.nanmax(np.where(np.isfinite(scaled), scaled, 0.0), axis=1)
    critical = max(float(np.quantile(largest, LEVEL)), float(special.ndtri(0.5 + LEVEL / 2)))
    return float(special.ndtr(-critical))


def _slice(
    metric: Metric, group: _Group, reference: float, *, tail: float, compared: bool, draws: int
) -> Slice:
    from scipy import special  # not when results are read

    low = high = detectable = math.nan
    reason = group.reason
    degrees = group.units - 1
    if degrees > 0 and math.isfinite(group.error) and math.isfinite(tail):
        critical = float(special.stdtrit(degrees, 1 - tail))
        detectable = (critical + float(special.stdtrit(degrees, POWER))) * group.error
        if compared:
            half = critical * group.error
            low = min(max(group.value - half, metric.low), group.value)
            high = max(min(group.value + half, metric.high), group.value)
    if reason is None and math.isnan(low):
        few = f"an interval needs at least {FEWEST_CLUSTERS} independent units, got {group.units}"
        same = "all units are alike" if draws else "no bootstrap draws were asked for"
        reason = few if group.units < FEWEST_CLUSTERS else same
    reach = max(abs(metric.low - reference), abs(metric.high - reference))
    if detectable > reach:
        detectable = math.nan
    evidence: Evidence = "not apart"
    if math.isnan(low) or math.isnan(detectable):
        evidence = "insufficient"
    elif low > reference or high < reference:
        evidence = "apart"
    elif math.isfinite(reach) and not detectable <= reach / 2:
        evidence = "insufficient"
    return Slice(
        group=group.names, value=group.value, low=low, high=high, n=group.n, units=group.units,
        detectable=detectable, evidence=evidence, reason=reason,
    )  # fmt: skip


def _difference(
    metric: Metric, values: NDArray[np.float64], deviations: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Largest less smallest value; it errs by no more than the range of the groups' errors."""
    if len(values) < 2:
        return math.nan, math.nan, math.nan
    value = float(np.ptp(values))
    reach = _quantile_of_range(deviations)
    most = metric.high - metric.low
    return value, max(value - reach, 0.0), min(value + reach, most)


def _ratio(
    metric: Metric,
    values: NDArray[np.float64],
    drawn: NDArray[np.float64],
    wider: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Smallest over largest value, likewise of their logarithms."""
    if len(values) < 2 or metric.low < 0 or not (values > 0).all():
        return math.nan, math.nan, math.nan
    value = float(values.min() / values.max())
    logs = np.log(np.where(drawn > 0, drawn, math.nan)) - np.log(values)
    factor = float(np.exp(min(_quantile_of_range(logs * wider), _LONGEST_LOG)))
    return value, value / factor, float(np.minimum(1.0, value * factor))


def _wider(drawn: NDArray[np.float64], groups: Sequence[_Group]) -> NDArray[np.float64]:
    """By how much the draws of each group are short of what an interval of it needs."""
    from scipy import special  # not when results are read

    units = np.array([group.units for group in groups])
    errors = np.array([group.error for group in groups])
    reach = special.stdtrit(units - 1, 0.5 + LEVEL / 2) / special.ndtri(0.5 + LEVEL / 2)
    scatter = np.nanstd(drawn, axis=0) if len(drawn) and len(groups) else errors
    return np.asarray(reach * np.where(scatter > 0, errors / np.maximum(scatter, 1e-300), 1.0))


def _quantile_of_range(deviations: NDArray[np.float64]) -> float:
    """The 95 % quantile of the range of errors over draws; nan of fewer than 9 in 10 of them."""
    whole = deviations[np.isfinite(deviations).all(axis=1)]
    if len(whole) < max(2.0, 0.9 * len(deviations)):
        return math.nan
    return float(np.quantile(np.ptp(whole, axis=1), LEVEL))
