"""Weights: by hand, and against gathering the rows of each draw."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics.weighted import Weighted, Weights, mean_over_groups, ratio
from equipoise.records import Column

NAN = math.nan


def column(*values: float) -> Column:
    return np.array(values, dtype=np.float64)


# Two clusters of two and one rows. All rows; the first cluster twice; the second one twice; none.
CLUSTERS = np.array([0, 0, 1])
COUNTS = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
WEIGHTS = Weights(CLUSTERS, COUNTS)


def equal(values: Column, want: list[float]) -> None:
    np.testing.assert_allclose(values, want)


def test_rows_count_as_often_as_drawn() -> None:
    values = column(1, 3, 8)
    equal(WEIGHTS.total(values, np.array([True, True, True])), [12, 8, 16, 0])
    equal(WEIGHTS.size(np.array([True, False, True])), [2, 2, 2, 0])
    equal(WEIGHTS.mean(values), [4, 2, 8, NAN])
    equal(WEIGHTS.mean(column(1, NAN, 8)), [4.5, 1, 8, NAN])
    equal(WEIGHTS.median(values), [3, 2, 8, NAN])
    equal(WEIGHTS.median(column(NAN, NAN, NAN)), [NAN] * 4)


def test_clusters_count_as_often_as_drawn_and_groups_once() -> None:
    values = column(1, 3, 8)
    weights = Weights(CLUSTERS, np.array([[1.0, 1.0], [2.0, 1.0]]))
    equal(weights.macro(values), [5, 4])  # cluster means 2 and 8
    groups = column(0, 1, 1)
    equal(weights.macro_over(values, groups), [(1 + 5.5) / 2, (1 + 14 / 3) / 2])
    equal(weights.macro_over(values, column(0, -1, 1)), [4.5, 4.5])
    assert math.isnan(float(weights.macro(column(NAN, NAN, NAN))[0]))


def test_a_cluster_in_two_groups_counts_in_each() -> None:
    values, groups = column(1, 0, 0), column(0, 1, 1)
    equal(Weights.once(column(0, 0, 1)).macro_within(values, groups), [1, 0])
    weights = Weights(CLUSTERS, np.array([[2.0, 1.0], [0.0, 3.0]]))
    equal(weights.macro_within(column(1, 0, 1), groups), [[1, 1 / 3], [NAN, 1]])
    assert weights.macro_within(column(NAN, NAN, NAN), groups).shape == (2, 0)


def test_rows_without_a_value_or_a_group_are_left_out() -> None:
    weights = Weights.once(column(0, 0, 1, 7, 8))
    values, groups = column(1, 0, 0, NAN, 1), column(0, 1, 1, 0, -1)
    equal(weights.macro_within(values, groups), [1, 0])


def test_ratios_and_means_of_nothing_are_nan() -> None:
    equal(ratio(column(1, 0, 1), column(2, 0, -1)), [0.5, NAN, NAN])
    equal(mean_over_groups(np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN]])), [2, NAN])


def test_a_weighted_function_takes_plain_columns() -> None:
    of = Weighted(lambda c, w: w.macro(c["x"]))
    assert of({"x": column(1, 3, 8), "@cluster": column(5, 5, 9)}) == 5.0


values = st.sampled_from([0.0, 0.25, 1.0, 1.0, -2.0, NAN])
tables = st.lists(st.tuples(values, st.integers(0, 4), st.integers(-1, 2)), min_size=1, max_size=30)


@pytest.mark.thorough
@settings(max_examples=20)
@given(tables, st.integers(0, 10**6))
def test_reductions_equal_those_of_gathered_rows(
    table: list[tuple[float, int, int]], seed: int
) -> None:
    x, terms, groups = np.array(table, dtype=np.float64).T
    names, clusters = np.unique(terms, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(5, len(names)))
    counts = np.stack([np.bincount(draw, minlength=len(names)) for draw in drawn])
    weights = Weights(clusters, counts.astype(float))
    for index, draw in enumerate(drawn):
        rows = np.concatenate([np.flatnonzero(clusters == cluster) for cluster in draw])
        sizes = [np.count_nonzero(clusters == cluster) for cluster in draw]
        gathered = Weights.once(np.repeat(np.arange(len(draw), dtype=float), sizes))
        for name in ("mean", "median", "macro"):
            quick = getattr(weights, name)(x)[index]
            assert quick == pytest.approx(float(getattr(gathered, name)(x[rows])), nan_ok=True)
        quick = weights.macro_over(x, groups)[index]
        slow = gathered.macro_over(x[rows], groups[rows])
        assert quick == pytest.approx(float(slow), nan_ok=True)
        quick = weights.macro_within(x, groups)[index]
        slow = gathered.macro_within(x[rows], groups[rows])
        assert quick[~np.isnan(quick)] == pytest.approx(slow)
        present = x[rows][~np.isnan(x[rows])]
        if len(present):
            assert weights.median(x)[index] == pytest.approx(np.median(present))
