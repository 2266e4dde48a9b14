"""Two changes of a model, neither, each alone and both together: how much of it is whose.

A 2 x 2 factorial on the same items. What both do together is shared out by Shapley's value (Shapley
1953), the mean of what a part adds when it comes first and when it comes last, so that the shares
sum to the whole whatever the interaction. Intervals are of the same draws of clusters in all cells.

BiasGym (section 4.4, Table 2) reports steered models that are asked with a debiasing prompt beside
models with neither, and no cell in which the steering is alone: its tables cannot say whose the
effect is. The decomposition is ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from equipoise.conclusions import Factorial
from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Column, Columns, Estimate, Metric
from equipoise.stats.compare import pooled, ratio_of_means, seed_noise
from equipoise.stats.resample import percentile_interval, point, resampled

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The same rows in four cells, with the same coding of clusters; a side per seed of the method.

    All but `neither` have equally many seeds, in the same order.
    """

    neither: Columns
    first: tuple[Columns, ...]
    second: tuple[Columns, ...]
    both: tuple[Columns, ...]


def factorials(
    metrics: Sequence[Metric], cells: Cells, *, draws: int, seed: int
) -> list[Factorial]:
    """The factorial of each metric that has a point as its ideal, in their order.

    Effects are falls of the distance to the ideal, in the metric's unit: > 0 is less bias. Several
    seeds are averaged, and their scatter is in the intervals (`compare.pooled`).
    Raises `ValueError` where the cells do not have equally many seeds.
    """
    seeds = len(cells.both)
    if not seeds or {len(cells.first), len(cells.second)} != {seeds}:
        raise ValueError(
            "the cells must have equally many seeds, at least 1, got "
            f"{len(cells.first)}, {len(cells.second)} and {seeds}; leave out those without a twin"
        )
    chosen = [metric for metric in metrics if metric.ideal is not None]
    chosen = [metric for metric in chosen if metric.higher_is_better is None]
    columns = (cells.neither, *cells.first, *cells.second, *cells.both)
    drawn = np.full((len(columns), draws, len(chosen)), math.nan)
    if len(np.unique(cells.neither[CLUSTER])) > 1:
        drawn = resampled(chosen, columns, draws=draws, seed=seed)
    noise = seed_noise(seeds, draws=draws, seed=seed)
    return [
        _factorial(metric, columns, drawn[:, :, index], noise)
        for index, metric in enumerate(chosen)
    ]


def without_shares(factorial: Factorial, reason: str) -> Factorial:
    """The same with shares that are nan, for this reason."""
    nan = math.nan
    estimates = [
        replace(estimate, value=nan, low=nan, high=nan, reason=reason)
        if estimate.metric.startswith("share_")
        else estimate
        for estimate in factorial.estimates
    ]
    return replace(factorial, estimates=tuple(estimates))


def _factorial(
    metric: Metric, columns: Sequence[Columns], drawn: Values, noise: Column
) -> Factorial:
    """`drawn`: [side, draw], the sides as `columns`."""
    points = [point(metric, side) for side in columns]
    ideal = metric.ideal or 0.0
    values = np.array([each.value for each in points])
    interval = _Intervals(
        n=min(each.n for each in points),
        clusters=min(each.clusters for each in points),
        reason=next((each.reason for each in points if each.reason), None),
    )
    read, read_draws = _by_cell(values), _by_cell(drawn)
    cells = [
        interval.of(
            name,
            *pooled(read[name].tolist(), read_draws[name], noise),
            unit=metric.unit,
            within=(metric.low, metric.high),
        )
        for name in read
    ]
    effects, draws = _effects(np.abs(values - ideal)), _effects(np.abs(drawn - ideal))
    measured = [
        interval.of(name, *pooled(effects[name].tolist(), draws[name], noise), unit=metric.unit)
        for name in effects
    ]
    (total,) = (each for each in measured if each.metric == "effect_both")
    of_whole = {
        name: ratio_of_means(
            effects[f"part_{name}"],
            draws[f"part_{name}"],
            of=effects[total.metric],
            of_drawn=draws[total.metric],
            noise=noise,
        )
        for name in ("first", "second")
    }
    shares = [
        interval.of(f"share_{name}", 100.0 * share, 100.0 * drawn_share, unit="%")
        for name, (share, drawn_share) in of_whole.items()
    ]
    return Factorial(
        metric=metric.name,
        ideal=ideal,
        seeds=len(read["both"]),
        estimates=(*cells, *measured, *(_only_of_something(share, total) for share in shares)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Intervals:
    """Makes estimates of values with their draws, all on the same items."""

    n: int
    clusters: int
    reason: str | None  # why the metric itself has no value

    def of(
        self,
        name: str,
        value: float,
        draws: Column,
        *,
        unit: str,
        within: tuple[float, float] = (-math.inf, math.inf),
    ) -> Estimate:
        """The value with the interval of its draws."""
        low, high, reason = math.nan, math.nan, self.reason
        if reason is None:
            low, high, reason = percentile_interval(
                value, draws, clusters=self.clusters, within=within
            )
        return Estimate(
            metric=name, value=value, low=low, high=high, n=self.n, clusters=self.clusters,
            unit=unit, reason=reason,
        )  # fmt: skip


def _only_of_something(share: Estimate, total: Estimate) -> Estimate:
    """The share; nan where the whole is not shown to differ from 0."""
    if math.isfinite(total.low) and not total.low <= 0.0 <= total.high:
        return share
    reason = total.reason or (
        f"what both do together is not shown to differ from 0 [{total.low:.3g}, {total.high:.3g}], "
        "and nothing has no shares"
    )
    return replace(share, value=math.nan, low=math.nan, high=math.nan, reason=reason)


def _by_cell(sides: Values) -> dict[str, Values]:
    """[side, …] as [seed, …] by cell; the cell without either part has a single seed."""
    seeds = (len(sides) - 1) // 3
    return {
        "neither": sides[:1],
        "first": sides[1 : 1 + seeds],
        "second": sides[1 + seeds : 1 + 2 * seeds],
        "both": sides[1 + 2 * seeds :],
    }


def _effects(distances: Values) -> dict[str, Values]:
    """Of the distances to the ideal, [side, …]: each effect per seed, [seed, …]."""
    neither, first, second, both = _by_cell(distances).values()
    return {
        "effect_first": neither - first,
        "effect_second": neither - second,
        "effect_both": neither - both,
        # what both do beyond the sum of what each does alone; < 0: in part they do the same
        "interaction": first + second - neither - both,
        "part_first": ((neither - first) + (second - both)) / 2,
        "part_second": ((neither - second) + (first - both)) / 2,
    }
