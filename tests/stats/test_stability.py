"""Rank stability: by hand, at its extremes, and where there is no order."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.conclusions import Ranking
from equipoise.stats.stability import (
    chance_overlap,
    rank_stability,
    score_variances,
    top_overlap,
)


def ranking(*scores: float) -> Ranking:
    return Ranking(
        locator="made up", scores=scores, low=scores, high=scores, prompts=100, unit="score"
    )


def test_rank_correlation_by_hand() -> None:
    """Ranks 1 2 3 4, 1 2 4 3, 2 1 3 4: rho = 1 - 6 sum d^2 / (n (n^2 - 1)) = 0.8, 0.8 and 0.6."""
    stability = rank_stability(
        [ranking(1, 2, 3, 4), ranking(0.1, 0.2, 0.9, 0.8), ranking(7, 5, 8, 9)],
        (3, 4, 9),
        sample=50,
    )
    assert stability.spearman == pytest.approx((0.8 + 0.8 + 0.6) / 3)
    assert stability.spearman_low == pytest.approx(0.6)
    assert stability.first == {2: 1, 3: 2}
    assert (stability.seeds, stability.sample, stability.reason) == ((3, 4, 9), 50, None)
    assert len(stability.rankings) == 3


def test_ties_have_their_mean_rank() -> None:
    """Ranks 1.5 1.5 3 against 1 2 3: r = 1.5 / sqrt(1.5 * 2) = sqrt(3) / 2."""
    stability = rank_stability([ranking(1, 1, 2), ranking(1, 2, 3)], (0, 1), sample=10)
    assert stability.spearman == pytest.approx(math.sqrt(3) / 2)


def test_equal_and_reversed_rankings() -> None:
    same = rank_stability([ranking(1, 5, 2)] * 5, range(5), sample=10)
    assert (same.spearman, same.spearman_low, same.first) == (1.0, 1.0, {1: 5})
    turned = rank_stability([ranking(1, 2, 3), ranking(3, 2, 1)], (0, 1), sample=10)
    assert (turned.spearman, turned.spearman_low) == (-1.0, -1.0)


scores = st.lists(st.integers(-50, 50), min_size=4, max_size=4).filter(lambda s: len(set(s)) > 1)


@pytest.mark.thorough
@settings(max_examples=20)
@given(st.lists(scores, min_size=2, max_size=5))
def test_only_the_order_of_scores_matters(
    table: list[list[int]],
) -> None:
    seeds = range(len(table))
    stability = rank_stability([ranking(*row) for row in table], seeds, sample=10)
    cubed = rank_stability([ranking(*(x**3 + 1 for x in row)) for row in table], seeds, sample=10)
    backwards = rank_stability([ranking(*row) for row in table[::-1]], seeds, sample=10)
    assert cubed.spearman == pytest.approx(stability.spearman)
    assert backwards.spearman == pytest.approx(stability.spearman)
    assert -1 <= stability.spearman_low <= stability.spearman + 1e-9 <= 1 + 2e-9
    assert sum(stability.first.values()) == len(table)


def test_a_single_ranking_has_no_correlation() -> None:
    stability = rank_stability([ranking(1, 2)], (0,), sample=10)
    assert math.isnan(stability.spearman)
    assert math.isnan(stability.spearman_low)
    assert stability.reason == "a rank correlation needs at least 2 rankings, there is 1"
    assert stability.first == {1: 1}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (ranking(2, 2, 2), "all scores of seed 7 are 2: its ranking has no order"),
        (ranking(1, math.nan, 2), "a score of seed 7 is not finite: its ranking has no order"),
    ],
)
def test_a_ranking_without_an_order_is_nan(broken: Ranking, reason: str) -> None:
    for place, rankings in enumerate(itertools.permutations([broken, ranking(1, 2, 3)])):
        stability = rank_stability(rankings, (7, 0) if place == 0 else (0, 7), sample=10)
        assert math.isnan(stability.spearman)
        assert math.isnan(stability.spearman_low)
        assert stability.reason == reason


def test_a_model_of_one_block_has_no_order() -> None:
    stability = rank_stability([ranking(1), ranking(1)], (0, 1), sample=10)
    assert stability.reason == "all scores of seed 0 are 1: its ranking has no order"


def test_rankings_must_be_of_one_model_and_have_seeds() -> None:
    with pytest.raises(ValueError, match="got 0 rankings"):
        rank_stability([], (), sample=10)
    with pytest.raises(ValueError, match="'2 blocks', '3 blocks'"):
        rank_stability([ranking(1, 2), ranking(1, 2, 3)], (0, 1), sample=10)
    with pytest.raises(ValueError, match="and 1 seeds"):
        rank_stability([ranking(1, 2), ranking(1, 2)], (0,), sample=10)


def heads(*scores: float) -> Ranking:
    labels = tuple(f"0.{k}" for k in range(len(scores)))
    return replace(ranking(*scores), kind="head", labels=labels)


def test_shared_heads_by_hand() -> None:
    """First two: {0, 1}, {1, 2}, {1, 3}: one is shared; each two sets share 1 of 3."""
    rankings = [heads(5, 4, 1, 0), heads(0, 9, 8, 1), heads(1, 3, 0, 2)]
    top = top_overlap(rankings, 2)
    assert (top.k_requested, top.k_effective, top.shared) == (2, 1, (1,))
    assert top.jaccard == pytest.approx(1 / 3)
    # 4 * (2 / 4)^3 are expected; none with the probability that the third avoids what is left
    assert top.chance == pytest.approx(0.5)
    # left after two: 0, 1, 2 with 1/6, 4/6, 1/6; the third misses 1 with 1/2 and 2 with 1/6
    assert top.p == pytest.approx(1 - (1 / 6 + 4 / 6 / 2 + 1 / 6 / 6))
    stability = rank_stability(rankings, (0, 1, 2), sample=9, top=2)
    assert stability.top == top
    assert rank_stability([ranking(1, 2)] * 2, (0, 1), sample=9).top is None


def test_equal_rankings_share_all_in_the_order_of_the_mean() -> None:
    top = rank_stability([heads(1, 3, 2)] * 4, range(4), sample=9).top
    assert top is not None
    assert (top.k_requested, top.shared, top.jaccard, top.kendall) == (3, (1, 2, 0), 1.0, 1.0)
    assert (top.chance, top.p) == (3.0, 1.0)  # all of all: nothing is shown


def test_rankings_of_the_same_prompts_have_no_p() -> None:
    rankings = [heads(5, 4, 1, 0)] * 3
    top = rank_stability(rankings, (0, 1, 2), sample=9, top=1, same_prompts=True).top
    assert top is not None
    assert math.isnan(top.p)
    assert top.reason is not None
    assert "the same prompts" in top.reason
    others = rank_stability(rankings, (0, 1, 2), sample=9, top=1).top
    assert others is not None
    assert (others.p, others.reason) == (pytest.approx(1 / 16), None)


def test_a_single_ranking_has_no_pairs() -> None:
    top = top_overlap([heads(1, 2)], 1)
    assert (top.shared, top.chance, top.p) == ((1,), 1.0, 1.0)
    assert math.isnan(top.jaccard)
    assert math.isnan(top.kendall)


@pytest.mark.parametrize("k", [0, 4])
def test_k_must_be_of_the_components(k: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 3 components, got {k}"):
        top_overlap([heads(1, 2, 3)], k)


def test_chance_overlap_is_hypergeometric() -> None:
    draws = np.random.default_rng(0)
    shared = [
        len(set(draws.permutation(12)[:4]) & set(draws.permutation(12)[:3])) for _ in range(4000)
    ]
    mean, p = chance_overlap([4, 3], 12, 2)
    assert mean == pytest.approx(1.0)
    assert p == pytest.approx(np.mean(np.array(shared) >= 2), abs=0.03)


def test_a_variance_is_of_a_component_over_its_rankings() -> None:
    assert score_variances([ranking(1, 2, 5), ranking(3, 2, 5)]) == (2.0, 0.0, 0.0)  # n - 1
    assert all(math.isnan(value) for value in score_variances([ranking(1, 2)]))
    assert score_variances([]) == ()
    first, second = score_variances([ranking(1, math.nan), ranking(2, 1.0)])
    assert first == 0.5
    assert math.isnan(second)
