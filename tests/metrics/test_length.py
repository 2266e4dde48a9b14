"""Rank correlation of scores with length, against scipy's, and the note on it."""

import math

import numpy as np
import pytest
from scipy import stats

from equipoise.metrics.length import NAME, length_metric, note_length, rank_correlation
from equipoise.metrics.weighted import Weights
from equipoise.records import Estimate

RNG = np.random.default_rng(0)
SCORES = RNG.integers(0, 4, 60).astype(float)  # with ties
WORDS = SCORES + RNG.normal(size=60)
ONCE = Weights.once(np.arange(60.0))


def test_it_is_spearmans() -> None:
    expected = stats.spearmanr(SCORES, WORDS).statistic
    assert rank_correlation(SCORES, WORDS, ONCE) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(SCORES, -WORDS, ONCE) == pytest.approx(-expected, abs=1e-12)


def test_rows_without_a_score_are_left_out() -> None:
    scores = np.where(np.arange(60) < 10, math.nan, SCORES)
    expected = stats.spearmanr(SCORES[10:], WORDS[10:]).statistic
    assert rank_correlation(scores, WORDS, ONCE) == pytest.approx(expected, abs=1e-12)


def test_a_cluster_counts_as_often_as_it_is_drawn() -> None:
    counts = np.stack([np.ones(60), RNG.integers(1, 3, 60).astype(float)])
    once, drawn = rank_correlation(SCORES, WORDS, Weights(np.arange(60), counts))
    assert once == pytest.approx(float(rank_correlation(SCORES, WORDS, ONCE)))
    rows = np.arange(60).repeat(counts[1].astype(int))
    assert drawn == pytest.approx(stats.spearmanr(SCORES[rows], WORDS[rows]).statistic)


@pytest.mark.parametrize(
    ("scores", "words"),
    [([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([0.1, 0.2, 0.3], [5.0] * 3), ([1.0, 2.0], [1.0, 2.0])],
)
def test_without_variation_or_rows_there_is_none(scores: list[float], words: list[float]) -> None:
    columns = {"score": np.array(scores), "words": np.array(words)}
    columns["@cluster"] = np.arange(float(len(scores)))
    assert math.isnan(length_metric(lambda c: c["score"], "a score").of(columns))


def test_the_note_is_of_an_interval_without_zero() -> None:
    def estimate(low: float, high: float, **group: str) -> Estimate:
        return Estimate(
            metric=NAME, value=(low + high) / 2, low=low, high=high, n=40, clusters=9,
            unit="rank correlation", group=group,
        )  # fmt: skip

    (longer,) = note_length([estimate(0.2, 0.6), estimate(0.3, 0.5, axis="age")])
    assert longer.startswith("length: the longer a text, the higher its score (rank correlation ")
    assert "n 40" in longer
    (shorter,) = note_length([estimate(-0.6, -0.2)])
    assert shorter.startswith("length: the shorter a text")
    assert note_length([estimate(-0.1, 0.6), estimate(math.nan, math.nan)]) == ()
