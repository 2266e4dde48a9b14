"""How much of what fine-tuning added to a bias a mitigation took away again.

BiasDiff calls its results a reduction by "28 %" or "around 50 %": (S_tuned - S_after) /
(S_tuned - S_base) of a score S, without an interval. Base, fine-tuned and mitigated model are three
sides on the same items here, drawn together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Columns, Estimate, Metric
from equipoise.stats.compare import pooled, ratio_of_means, seed_noise
from equipoise.stats.resample import percentile_interval, point, resampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The same rows at three stages of a model, with the same coding of clusters."""

    base: Columns
    tuned: tuple[Columns, ...]  # per seed
    after: tuple[Columns, ...]  # of the same seeds, in the same order


def reductions(
    metrics: Sequence[Metric], stages: Stages, *, draws: int, seed: int
) -> list[Estimate]:
    """The reduction in percent of each metric that has a point as its ideal: 100 is as the base.

    Below 0 it was raised further, above 100 it is beyond the base. Several seeds: the ratio of
    their means, with their scatter in the interval. nan with a reason where fine-tuning is not
    shown to have moved the metric, for nothing has no shares.
    Raises `ValueError` where the stages do not have equally many seeds.
    """
    seeds = len(stages.tuned)
    if not seeds or len(stages.after) != seeds:
        raise ValueError(
            f"both stages must have equally many seeds, at least 1, got {seeds} and "
            f"{len(stages.after)}; leave out those without a twin"
        )
    chosen = [metric for metric in metrics if metric.ideal is not None]
    chosen = [metric for metric in chosen if metric.higher_is_better is None]
    columns = (stages.base, *stages.tuned, *stages.after)
    drawn = np.full((len(columns), draws, len(chosen)), math.nan)
    if len(np.unique(stages.base[CLUSTER])) > 1:
        drawn = resampled(chosen, columns, draws=draws, seed=seed)
    noise = seed_noise(seeds, draws=draws, seed=seed)
    estimates = []
    for index, metric in enumerate(chosen):
        points = [point(metric, side) for side in columns]
        values, draws_of = np.array([each.value for each in points]), drawn[:, :, index]
        tuned, tuned_drawn = values[1 : 1 + seeds], draws_of[1 : 1 + seeds]
        added, added_drawn = tuned - values[0], tuned_drawn - draws_of[0]
        removed = tuned - values[1 + seeds :]
        ratio, ratio_drawn = ratio_of_means(
            removed,
            tuned_drawn - draws_of[1 + seeds :],
            of=added,
            of_drawn=added_drawn,
            noise=noise,
        )
        clusters = min(each.clusters for each in points)
        reason = next((each.reason for each in points if each.reason), None)
        if reason is None:
            whole, whole_drawn = pooled(added.tolist(), added_drawn, noise)
            low, high, reason = percentile_interval(whole, whole_drawn, clusters=clusters)
            if reason is None and low <= 0.0 <= high:
                reason = (
                    f"what fine-tuning added, {whole:.3g} [{low:.3g}, {high:.3g}], is not shown to "
                    "differ from 0, and nothing has no shares"
                )
        percent, low, high = 100.0 * ratio, math.nan, math.nan
        if reason is None:
            low, high, reason = percentile_interval(percent, 100.0 * ratio_drawn, clusters=clusters)
        else:
            percent = math.nan
        estimates.append(
            Estimate(
                metric=metric.name, value=percent, low=low, high=high, unit="%",
                n=min(each.n for each in points), clusters=clusters, reason=reason,
            )
        )  # fmt: skip
    return estimates
