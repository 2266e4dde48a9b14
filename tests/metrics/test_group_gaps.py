"""Gaps between groups: by hand, what must hold, and that chance alone is seldom called a gap."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics.group_gaps import deal_groups, gap_metrics, odds_gap, parity_gap
from equipoise.metrics.weighted import Weights
from tests.metrics.plain import plain

PREDICTED = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
TRUTH = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
GROUP = np.array([0.0] * 4 + [1.0] * 4)
METRICS = {metric.name: metric for metric in gap_metrics("here")}


def test_by_hand() -> None:
    assert plain(parity_gap, PREDICTED, GROUP) == pytest.approx(2 / 4 - 1 / 4)
    # among yes 2/2 against 1/2, among no 0 against 0
    assert plain(odds_gap, PREDICTED, TRUTH, GROUP) == pytest.approx(0.5)
    assert plain(odds_gap, TRUTH, TRUTH, GROUP) == 0.0
    assert plain(parity_gap, np.full(8, 0.5), GROUP) == 0.0


def test_three_groups_and_missing_answers() -> None:
    group = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    predicted = np.array([1.0, math.nan, 0.5, 0.5, 0.0, 0.0])
    assert plain(parity_gap, predicted, group) == 1.0


def test_what_cannot_be_measured_is_nan() -> None:
    assert math.isnan(plain(parity_gap, PREDICTED, np.zeros(8)))
    assert math.isnan(plain(odds_gap, PREDICTED, np.ones(8), GROUP))
    assert math.isnan(deal_groups(PREDICTED, np.zeros(8), np.zeros(8)).p)
    assert math.isnan(deal_groups(PREDICTED[:0], PREDICTED[:0], PREDICTED[:0]).p)
    absent = Weights(np.array([0] * 4 + [1] * 4), np.array([[1.0, 0.0]]))
    assert np.isnan(parity_gap(PREDICTED, GROUP, absent)).all()


@pytest.mark.thorough
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), min_size=2))
def test_range_and_names_of_groups(rows: list[tuple[float, bool]]) -> None:
    predicted, group = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    gap = plain(parity_gap, predicted, group)
    assert math.isnan(gap) or 0.0 <= gap <= 1.0
    assert plain(parity_gap, predicted, 1 - group) == pytest.approx(gap, nan_ok=True)


def test_deals_of_a_clear_gap_and_of_none() -> None:
    group = np.repeat([0.0, 1.0], 50)
    clear = deal_groups(1 - group, np.zeros(100), group, deals=500)
    assert clear.p == pytest.approx(1 / 501)
    assert 0.0 < clear.mean < 0.2
    assert deal_groups(np.ones(100), np.zeros(100), group, deals=100).p == 1.0


@pytest.mark.thorough
@pytest.mark.parametrize("gap", ["parity", "odds"])
def test_groups_that_differ_by_chance_are_seldom_called_different(gap: str) -> None:
    generator = np.random.default_rng(3)
    truth, group = np.tile([0.0, 1.0], 40), np.repeat([0.0, 1.0], 40)
    strata = truth if gap == "odds" else np.zeros(80)
    called = [
        deal_groups(generator.integers(0, 2, 80).astype(float), strata, group, deals=199).p <= 0.05
        for _ in range(200)
    ]
    assert np.mean(called) <= 0.08


def test_as_metrics() -> None:
    columns = {
        "predicted": PREDICTED, "truth": TRUTH, "@group": GROUP, "@cluster": np.arange(8.0),
    }  # fmt: skip
    assert METRICS["parity_gap"].of(columns) == pytest.approx(25.0)
    assert METRICS["odds_gap"].of(columns) == pytest.approx(50.0)
    # of the deals of 3 yes to two groups of 4, none has equal shares: 2 against 1, or 3 against 0
    assert METRICS["parity_p"].of(columns) == 1.0
    assert 25.0 < METRICS["parity_null"].of(columns) < 50.0
    drawn = Weights(np.arange(8), np.ones((3, 8)))
    assert np.isnan(METRICS["odds_p"].of.values(columns, drawn)).all()  # type: ignore[attr-defined]
