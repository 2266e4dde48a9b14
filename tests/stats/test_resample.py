"""The bootstrap: exact small cases, properties, coverage, cost."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from equipoise.metrics.weighted import CLUSTER, Weighted, Weights, values_of
from equipoise.records import Columns, Metric, Outcome
from equipoise.stats.resample import (
    bootstrap,
    bootstrap_means,
    by_cell,
    cells_of,
    columns_of,
    percentile_interval,
    point,
    spread,
)

MEAN = Metric(name="mean", of=Weighted(lambda c, w: w.mean(c["x"])), unit="", source="arithmetic")


def outcomes(values: list[float], clusters: list[str] | None = None) -> list[Outcome]:
    groups = [{"term": cluster} for cluster in clusters] if clusters else [{} for _ in values]
    return [
        Outcome(example=str(k), values={"x": x}, groups=g)
        for k, (x, g) in enumerate(zip(values, groups, strict=True))
    ]


def macro(columns: Columns) -> float:
    """Mean over clusters of their means."""
    _, codes = np.unique(columns["@cluster"], return_inverse=True)
    return float(np.mean(np.bincount(codes, columns["x"]) / np.bincount(codes)))


def test_columns_hold_values_group_codes_and_clusters() -> None:
    given_outcomes = [
        Outcome(example="a", values={"x": 1.0}, groups={"term": "nurse"}),
        Outcome(example="b", values={"x": 2.0, "y": 5.0}, groups={"term": "guard"}),
        Outcome(example="c", values={"y": 7.0}),
        Outcome(example="d", values={"x": 4.0}, groups={"term": "nurse"}),
    ]
    columns = columns_of(given_outcomes, cluster="term")
    np.testing.assert_array_equal(columns["x"], [1.0, 2.0, math.nan, 4.0])
    np.testing.assert_array_equal(columns["y"], [math.nan, 5.0, 7.0, math.nan])
    np.testing.assert_array_equal(columns["@term"], [1, 0, -1, 1])
    codes = columns["@cluster"].tolist()
    assert codes[0] == codes[3]
    assert len(set(codes)) == 3


def test_without_a_cluster_key_each_example_is_a_cluster() -> None:
    columns = columns_of(outcomes([1.0, 2.0, 3.0]), cluster=None)
    assert len(set(columns["@cluster"].tolist())) == 3


def test_a_plain_metric_gets_the_rows_of_each_draw() -> None:
    columns = columns_of(outcomes([1, 2, 3, 4, 5], ["b", "a", "b", "b", "a"]), cluster="term")
    rows: list[tuple[list[float], int]] = []

    def of(drawn: Columns) -> float:
        rows.append((sorted(drawn["x"].tolist()), len(set(drawn["@cluster"].tolist()))))
        return macro(drawn)

    once = Weights.once(columns["@cluster"])
    drawn = Weights(once.clusters, np.array([[0.0, 2.0], [1.0, 1.0]]))  # "b" twice; "a" and "b"
    values = values_of(Metric(name="macro", of=of, unit="", source="test"), columns, drawn)
    assert rows == [([1, 1, 3, 3, 4, 4], 2), ([1, 2, 3, 4, 5], 2)]
    assert values == pytest.approx([8 / 3, (3.5 + 8 / 3) / 2])


def test_interval_equals_a_plain_loop_over_the_same_draws() -> None:
    values = [1.0, 5.0, 2.0, 8.0, 3.0, 9.0, 4.0, 6.0, 0.0]
    columns = columns_of(outcomes(values, list("aabcccdef")), cluster="term")
    metric = Metric(name="macro", of=macro, unit="", source="test")
    estimate = bootstrap([metric], columns, draws=200, seed=3)[0]
    means = np.array([3.0, 2.0, 20 / 3, 4.0, 6.0, 0.0])
    generator = np.random.default_rng(3)
    slow = [means[generator.integers(6, size=6)].mean() for _ in range(200)]
    tail = 100 * norm.cdf(-2.570582 * math.sqrt(6 / 5))  # t of 5 degrees at 97.5 %
    assert estimate.value == pytest.approx(means.mean())
    assert (estimate.low, estimate.high) == pytest.approx(
        tuple(np.percentile(slow, (tail, 100 - tail)))
    )
    assert (estimate.n, estimate.clusters) == (9, 6)


def test_few_clusters_have_the_interval_of_students_t() -> None:
    columns = columns_of(outcomes([1.0, 5.0, 2.0, 8.0, 3.0, 9.0], list("aabccc")), cluster="term")
    metric = Metric(name="macro", of=Weighted(lambda c, w: w.macro(c["x"])), unit="", source="t")
    means = np.array([3.0, 2.0, 20 / 3])
    half = 4.302653 * means.std(ddof=1) / math.sqrt(3)
    estimate = bootstrap([metric], columns, draws=20_000, seed=3)[0]
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.02)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.02)
    bounded = replace(metric, low=0.0, high=8.0)
    estimate = bootstrap([bounded], columns, draws=200, seed=3)[0]
    assert (estimate.low, estimate.high) == (0.0, 8.0)


@pytest.mark.thorough
@pytest.mark.parametrize("count", [2, 4, 6, 10])
def test_intervals_of_few_clusters_have_their_coverage(count: int) -> None:
    generator = np.random.default_rng(count)
    hits = 0
    for seed in range(120):
        rows = outcomes([float(value) for value in generator.normal(size=count)])
        estimate = bootstrap([MEAN], columns_of(rows, cluster=None), draws=200, seed=seed)[0]
        hits += estimate.low <= 0.0 <= estimate.high
    assert hits / 120 >= 0.90  # plain percentiles: 0.58, 0.81, 0.88, 0.87


def test_one_cluster_has_a_value_but_no_interval() -> None:
    columns = columns_of(outcomes([1.0, 3.0], ["a", "a"]), cluster="term")
    estimate = bootstrap([MEAN], columns, draws=50, seed=0)[0]
    assert estimate.value == 2.0
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert estimate.reason == "an interval needs at least 2 independent clusters, there are 1"


def test_no_rows_is_nan_with_n_zero() -> None:
    estimate = bootstrap([MEAN], columns_of([], cluster=None), draws=50, seed=0)[0]
    assert math.isnan(estimate.value)
    assert (estimate.n, estimate.clusters) == (0, 0)
    assert "not defined" in str(estimate.reason)


def test_no_draws_gives_values_alone() -> None:
    estimate = bootstrap([MEAN], columns_of(outcomes([1.0, 2.0]), cluster=None), draws=0, seed=0)[0]
    assert estimate.value == 1.5
    assert estimate.reason == "no bootstrap draws were asked for"


def test_n_counts_rows_whose_values_the_metric_reads() -> None:
    columns = columns_of(outcomes([1.0, math.nan, 3.0, 5.0]), cluster=None)
    assert point(MEAN, columns).n == 3
    complement = [Outcome(example="a", values={"u": 1.0}), Outcome(example="b", values={"v": 2.0})]
    both = Metric(
        name="d", of=lambda c: float(np.nansum(c["u"]) - np.nansum(c["v"])), unit="", source="t"
    )
    assert point(both, columns_of(complement, cluster=None)).n == 2


def test_undefined_draws_are_left_out_up_to_a_tenth() -> None:
    draws = np.concatenate([np.full(10, math.nan), np.arange(90.0)])
    low, high, reason = percentile_interval(40.0, draws, clusters=10**6)
    assert (low, high) == pytest.approx((2.225, 86.775), abs=1e-3)
    assert reason is None
    low, high, reason = percentile_interval(40.0, np.append(draws, [math.nan]), clusters=9)
    assert math.isnan(low)
    assert math.isnan(high)
    assert reason == "undefined in 11 of 101 bootstrap draws"


def test_interval_is_widened_to_contain_the_value() -> None:
    assert percentile_interval(5.0, np.zeros(100), clusters=9)[:2] == (0.0, 5.0)


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.sampled_from("abcdef")), min_size=1, max_size=20),
    st.integers(0, 5),
)
def test_interval_contains_the_value(rows: list[tuple[float, str]], seed: int) -> None:
    columns = columns_of(outcomes([r[0] for r in rows], [r[1] for r in rows]), cluster="term")
    metric = Metric(name="macro", of=macro, unit="", source="test")
    for estimate in bootstrap([MEAN, metric], columns, draws=30, seed=seed):
        if estimate.clusters > 1:
            assert estimate.low <= estimate.value <= estimate.high
        else:
            assert math.isnan(estimate.low)


def test_bootstrap_means_equal_the_metric_mean() -> None:
    columns = columns_of(outcomes([1.0, 5.0, 2.0, 8.0], list("abcd")), cluster="term")
    means = bootstrap_means(columns, ["x"], draws=60, seed=3)
    assert means == bootstrap([MEAN], columns, draws=60, seed=3)


def test_groups_of_the_same_rows_are_computed_once() -> None:
    rows = [
        Outcome(
            example=str(k),
            values={},
            groups={"all": "x", "half": "ab"[k % 2], "same": "cd"[k % 2]},
        )
        for k in range(4)
    ]
    masks: list[list[bool]] = []

    def of(mask: NDArray[np.bool_]) -> int:
        masks.append(mask.tolist())
        return int(mask.sum())

    keys = ["all", "half", "same"]
    cells = list(by_cell(rows, keys, of))
    assert [group for group, _ in cells] == [
        group for group, _ in cells_of(rows, ["all", "half", "same"])
    ]
    assert [count for _, count in cells] == [4, 4, 2, 2, 2, 2]
    assert len(masks) == 3


def test_order_changes_no_value_and_the_seed_only_the_interval() -> None:
    values = [float(x) for x in np.random.default_rng(0).normal(size=40)]
    terms = [f"t{k % 9}" for k in range(40)]
    first = bootstrap([MEAN], columns_of(outcomes(values, terms), cluster="term"), draws=99, seed=1)
    again = bootstrap([MEAN], columns_of(outcomes(values, terms), cluster="term"), draws=99, seed=1)
    back = columns_of(outcomes(values[::-1], terms[::-1]), cluster="term")
    turned = bootstrap([MEAN], back, draws=99, seed=1)
    assert first == again
    assert turned[0].value == pytest.approx(first[0].value)
    assert turned[0].low == pytest.approx(first[0].low)
    assert bootstrap([MEAN], back, draws=99, seed=2)[0].low != turned[0].low


def test_spread_is_the_standard_deviation_over_a_group_key() -> None:
    rows = [
        Outcome(example=f"{item}#{k}", values={"x": x + k}, groups={"prefix": str(k), "item": item})
        for k in range(3)
        for item, x in (("a", 0.0), ("b", 10.0))
    ]
    metric = spread(MEAN, over="prefix")
    columns = columns_of(rows, cluster="item")
    assert metric.name == "mean_spread"
    assert metric.of(columns) == pytest.approx(1.0)  # means 5, 6, 7
    estimate = bootstrap([metric], columns, draws=50, seed=0)[0]
    # every draw keeps whole items
    assert (estimate.low, estimate.high) == pytest.approx((1.0, 1.0))
    assert math.isnan(metric.of(columns_of(rows[:2], cluster="item")))


@pytest.mark.thorough
def test_coverage_of_a_mean_over_clusters_is_near_nominal() -> None:
    """120 worlds of 40 clusters of 4 equal rows: treating rows as independent covers far less."""
    generator = np.random.default_rng(5)
    covered = {"term": 0, None: 0}
    for _ in range(120):
        values = np.repeat(generator.normal(size=40), 4).tolist()
        terms = [f"t{k // 4}" for k in range(160)]
        for cluster in ("term", None):
            columns = columns_of(outcomes(values, terms), cluster=cluster)
            estimate = bootstrap([MEAN], columns, draws=200, seed=0)[0]
            covered[cluster] += estimate.low <= 0.0 <= estimate.high
    assert 0.89 <= covered["term"] / 120 <= 0.98
    assert covered[None] / 120 < 0.8


def test_the_spread_of_a_plain_function_leaves_out_groups_that_were_not_drawn() -> None:
    def mean(columns: Columns) -> float:
        return float(sum(columns["x"]) / len(columns["x"]))  # of no rows: an error

    metric = Metric(name="plain", of=mean, unit="", source="arithmetic")
    columns = {
        "x": np.array([1.0, 2.0, 4.0, 8.0]),
        "@group": np.array([0.0, 0.0, 1.0, 1.0]),
        CLUSTER: np.arange(4.0),
    }
    (interval,) = bootstrap([spread(metric, over="group")], columns, draws=50, seed=0)
    assert interval.value == pytest.approx(np.std([1.5, 6.0], ddof=1))
