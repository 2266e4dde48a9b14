"""Shares on their grid k / n: of published tables, by hand, and any count at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.checks.arithmetic import grid_faults, on_grid
from equipoise.records import Estimate, Metric

PRINTED = 0.005  # two decimals


@pytest.mark.parametrize(
    ("value", "n", "lies_on"),
    [
        (59.16, 262, True),  # GPT-2 medium, CrowS-Pairs about gender: 155 of 262
        (72.38, 105, True),  # about religion: 76 of 105
        (62.40, 516, True),  # about race-color: 322 of 516
        (50.31, 516, False),  # CDA's "race", in the same column ...
        (50.31, 159, True),  # ... is 80 of the 159 pairs about nationality
        (52.31, 262, False),  # BiasUnlearn on GPT-2 medium, gender: no count of 262
    ],
)
def test_published_scores_of_crows_pairs(value: float, n: int, lies_on: bool) -> None:
    assert on_grid(value, n=n, grid=100.0, tolerance=PRINTED) == lies_on


@pytest.mark.thorough
@given(n=st.integers(1, 50_000), data=st.data())
def test_counts_are_on_the_grid_and_half_counts_are_not(n: int, data: st.DataObject) -> None:
    whole = data.draw(st.integers(0, n))
    assert on_grid(100.0 * (whole / n), n=n, grid=100.0)
    half = 100.0 * ((whole + 0.5) / n)
    assert not on_grid(half, n=n, grid=100.0)
    assert on_grid(half, n=n, grid=50.0)


def metric(name: str, grid: float | None) -> Metric:
    return Metric(name=name, of=lambda _: 0.0, unit="%", source="test", grid=grid)


def estimate(name: str, value: float, n: int, **group: str) -> Estimate:
    return Estimate(
        metric=name, value=value, low=value, high=value, n=n, clusters=2, unit="%", group=group
    )


METRICS = {"share": metric("share", 100.0), "mean": metric("mean", None)}


def test_only_counts_are_checked_against_a_grid() -> None:
    sound = [
        estimate("share", 25.0, 4),
        estimate("share", math.nan, 0),
        estimate("mean", 33.1, 4),
        estimate("other", 33.1, 4),
    ]
    assert grid_faults(sound, METRICS) == (1, [])


def test_off_grid_value_is_reported_with_its_neighbors() -> None:
    checked, (fault,) = grid_faults([estimate("share", 33.0, 4, axis="age")], METRICS)
    assert checked == 1
    assert fault.level == "error"
    assert fault.text == (
        "share (axis=age) must be a count of 4 examples, near here 25 or 50, got 33"
    )


def test_wrong_n_is_off_the_grid() -> None:
    assert len(grid_faults([estimate("share", 200 / 3, 4)], METRICS)[1]) == 1
