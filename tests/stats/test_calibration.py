"""Calibration curves: slopes by hand, intervals, ranks and what cannot be had."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.records import Estimate
from equipoise.stats.calibration import Reading, curve


def reading(strength: float, value: float, *, seed: int = 0) -> Reading:
    estimate = Estimate(
        metric="afgb", value=value, low=value, high=value, n=9, clusters=3, unit="%", ideal=0.0
    )
    return Reading(strength=strength, seed=seed, estimate=estimate)


def test_a_straight_line_has_its_slope_without_doubt() -> None:
    found = curve([reading(x, 3 * x + 1) for x in (0, 0.25, 0.5, 0.75, 1)])
    assert (found.slope, found.slope_low, found.slope_high) == pytest.approx((3, 3, 3))
    assert found.spearman == pytest.approx(1)
    assert [one.estimate.value for one in found.at_zero()] == [1]
    assert (found.metric, found.unit, found.ideal, found.reason) == ("afgb", "%", 0.0, None)


def test_slope_and_interval_by_hand() -> None:
    # x 0, 0.5, 1 and y 0, 1, 1: slope 1; residuals -1/6, 1/3, -1/6; their squares sum to 1/6,
    # so stderr = sqrt(1/6 / 1 / 0.5); t(0.975, 1) = 12.7062
    found = curve([reading(0, 0), reading(0.5, 1), reading(1, 1)])
    assert found.slope == pytest.approx(1)
    half = 12.7062047 * math.sqrt(1 / 3)
    assert (found.slope_low, found.slope_high) == pytest.approx((1 - half, 1 + half))
    assert found.spearman == pytest.approx(math.sqrt(3) / 2)


def test_no_change_is_slope_0_and_no_rank() -> None:
    found = curve([reading(x, 5.0) for x in (0, 0.5, 1)])
    assert (found.slope, found.slope_low, found.slope_high) == pytest.approx((0, 0, 0))
    assert math.isnan(found.spearman)
    assert "every reading is the same" in str(found.reason)


@pytest.mark.parametrize(
    "points",
    [[(0, 1)], [(0, 1), (1, 2)], [(1, 1), (1, 2), (1, 3)], [(0, 1), (1, math.nan), (1, 2)]],
)
def test_too_few_readings_are_nan_with_a_reason(points: list[tuple[float, float]]) -> None:
    found = curve([reading(x, y, seed=k) for k, (x, y) in enumerate(points)])
    assert math.isnan(found.slope)
    assert math.isnan(found.slope_low)
    assert math.isnan(found.spearman)
    assert "a slope needs 3 at 2" in str(found.reason)


def test_readings_are_put_in_order_and_nan_ones_are_kept_but_not_fitted() -> None:
    points = [reading(1, 2), reading(0, 0, seed=1), reading(0.5, math.nan), reading(0, 0)]
    found = curve([*points, reading(0.5, 1, seed=1)])
    assert [(one.strength, one.seed) for one in found.readings] == [
        (0, 0),
        (0, 1),
        (0.5, 0),
        (0.5, 1),
        (1, 0),
    ]
    assert found.slope == pytest.approx(2)
    assert len(found.at_zero()) == 2


@settings(max_examples=20)
@given(st.lists(st.floats(-100, 100), min_size=4, max_size=8), st.floats(0.1, 10))
def test_turning_the_readings_round_turns_the_slope_round(values: list[float], by: float) -> None:
    found = curve([reading(k / len(values), v) for k, v in enumerate(values)])
    other = curve([reading(k / len(values), -by * v) for k, v in enumerate(values)])
    assert other.slope == pytest.approx(-by * found.slope, abs=1e-6)
    assert found.slope_low <= found.slope <= found.slope_high
    assert math.isnan(found.spearman) or -1 <= found.spearman <= 1
