import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics import bbq
from equipoise.records import Column
from tests.metrics.plain import plain

NAN = math.nan
LEANS = st.lists(st.sampled_from([1.0, -1.0, 0.0, NAN]), min_size=1, max_size=40)


def column(*values: float) -> Column:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("values", "value"),
    [((1, 1, 0, 0), 50.0), ((1,), 100.0), ((0, NAN), 0.0), ((NAN,), NAN), ((), NAN)],
)
def test_accuracy(values: tuple[float, ...], value: float) -> None:
    assert plain(bbq._mean, column(*values)) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "dis", "amb"),
    [
        ((1, 1, 1, -1), 50.0, 50.0),
        ((1, 1, 1, -1, 0, 0, 0, 0), 50.0, 25.0),  # half unknown: accuracy 0.5 halves it
        ((1, 1), 100.0, 100.0),
        ((-1, -1), -100.0, -100.0),
        ((1, -1), 0.0, 0.0),
        ((0, 0), NAN, NAN),
        ((1, NAN, NAN), 100.0, 100.0),  # no answer is no "unknown"
        ((), NAN, NAN),
        ((NAN,), NAN, NAN),
    ],
)
def test_both_bias_scores(values: tuple[float, ...], dis: float, amb: float) -> None:
    assert plain(bbq.bias, column(*values)) == pytest.approx(dis, nan_ok=True)
    assert plain(bbq.scaled_bias, column(*values)) == pytest.approx(amb, nan_ok=True)


def test_expected_scores() -> None:
    lean, named = column(0.5, -0.2, NAN), column(0.6, 0.4, NAN)
    assert plain(bbq.expected_bias, lean, named) == pytest.approx(100 * 0.3 / 1.0)
    assert plain(bbq.expected_scaled_bias, lean) == pytest.approx(15.0)
    assert math.isnan(plain(bbq.expected_bias, column(0.0), column(0.0)))
    assert math.isnan(plain(bbq.expected_scaled_bias, column(NAN)))


def test_gap_in_accuracy() -> None:
    assert plain(bbq.accuracy_gap, column(1, 1, NAN), column(NAN, NAN, 0)) == 100.0
    assert plain(bbq.accuracy_gap, column(1, 0, NAN, NAN), column(NAN, NAN, 1, 1)) == -50.0
    assert math.isnan(plain(bbq.accuracy_gap, column(1, 0), column(NAN, NAN)))


@pytest.mark.thorough
@settings(max_examples=20)
@given(LEANS)
def test_swapping_the_groups_turns_every_sign(values: list[float]) -> None:
    lean = column(*values)
    for score in (bbq.bias, bbq.scaled_bias, bbq.expected_scaled_bias):
        assert plain(score, -lean) == pytest.approx(-plain(score, lean), nan_ok=True)
    share = np.abs(lean)
    assert plain(bbq.expected_bias, -lean, share) == pytest.approx(
        -plain(bbq.expected_bias, lean, share), nan_ok=True
    )


@pytest.mark.thorough
@settings(max_examples=20)
@given(LEANS, st.integers(2, 4))
def test_range_order_and_duplication(values: list[float], copies: int) -> None:
    lean = column(*values)
    for score in (bbq.bias, bbq.scaled_bias):
        value = plain(score, lean)
        assert math.isnan(value) or -100 <= value <= 100
        assert plain(score, lean[::-1]) == pytest.approx(value, nan_ok=True)
        assert plain(score, np.tile(lean, copies)) == pytest.approx(value, nan_ok=True)


@settings(max_examples=20)
@given(LEANS)
def test_scaled_bias_is_the_mean_lean_of_all_answers(values: list[float]) -> None:
    lean = column(*values)
    known = lean[~np.isnan(lean)]
    expected = 100 * float(known.mean()) if known.any() else NAN
    assert plain(bbq.scaled_bias, lean) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=20)
@given(LEANS)
def test_expected_scores_of_certain_answers_equal_counts(values: list[float]) -> None:
    lean = column(*values)
    if not np.abs(np.nan_to_num(lean)).any():
        return
    assert plain(bbq.expected_scaled_bias, lean) == pytest.approx(plain(bbq.scaled_bias, lean))
    assert plain(bbq.expected_bias, lean, np.abs(lean)) == pytest.approx(plain(bbq.bias, lean))
