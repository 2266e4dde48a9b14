"""Outcomes to estimates: every metric with its interval, overall and by group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Columns, Estimate, Metric, Outcome
from equipoise.stats.crossed import crossed_interval, over_groups
from equipoise.stats.pairing import PREFIX
from equipoise.stats.resample import (
    Interval,
    bootstrap,
    bootstrap_alike,
    by_cell,
    columns_of,
    select,
    spread,
    value_columns,
)


class Estimated(Protocol):
    """What is estimated of outcomes; a benchmark is."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is made of the outcomes."""

    @property
    def by(self) -> tuple[str, ...]:
        """Group keys that get rows of their own."""

    @property
    def related(self) -> tuple[str, ...]:
        """Further such keys, which only some outcomes have."""

    @property
    def crossed(self) -> Mapping[str, str]:
        """Metrics that get an interval over the groups of a key, too."""


def estimate_metrics(
    benchmark: Estimated,
    outcomes: Sequence[Outcome],
    *,
    cluster: str | None,
    family: bool,
    draws: int,
    seed: int,
) -> Iterator[Estimate]:
    """Every metric, overall and by group; of a family also by prefix and its spread over them."""
    columns = columns_of(outcomes, cluster=cluster)
    metrics = list(benchmark.metrics)
    keys = (*benchmark.by, *([PREFIX] if family else []), *benchmark.related)

    def estimate(mask: NDArray[np.bool_]) -> list[Interval]:
        return bootstrap(metrics, select(columns, mask), draws=draws, seed=seed)

    for group, intervals in by_cell(outcomes, keys, estimate):
        for metric, interval in zip(metrics, intervals, strict=True):
            yield _estimate(metric, interval, group)
            over = benchmark.crossed.get(metric.name)
            if over is not None and not group:
                interval = crossed_interval(metric, columns, over=over)
                yield _estimate(over_groups(metric, over), interval, group)
        if family and not group:
            spreads = [spread(metric, over=PREFIX) for metric in metrics if metric.resampled]
            for metric, interval in zip(
                spreads, bootstrap(spreads, columns, draws=draws, seed=seed), strict=True
            ):
                yield _estimate(metric, interval, group)


def estimate_alike(
    benchmark: Estimated,
    sides: Sequence[Sequence[Outcome]],
    *,
    cluster: str | None,
    draws: int,
    seed: int,
) -> list[list[Estimate]]:
    """`estimate_metrics` of several outcomes of the same examples, which are drawn but once.

    Without intervals over the groups of a key (`crossed`).
    """
    metrics, keys = list(benchmark.metrics), (*benchmark.by, *benchmark.related)
    alike: list[list[int]] = []  # sides whose rows have the same groups
    for index, outcomes in enumerate(sides):
        groups = [outcome.groups for outcome in outcomes]
        for indices in alike:
            if groups == [outcome.groups for outcome in sides[indices[0]]]:
                indices.append(index)
                break
        else:
            alike.append([index])
    estimates: list[list[Estimate]] = [[] for _ in sides]
    for indices in alike:
        first = columns_of(sides[indices[0]], cluster=cluster)
        group_columns = {key: column for key, column in first.items() if key.startswith("@")}
        columns = [value_columns(sides[index]) | group_columns for index in indices]

        def estimate(
            mask: NDArray[np.bool_], columns: Sequence[Columns] = columns
        ) -> list[list[Interval]]:
            return bootstrap_alike(
                metrics, [select(side, mask) for side in columns], draws=draws, seed=seed
            )

        for group, by_side in by_cell(sides[indices[0]], keys, estimate):
            for index, intervals in zip(indices, by_side, strict=True):
                pairs = zip(metrics, intervals, strict=True)
                estimates[index] += [_estimate(*pair, group) for pair in pairs]
    return estimates


def _estimate(metric: Metric, interval: Interval, group: Mapping[str, str]) -> Estimate:
    return Estimate(
        metric=metric.name,
        unit=metric.unit,
        ideal=metric.ideal,
        higher_is_better=metric.higher_is_better,
        group=group,
        **asdict(interval),
    )
