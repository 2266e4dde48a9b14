"""Coverage, precision, AUC and average precision in cases with a known answer."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.stats.retrieval import (
    SHARES,
    Statistic,
    chance_of,
    most_of,
    retrieval,
    statistics_at,
)

ROWS, BIASED = 100, 30
LABELS = np.arange(ROWS) < BIASED


def by_name(
    scores: np.ndarray, biased: np.ndarray = LABELS
) -> dict[tuple[str, float | None], float]:
    (values,) = retrieval(scores, biased)
    statistics = statistics_at(SHARES)
    return {(s.metric, s.share): float(v) for s, v in zip(statistics, values, strict=True)}


def test_perfect_scores_reach_the_most_that_there_can_be() -> None:
    values = by_name(-np.arange(ROWS, dtype=float))
    for statistic in statistics_at(SHARES):
        most = most_of(statistic, rows=ROWS, biased=BIASED)
        assert values[statistic.metric, statistic.share] == pytest.approx(most), statistic
    assert values["coverage", 0.15] == 0.5
    assert values["coverage", 0.35] == 1
    assert values["precision", 0.35] == pytest.approx(30 / 35)


def test_reversed_scores_reach_the_least() -> None:
    values = by_name(np.arange(ROWS, dtype=float))
    assert values["auc", None] == 0
    assert values["coverage", 0.35] == values["precision_at_prevalence", None] == 0
    expected = np.mean([(k + 1) / (ROWS - BIASED + k + 1) for k in range(BIASED)])
    assert values["average_precision", None] == pytest.approx(expected)


def test_equal_scores_give_what_chance_gives() -> None:
    values = by_name(np.zeros(ROWS))
    for statistic in statistics_at(SHARES):
        if statistic.metric != "average_precision":
            chance = chance_of(statistic, rows=ROWS, biased=BIASED)
            assert values[statistic.metric, statistic.share] == pytest.approx(chance), statistic
    assert values["average_precision", None] == pytest.approx(0.3)


def test_ties_are_the_mean_over_their_orders() -> None:
    scores = np.array([3.0, 2.0, 2.0, 1.0])
    biased = np.array([False, True, False, True])
    values = retrieval(scores, biased, shares=(0.5,))[0]
    orders = [
        retrieval(scores + np.array([0, d, -d, 0]), biased, shares=(0.5,))[0] for d in (0.1, -0.1)
    ]
    np.testing.assert_allclose(values[:2], np.mean(orders, axis=0)[:2])
    assert values[3] == pytest.approx(np.mean(orders, axis=0)[3])


@pytest.mark.thorough
def test_chance_is_the_mean_over_random_orders() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(20) < 5
    values = retrieval(generator.random((20_000, 20)), labels)
    for k, statistic in enumerate(statistics_at(SHARES)):
        chance = chance_of(statistic, rows=20, biased=5)
        assert values[:, k].mean() == pytest.approx(chance, abs=0.006), statistic


@pytest.mark.thorough
@given(
    scores=st.lists(st.integers(-3, 3), min_size=2, max_size=40),
    labels=st.lists(st.booleans(), min_size=40, max_size=40),
    share=st.floats(0.01, 1),
)
@settings(max_examples=50)
def test_bounds_hold(scores: list[int], labels: list[bool], share: float) -> None:
    biased = np.array(labels[: len(scores)])
    count = int(biased.sum())
    (values,) = retrieval(np.array(scores, float), biased, shares=(share,))
    if count in (0, len(scores)):
        assert np.isnan(values).all()
        return
    coverage, precision, *rest = values
    selected = math.floor(share * len(scores) + 0.5)
    assert coverage <= min(1, selected / count) + 1e-12
    assert math.isnan(precision) == (selected == 0)
    if selected:
        assert precision <= min(1, count / selected) + 1e-12
        assert coverage * count == pytest.approx(precision * selected)
    assert all(0 <= value <= 1 + 1e-12 for value in rest)
    (mirrored,) = retrieval(-np.array(scores, float), biased, shares=(share,))
    assert values[-2] + mirrored[-2] == pytest.approx(1)  # AUC


def test_a_row_counts_as_often_as_its_weight() -> None:
    generator = np.random.default_rng(1)
    scores, biased = np.round(generator.normal(size=30), 1), generator.random(30) < 0.3
    weights = generator.integers(0, 4, size=30)
    repeated = retrieval(np.repeat(scores, weights), np.repeat(biased, weights))
    np.testing.assert_allclose(retrieval(scores, biased, weights.astype(float)), repeated)


def test_draws_with_scores_of_their_own_are_those_taken_apart() -> None:
    generator = np.random.default_rng(2)
    scores = generator.integers(0, 5, size=(3, 20)).astype(float)
    weights = generator.integers(0, 3, size=(3, 20)).astype(float)
    biased = generator.random((3, 20)) < 0.4
    together = retrieval(scores, biased, weights)
    apart = [retrieval(*parts)[0] for parts in zip(scores, biased, weights, strict=True)]
    np.testing.assert_allclose(together, apart)


def test_rows_without_a_score_come_last_and_are_not_selected() -> None:
    scores = np.array([1.0, math.nan, math.nan, 0.0])
    biased = np.array([False, True, True, True])
    values = retrieval(scores, biased, shares=(1.0,))[0]
    assert values[0] == pytest.approx(1 / 3)  # coverage: what has no score is not found
    assert values[1] == 0.5
    assert values[3] == 0  # AUC


def test_it_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    scores, biased = np.round(generator.normal(size=200), 1), generator.random(200) < 0.3
    values = by_name(scores, biased)
    assert values["auc", None] == pytest.approx(metrics.roc_auc_score(biased, scores))
    expected = metrics.average_precision_score(biased, scores)
    assert values["average_precision", None] == pytest.approx(expected)


def test_bad_input() -> None:
    for share in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="share"):
            statistics_at((share,))
    assert np.isnan(retrieval(np.array([]), np.array([], dtype=bool))).all()
    assert math.isnan(chance_of(Statistic("coverage", 0.5), rows=0, biased=0))
    assert math.isnan(most_of(Statistic("coverage", 0.5), rows=2, biased=0))
