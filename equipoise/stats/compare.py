"""Measurements of the same items before and after: what changed, by how much, which way.

Paired cluster bootstrap for intervals (`resample`), sign-flip permutation of whole clusters for p
(`permutation`), several seeds of the method together (`pooled`), claims against a margin
(`claims`), directions and Holm's correction (`verdict`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from equipoise.conclusions import Change
from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Column, Columns, Metric
from equipoise.stats.claims import claim_of
from equipoise.stats.permutation import flipped_differences, permutation_p, smallest_p
from equipoise.stats.resample import (
    Interval,
    deviation_interval,
    deviation_of,
    one_sided_p,
    percentile_interval,
    point,
    resampled,
)
from equipoise.stats.verdict import ALPHA, direction_of

Drawn = NDArray[np.float64]  # [side, draw], the before side first


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The same rows before and after, with the same cluster coding: [item] columns."""

    before: Columns
    afters: tuple[Columns, ...]  # per seed of the method
    #: Of the other seeds, where the before side was learnt with each, too: `before` is the first's.
    other_befores: tuple[Columns, ...] = ()

    @property
    def befores(self) -> tuple[Columns, ...]:
        """A single side before, or that of each after."""
        return (self.before, *self.other_befores)


def compare_metrics(
    metrics: Sequence[Metric], sides: Sides, *, draws: int, seed: int
) -> list[Change]:
    """The change of each metric on paired rows, from the same draws of clusters on all sides.

    `draws` bootstrap draws and half as many sign flips. `group` is empty, and `p_holm` equals p
    until `verdict.holm` is applied to the changes of several groups. With several seeds, values
    are means over seeds, `nearer` is the mean of the per-seed reductions, and p is the larger of
    the permutation p and the bootstrap p, which includes the variance between seeds.
    """
    columns, befores = (*sides.befores, *sides.afters), len(sides.befores)
    drawn = np.full((len(columns), draws, len(metrics)), math.nan)
    deviating = [k for k, metric in enumerate(metrics) if metric.deviation is not None]
    deviations = np.full((len(columns), draws, len(deviating)), math.nan)
    if len(np.unique(sides.before[CLUSTER])) > 1:
        drawn = resampled(metrics, columns, draws=draws, seed=seed)
        if deviating:
            drawn_for = [deviation_of(metrics[k]) or metrics[k] for k in deviating]
            deviations = resampled(drawn_for, columns, draws=draws, seed=seed)
    flipped = flipped_differences(metrics, sides.befores, sides.afters, flips=draws // 2, seed=seed)
    noise = seed_noise(len(sides.afters), draws=draws, seed=seed)
    return [
        _change(
            metric,
            [point(metric, side) for side in columns],
            drawn[:, :, k],
            befores=befores,
            noise=noise,
            flipped=flipped[:, k],
            deviations=deviations[:, :, deviating.index(k)] if k in deviating else None,
        )
        for k, metric in enumerate(metrics)
    ]


def _change(
    metric: Metric,
    points: Sequence[Interval],
    drawn: Drawn,
    *,
    befores: int,
    noise: Column,
    flipped: Column,
    deviations: Drawn | None = None,
) -> Change:
    """`points`: of each side, the `befores` before sides first; `flipped`: [flip].

    `deviations`: draws of `Metric.deviation`, where the metric has one.
    """
    sides = np.array([side.value for side in points])
    seeds, clusters = len(sides) - befores, min(side.clusters for side in points)
    # a single side before stands against every side after
    values, values_before = sides[befores:], np.broadcast_to(sides[:befores], seeds)
    drawn_after, drawn_before = drawn[befores:], drawn[:befores]
    before = pooled(sides[:befores].tolist(), drawn_before, noise)
    after = pooled(values.tolist(), drawn_after, noise)
    moved = drawn_after - drawn_before
    gap = pooled((values - values_before).tolist(), moved, noise)
    nearer = math.nan, np.full(len(noise), math.nan)
    if metric.ideal is not None:  # the fall of the distance to it
        falls = np.abs(values_before - metric.ideal) - np.abs(values - metric.ideal)
        drawn_falls = np.abs(drawn_before - metric.ideal) - np.abs(drawn_after - metric.ideal)
        nearer = pooled(falls.tolist(), drawn_falls, noise)
    within = (metric.low, metric.high)
    before_low, before_high, _ = _interval(before, clusters, within)
    after_low, after_high, _ = _interval(after, clusters, within)
    if deviations is not None:
        (before_low, before_high), (after_low, after_high) = (
            _deviation_interval(side, moved_by, noise, clusters, within)
            for side, moved_by in (
                (sides[:befores], deviations[:befores]),
                (values, deviations[befores:]),
            )
        )
    low, high, reason = _interval(gap, clusters)
    nearer_low, nearer_high, _ = _interval(nearer, clusters)
    p = _p(gap, flipped, clusters=clusters, seeds=seeds)
    reason = next((side.reason for side in points if side.reason), reason)
    if reason is None and not math.isnan(p) and smallest_p(clusters) > ALPHA:
        reason = f"{clusters} independent clusters are too few to show a change at 5 %"
    change = Change(
        metric=metric.name, group={},
        before=before[0], before_low=before_low, before_high=before_high,
        after=after[0], after_low=after_low, after_high=after_high,
        difference=gap[0], low=low, high=high,
        nearer=nearer[0], nearer_low=nearer_low, nearer_high=nearer_high,
        # Without the noise of seeds: the unit is how far clusters differ, whatever the seeds do.
        effect=_effect(gap[0], moved.mean(axis=0), clusters=clusters),
        p=p, p_holm=p, direction="unknown",
        n=min(side.n for side in points), clusters=clusters,
        unit=metric.unit, ideal=metric.ideal, higher_is_better=metric.higher_is_better,
        reason=reason, seeds=seeds, seed_spread=spread(values.tolist()),
        claim=claim_of(metric, before=before, after=after, clusters=clusters),
    )  # fmt: skip
    return replace(change, direction=direction_of(change))


def _interval(
    value_and_draws: tuple[float, Column],
    clusters: int,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float, str | None]:
    value, draws = value_and_draws
    if not math.isfinite(value):
        return math.nan, math.nan, "not defined"
    return percentile_interval(value, draws, clusters=clusters, within=within)


def _deviation_interval(
    values: NDArray[np.float64],
    deviations: Drawn,
    noise: Column,
    clusters: int,
    within: tuple[float, float],
) -> tuple[float, float]:
    """Of a side, whose seeds' scatter widens it: [seed] and [seed, draw]."""
    value = float(np.mean(values))
    _, scatter = pooled(values.tolist(), np.zeros_like(deviations), noise)
    reach = deviations.mean(axis=0) + np.abs(scatter)
    low, high, _ = deviation_interval(value, reach, clusters=clusters, within=within)
    return low, high


def _p(gap: tuple[float, Column], flipped: Column, *, clusters: int, seeds: int) -> float:
    exact = permutation_p(gap[0], flipped)
    if seeds < 2 or math.isnan(exact):
        return exact
    value, draws = gap
    sides = [
        one_sided_p(sign * value, sign * draws, clusters=clusters, above=0.0) for sign in (1, -1)
    ]
    return max(exact, min(1.0, 2.0 * min(sides)))


def _effect(difference: float, draws: Column, *, clusters: int) -> float:
    """Difference over the standard deviation of a cluster's change, as the bootstrap has it."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < 2 or clusters < 2:
        return math.nan
    deviation = float(np.std(finite, ddof=1)) * math.sqrt(clusters)
    return difference / deviation if deviation > 1e-12 * max(1.0, abs(difference)) else math.nan


def seed_noise(seeds: int, *, draws: int, seed: int) -> Column:
    """Draws of Student's t with seeds - 1 degrees: [draw]; zeros for a single seed."""
    if seeds < 2:
        return np.zeros(draws)
    # A third stream: the bootstrap draws from `seed`, the sign flips from `(seed, 1)`.
    return np.random.default_rng((seed, 2)).standard_t(seeds - 1, size=draws)


def pooled(
    values: Sequence[float], drawn: NDArray[np.float64], noise: Column
) -> tuple[float, Column]:
    """The mean over seeds, and its draws with the seeds' scatter.

    `values`: [seed]; `drawn`: [seed, draw] of the same number; `noise` from `seed_noise`.
    """
    if len(values) == 1:
        return values[0], drawn[0]
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), drawn.mean(axis=0) + noise * error


def ratio_of_means(
    part: NDArray[np.float64],
    part_drawn: NDArray[np.float64],
    *,
    of: NDArray[np.float64],
    of_drawn: NDArray[np.float64],
    noise: Column,
) -> tuple[float, Column]:
    """How many times a part is in the whole, and its draws; [seed] and [seed, draw] of both.

    The ratio of the means over seeds; their scatter is that of the ratio's residuals (the delta
    method), for part and whole move together. nan where the whole is 0.
    """
    whole = float(of.mean())
    if whole == 0.0:
        return math.nan, np.full(len(noise), math.nan)
    ratio = float(part.mean()) / whole
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = part_drawn.mean(axis=0) / of_drawn.mean(axis=0)
    _, residual = pooled((part - ratio * of).tolist(), np.zeros_like(part_drawn), noise)
    return ratio, drawn + residual / abs(whole)


def spread(values: Sequence[float]) -> float:
    """Standard deviation (ddof 1) over seeds; nan for a single seed, or where a value is nan."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
