"""Accuracy, F1 and Matthews correlation: a table of confusion by hand, and what must hold."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equipoise.metrics import ability
from tests.metrics.plain import plain

# 6 true positives, 1 false positive, 2 false negatives, 3 true negatives.
PREDICTED = np.array([1.0] * 6 + [1.0] + [0.0] * 2 + [0.0] * 3)
TRUTH = np.array([1.0] * 6 + [0.0] + [1.0] * 2 + [0.0] * 3)

bits = st.integers(0, 1).map(float)
shares = st.sampled_from([0.0, 0.5, 1.0])
rows = st.lists(st.tuples(shares, bits), min_size=1, max_size=40)


def columns(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.array(pairs).T
    return predicted, truth


def test_confusion_table_by_hand() -> None:
    assert plain(ability.f1, PREDICTED, TRUTH) == pytest.approx(12 / 15)  # 2·6 / (2·6 + 1 + 2)
    # (6·3 - 1·2) / sqrt(7 · 8 · 4 · 5) = 16 / sqrt(1120)
    assert plain(ability.mcc, PREDICTED, TRUTH) == pytest.approx(16 / math.sqrt(1120))


def test_a_tie_counts_half_for_each_class() -> None:
    tied = np.array([0.5, 0.5, 1.0, 0.0])
    truth = np.array([1.0, 0.0, 1.0, 0.0])
    # TP 1.5, FP 0.5, FN 0.5, TN 1.5: (2.25 - 0.25) / 4
    assert plain(ability.mcc, tied, truth) == pytest.approx(0.5)
    assert plain(ability.f1, tied, truth) == pytest.approx(3 / 4)
    assert plain(ability.mcc, np.full(4, 0.5), truth) == 0.0


def test_scores_of_a_constant_answer() -> None:
    truth = np.array([1.0, 1.0, 0.0])
    for answer in (0.0, 1.0):
        assert plain(ability.mcc, np.full(3, answer), truth) == 0.0
    assert plain(ability.f1, np.zeros(3), truth) == 0.0
    assert plain(ability.f1, np.ones(3), truth) == pytest.approx(4 / 5)
    assert math.isnan(plain(ability.mcc, np.array([1.0, 0.0]), np.ones(2)))
    assert math.isnan(plain(ability.f1, np.zeros(3), np.zeros(3)))
    for metric in (ability.mcc, ability.f1):
        assert math.isnan(plain(metric, np.array([]), np.array([])))


def test_rows_without_an_answer_are_left_out() -> None:
    predicted = np.append(PREDICTED, math.nan)
    truth = np.append(TRUTH, 1.0)
    assert plain(ability.mcc, predicted, truth) == plain(ability.mcc, PREDICTED, TRUTH)
    assert plain(ability.f1, predicted, truth) == plain(ability.f1, PREDICTED, TRUTH)


@pytest.mark.thorough
@settings(max_examples=20)
@given(rows)
def test_perfect_reversed_and_range(pairs) -> None:
    predicted, truth = columns(pairs)
    assume(0 < truth.mean() < 1)
    assert plain(ability.mcc, truth, truth) == pytest.approx(1)
    assert plain(ability.mcc, 1 - truth, truth) == pytest.approx(-1)
    assert plain(ability.f1, truth, truth) == 1.0
    assert -1 <= plain(ability.mcc, predicted, truth) <= 1
    assert 0 <= plain(ability.f1, predicted, truth) <= 1
    assert plain(ability.mcc, 1 - predicted, truth) == pytest.approx(
        -plain(ability.mcc, predicted, truth)
    )
    both = plain(ability.mcc, 1 - predicted, 1 - truth)  # the names of the classes do not matter
    assert both == pytest.approx(plain(ability.mcc, predicted, truth))


@pytest.mark.thorough
@settings(max_examples=20)
@given(rows, st.randoms(use_true_random=False))
def test_order_and_copies_change_nothing(pairs, random) -> None:
    other = pairs * 2
    random.shuffle(other)
    for metric in (ability.mcc, ability.f1):
        first, second = plain(metric, *columns(pairs)), plain(metric, *columns(other))
        assert first == pytest.approx(second, nan_ok=True)


@pytest.mark.thorough
@settings(max_examples=20)
@given(st.lists(st.tuples(bits, bits), min_size=2, max_size=40))
def test_mcc_of_whole_answers_is_pearsons_correlation(pairs) -> None:
    predicted, truth = columns(pairs)
    assume(0 < truth.mean() < 1 and 0 < predicted.mean() < 1)
    expected = np.corrcoef(predicted, truth)[0, 1]
    assert plain(ability.mcc, predicted, truth) == pytest.approx(expected)


def test_answers_by_hand() -> None:
    assert ability.answered([-3.0, -1.0, -2.0], 1) == 1.0
    assert ability.answered([-3.0, -1.0, -2.0], 0) == 0.0
    assert ability.answered([-1.0, -1.0, -2.0], 0) == 0.5
    assert ability.answered([-1.0] * 4, 3) == 0.25
    assert math.isnan(ability.answered([-1.0, math.nan], 0))
    assert math.isnan(ability.answered([-1.0], 0))
    assert ability.classified([-2.0, -1.0], 0) == {"correct": 0.0, "predicted": 1.0, "truth": 0.0}
    assert ability.classified([-1.0, -1.0], 1) == {"correct": 0.5, "predicted": 0.5, "truth": 1.0}


@settings(max_examples=20)
@given(st.lists(st.sampled_from([-1.0, -2.0]), min_size=4, max_size=4))
def test_tied_accuracies_are_multiples_of_the_grid(scores) -> None:
    right = 100 * ability.answered(scores, 0)
    assert right / ability.FOUR_CHOICES == pytest.approx(round(right / ability.FOUR_CHOICES))


@settings(max_examples=20)
@given(st.lists(st.sampled_from([-1.0, -2.0, -3.0]), min_size=2, max_size=6))
def test_credit_over_all_choices_sums_to_1(scores) -> None:
    assert math.fsum(ability.answered(scores, k) for k in range(len(scores))) == pytest.approx(1)


def test_metric_records() -> None:
    rows = {
        "correct": np.array([1.0, 0.5]),
        "predicted": np.ones(2),
        "truth": np.array([1.0, 0.0]),
        "@cluster": np.arange(2.0),
    }
    of = {
        metric.name: (metric.of(rows), metric.ideal, metric.higher_is_better)
        for metric in (
            ability.of_accuracy("s", margin=2.0),
            ability.of_mcc("s", margin=None),
            *ability.of_positives("good"),
            ability.share("wrong", "correct", source="s", better=False),
        )
    }
    assert of == {
        "accuracy": (75.0, 100.0, True),
        "mcc": (0.0, 1.0, True),
        "f1": (pytest.approx(200 / 3), 100.0, True),
        "predicted_positive": (100.0, None, None),
        "wrong": (75.0, 0.0, False),
    }
    margin = ability.of_accuracy("s", margin=2.0).margin
    assert margin is not None
    assert margin.size == 2.0
    assert ability.of_mcc("s", margin=None).margin is None


def test_micro_f1_by_hand() -> None:
    correct = np.array([1.0, 0.0, 0.0, 0.5])
    answered = np.array([1.0, 1.0, 0.0, 1.0])
    assert plain(ability.micro_f1, correct, answered) == pytest.approx(2 * 1.5 / (3 + 4))
    assert plain(ability.micro_f1, correct, np.ones(4)) == pytest.approx(correct.mean())
    assert math.isnan(plain(ability.micro_f1, np.full(2, math.nan), np.ones(2)))


def test_balanced_accuracy_by_hand() -> None:
    truth = np.array([0.0, 0.0, 0.0, 1.0])
    assert plain(ability.balanced_accuracy, np.array([1.0, 1.0, 1.0, 0.0]), truth) == 0.5
    assert plain(ability.balanced_accuracy, np.array([1.0, 0.0, 0.5, 1.0]), truth) == 0.75
    assert math.isnan(plain(ability.balanced_accuracy, np.array([]), np.array([])))
