"""An interval over two samples holds the mean of all that they might have been drawn from."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.records import Column, Metric
from equipoise.stats.crossed import crossed_interval, over_groups
from equipoise.stats.resample import Interval, bootstrap

MEAN = Metric(name="lean", of=mean_of("x"), unit="nats", source="t", ideal=0.0)


def columns_of(table: Column) -> dict[str, Column]:
    """A row per cell that is not nan of a table [cluster, group]."""
    kept = ~np.isnan(table)
    clusters, groups = np.nonzero(kept)
    return {
        "x": table[kept],
        CLUSTER: clusters.astype(float),
        "@template": groups.astype(float),
    }


def interval(table: Column, metric: Metric = MEAN) -> Interval:
    return crossed_interval(metric, columns_of(table), over="template")


def drawn_table(
    generator: np.random.Generator,
    clusters: int,
    groups: int,
    *,
    of_group: float,
    of_cluster: float,
) -> Column:
    """Effects of clusters and groups with these deviations, and 1 of each cell; mean 0."""
    return np.asarray(
        of_cluster * generator.normal(size=(clusters, 1))
        + of_group * generator.normal(size=(1, groups))
        + generator.normal(size=(clusters, groups))
    )


@pytest.mark.thorough
@pytest.mark.parametrize("number", [150, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("clusters", "groups", "of_group", "of_cluster"),
    [(25, 9, 1.0, 1.0), (60, 4, 0.5, 0.5), (25, 11, 0.0, 1.0), (25, 9, 2.0, 0.0)],
    ids=["both", "few", "clusters alone", "groups alone"],
)
def test_it_covers_the_mean_of_other_templates_and_professions(
    clusters: int, groups: int, of_group: float, of_cluster: float, number: int
) -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(number):
        table = drawn_table(generator, clusters, groups, of_group=of_group, of_cluster=of_cluster)
        result = interval(table)
        held += result.low <= 0.0 <= result.high
    error = math.sqrt(0.05 * 0.95 / number)
    # it may be too wide (where templates do not differ), and is never too narrow
    assert 0.94 - 2 * error <= held / number <= 0.99


def test_templates_as_fixed_are_too_narrow() -> None:
    """What this interval is for: over clusters alone most studies miss the mean."""
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        table = drawn_table(generator, 25, 9, of_group=1.0, of_cluster=0.2)
        (alone,) = bootstrap([MEAN], columns_of(table), draws=200, seed=0)
        held += alone.low <= 0.0 <= alone.high
    assert held / 60 < 0.6


def test_by_hand() -> None:
    """Means of templates 1 and 3, of professions 1, 2 and 3: v = 1 and w = 1/3."""
    result = interval(np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]))
    assert result.value == 2.0
    assert (result.n, result.clusters) == (6, 2)
    # two-sided 5 % of Student's t with 1.684 degrees of freedom is 5.196
    assert result.high - result.value == pytest.approx(5.196 * math.sqrt(4 / 3), rel=0.01)
    assert result.value - result.low == pytest.approx(result.high - result.value)


def test_too_few_templates_give_a_reason_and_the_value_stays() -> None:
    result = interval(np.array([[1.0], [3.0]]))
    assert (result.value, result.n) == (2.0, 2)
    assert math.isnan(result.low)
    assert result.reason is not None
    assert "there are 1" in result.reason
    absent = crossed_interval(MEAN, columns_of(np.ones((3, 3))), over="scale")
    assert (math.isnan(absent.value), math.isnan(absent.low)) == (True, True)
    assert absent.reason is not None
    nothing = interval(np.array([[math.nan, math.nan]]))
    assert math.isnan(nothing.value)
    assert nothing.reason is not None


def test_no_variance_is_no_width_and_a_range_is_kept() -> None:
    same = interval(np.ones((4, 3)))
    assert (same.low, same.value, same.high) == (1.0, 1.0, 1.0)
    bounded = replace(MEAN, low=0.0, high=4.0)
    result = interval(np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]), bounded)
    assert (result.low, result.high) == (0.0, 4.0)


@pytest.mark.thorough
@given(st.floats(-5, 5), st.floats(0.1, 5))
def test_shifted_and_scaled_as_the_values(shift: float, scale: float) -> None:
    table = np.random.default_rng(2).normal(size=(5, 4))
    plain, moved = interval(table), interval(shift + scale * table)
    for name in ("value", "low", "high"):
        expected = shift + scale * getattr(plain, name)
        assert getattr(moved, name) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_templates_that_lack_a_profession_count_alike() -> None:
    table = np.array([[0.0, 4.0], [0.0, math.nan], [0.0, math.nan]])
    assert interval(table).value == 2.0  # not the mean of rows, 1.0


def test_it_has_a_name_of_its_own() -> None:
    assert over_groups(MEAN, "template").name == "lean_over_template"
