"""Rows left out: values on the others, and a paired change whose interval holds the truth."""

import math

import numpy as np
import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.data.known_faults import fault_list
from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.plugins import build
from equipoise.records import Column, Metric
from equipoise.stats.resample import bootstrap, point, select
from equipoise.stats.without import _masked, without_rows

MEAN = Metric(name="mean", of=mean_of("x"), unit="", source="mean")


def columns(values: Column, clusters: Column) -> dict[str, Column]:
    return {"x": values, CLUSTER: clusters}


def test_a_value_is_that_of_the_other_rows_and_a_change_their_difference() -> None:
    rng = np.random.default_rng(0)
    rows = columns(rng.normal(size=60), np.repeat(np.arange(20.0), 3))
    faulty = rng.random(60) < 0.3
    rows["x"][faulty] += 5
    [[(without, change)]] = without_rows([MEAN], rows, [faulty], draws=200, seed=3)
    (alone,) = bootstrap([MEAN], select(rows, ~faulty), draws=200, seed=3)
    assert without == alone
    assert change.value == pytest.approx(rows["x"][~faulty].mean() - rows["x"].mean())
    assert change.low < change.value < change.high < 0
    assert (change.n, change.clusters) == (faulty.sum(), len({*rows[CLUSTER][faulty]}))


@pytest.mark.thorough
def test_intervals_of_a_fault_that_does_nothing_hold_0() -> None:
    """And are paired: far narrower than that of the value itself."""
    rng = np.random.default_rng(1)
    held, widths = 0, []
    for world in range(300):
        clusters = np.repeat(np.arange(40.0), 4)
        rows = columns(rng.normal(size=40)[clusters.astype(int)] + rng.normal(size=160), clusters)
        faulty = rng.random(160) < 0.15
        [[(without, change)]] = without_rows([MEAN], rows, [faulty], draws=150, seed=world)
        held += change.low <= 0 <= change.high
        widths.append((change.high - change.low) / (without.high - without.low))
    assert 0.92 <= held / 300 <= 0.99
    assert np.mean(widths) < 0.6


def test_what_has_no_change_says_why() -> None:
    rows = columns(np.arange(12.0), np.repeat(np.arange(4.0), 3))
    single, every = rows[CLUSTER] == 2, np.full(12, True)
    alone, none_left = without_rows([MEAN], rows, [single, every], draws=50, seed=0)
    (_, change) = alone[0]
    assert change.value == pytest.approx(rows["x"][~single].mean() - rows["x"].mean())
    assert math.isnan(change.low)
    assert change.reason == "an interval needs at least 2 independent clusters, there are 1"
    (without, change) = none_left[0]
    assert math.isnan(without.value)
    assert math.isnan(change.value)
    assert change.reason == "mean is not defined on these 0 measured examples"


@pytest.mark.parametrize("name", ["stereoset", "crows_pairs", "bbq", "hellaswag", "facts"])
def test_metrics_leave_out_what_is_masked(name: str) -> None:
    """Every metric with a list of faults is the same on masked rows as on the others alone."""
    benchmark, known = build(Benchmark, name), fault_list(name)
    assert known is not None
    rng = np.random.default_rng(2)
    keys = ["prefers", "related", "tie", "margin", "correct", "correct_norm", "correct_by_subject"]
    for context in ("ambig", "disambig"):
        keys += [f"{value}_{context}" for value in ("correct", "lean", "named")]
    rows = {key: rng.integers(-1, 2, size=90).astype(float) for key in keys}
    for values in rows.values():
        values[rng.random(90) < 0.2] = math.nan
    rows |= {CLUSTER: rng.integers(15, size=90), "@axis": rng.integers(3, size=90)}
    faulty = rng.random(90) < 0.4
    for metric in benchmark.metrics:
        if metric.name in known.metrics:
            masked = point(metric, _masked(rows, faulty))
            alone = point(metric, select(rows, ~faulty))
            assert masked.value == pytest.approx(alone.value)
            assert math.isfinite(alone.value)
