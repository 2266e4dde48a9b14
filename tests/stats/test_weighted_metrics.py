"""Every built-in metric, all draws at once, gives what it gives draw by draw on gathered rows."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from users_files import NEEDED, USERS

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.metrics.weighted import Weighted
from equipoise.records import JSON, Column, Columns, Metric
from equipoise.stats.compare import Sides, compare_metrics
from equipoise.stats.resample import bootstrap, spread

NAMES = [name for name in plugins.names_in("equipoise.benchmarks") if name != "harness"]
CODES = {"@axis": 3, "@subject": 4, "@prefix": 2, "@domain": 2, "@group": 4, "@prompt": 9}
CODES["@compared"] = CODES["@group"]
VALUES = [0.0, 0.0, 0.125, 0.5, 1.0, 1.0, math.nan]


class Invented(dict[str, Column]):
    """Columns with whatever value a metric reads, made when it is first read."""

    def __init__(self, clusters: list[int], seed: int) -> None:
        super().__init__({"@cluster": np.array(clusters, dtype=np.float64)})
        self.generator, self.rows = np.random.default_rng(seed), len(clusters)

    def get(self, key: str, _default: object = None) -> Column:  # type: ignore[override]
        return self[key]

    def __missing__(self, key: str) -> Column:
        if key in CODES:
            self[key] = self.generator.integers(-1, CODES[key], size=self.rows).astype(float)
        else:
            self[key] = self.generator.choice(VALUES, size=self.rows)
        return self[key]


def slow(metric: Metric) -> Metric:
    """The same metric as a plain function, which is called for each draw."""
    return replace(metric, of=lambda columns: metric.of(columns))


def metrics_of(name: str) -> Iterator[Metric]:
    file: dict[str, JSON] = {"file": "mine.csv"} if name in USERS else {}
    options = file | NEEDED.get(name, {})
    of_draws = (m for m in plugins.build(Benchmark, name, options).metrics if m.resampled)
    for metric in of_draws:
        assert isinstance(metric.of, Weighted), f"{name}.{metric.name} takes draws one by one"
        yield metric


def invented(metrics: list[Metric], clusters: list[int], seed: int) -> Columns:
    """Columns with all that the metrics read."""
    columns = Invented(clusters, seed)
    for metric in (*metrics, spread(metrics[0], over="prefix")):
        metric.of(columns)
    return dict(columns)


def agree(name: str, clusters: list[int], seed: int, *, flips: bool) -> None:
    metrics = list(metrics_of(name))
    before, after = (invented(metrics, clusters, 2 * seed + side) for side in (0, 1))
    after = {key: before[key] if key.startswith("@") else after[key] for key in before}
    quick = [*metrics, *(spread(metric, over="prefix") for metric in metrics)]
    plain = [slow(metric) for metric in quick]
    at_once = bootstrap(quick, before, draws=10, seed=seed)
    in_turn = bootstrap(plain, before, draws=10, seed=seed)
    for estimate, looped in zip(at_once, in_turn, strict=True):
        assert (estimate.n, estimate.clusters, estimate.reason) == (
            looped.n,
            looped.clusters,
            looped.reason,
        )
        numbers = (looped.value, looped.low, looped.high)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(numbers, nan_ok=True)
    if flips:
        sides = Sides(before=before, afters=(after,))
        quickly, plainly = (
            compare_metrics(chosen[: len(metrics)], sides, draws=12, seed=seed)
            for chosen in (quick, plain)
        )
        for change, again in zip(quickly, plainly, strict=True):
            numbers = (change.difference, change.low, change.high, change.p)
            slow_numbers = (again.difference, again.low, again.high, again.p)
            assert numbers == pytest.approx(slow_numbers, nan_ok=True)
            assert change.direction == again.direction


clusters = st.lists(st.integers(0, 15), min_size=1, max_size=40)


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_batched_draws_equal_single_draws(name: str) -> None:
    agree(name, [k % 12 for k in range(30)], 1, flips=True)
    agree(name, [0, 0, 0], 2, flips=False)  # one cluster


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(clusters=clusters, seed=st.integers(0, 10**6))
def test_batched_draws_equal_single_draws_on_any_columns(
    name: str, clusters: list[int], seed: int
) -> None:
    agree(name, clusters, seed, flips=len(set(clusters)) > 10 or len(set(clusters)) < 4)
