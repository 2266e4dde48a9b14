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


def test_a_straight_line_has_an_exact_slope() -> None:
    fitted = curve([reading(x, 3 * x + 1) for x in (0, 0.25, 0.5, 0.75, 1)])
    assert (fitted.slope, fitted.slope_low, fitted.slope_high) == pytest.approx((3, 3, 3))
    assert fitted.spearman == pytest.approx(1)
    assert [point.estimate.value for point in fitted.at_zero()] == [1]
    assert (fitted.metric, fitted.unit, fitted.ideal, fitted.reason) == ("afgb", "%", 0.0, None)


def test_slope_and_interval_by_hand() -> None:
    # x 0, 0.5, 1 and y 0, 1, 1: slope 1; residuals -1/6, 1/3, -1/6; their squares sum to 1/6,
    # so stderr = sqrt(1/6 / 1 / 0.5); t(0.975, 1) = 12.7062
    fitted = curve([reading(0, 0), reading(0.5, 1), reading(1, 1)])
    assert fitted.slope == pytest.approx(1)
    half = 12.7062047 * math.sqrt(1 / 3)
    assert (fitted.slope_low, fitted.slope_high) == pytest.approx((1 - half, 1 + half))
    assert fitted.spearman == pytest.approx(math.sqrt(3) / 2)


def test_equal_readings_have_slope_0_and_no_rank_correlation() -> None:
    fitted = curve([reading(x, 5.0) for x in (0, 0.5, 1)])
    assert (fitted.slope, fitted.slope_low, fitted.slope_high) == pytest.approx((0, 0, 0))
    assert math.isnan(fitted.spearman)
    assert "every reading is the same" in str(fitted.reason)


@pytest.mark.parametrize(
    "points",
    [[(0, 1)], [(0, 1), (1, 2)], [(1, 1), (1, 2), (1, 3)], [(0, 1), (1, math.nan), (1, 2)]],
)
def test_too_few_readings_are_nan_with_a_reason(points: list[tuple[float, float]]) -> None:
    fitted = curve([reading(x, y, seed=k) for k, (x, y) in enumerate(points)])
    assert math.isnan(fitted.slope)
    assert math.isnan(fitted.slope_low)
    assert math.isnan(fitted.spearman)
    assert "a slope needs 3 at 2" in str(fitted.reason)


def test_readings_are_sorted_and_nan_is_kept_but_not_fitted() -> None:
    points = [reading(1, 2), reading(0, 0, seed=1), reading(0.5, math.nan), reading(0, 0)]
    fitted = curve([*points, reading(0.5, 1, seed=1)])
    assert [(point.strength, point.seed) for point in fitted.readings] == [
        (0, 0),
        (0, 1),
        (0.5, 0),
        (0.5, 1),
        (1, 0),
    ]
    assert fitted.slope == pytest.approx(2)
    assert len(fitted.at_zero()) == 2


@settings(max_examples=20)
@given(st.lists(st.floats(-100, 100), min_size=4, max_size=8), st.floats(0.1, 10))
def test_negated_readings_negate_the_slope(values: list[float], by: float) -> None:
    fitted = curve([reading(k / len(values), v) for k, v in enumerate(values)])
    other = curve([reading(k / len(values), -by * v) for k, v in enumerate(values)])
    assert other.slope == pytest.approx(-by * fitted.slope, abs=1e-6)
    assert fitted.slope_low <= fitted.slope <= fitted.slope_high
    assert math.isnan(fitted.spearman) or -1 <= fitted.spearman <= 1
