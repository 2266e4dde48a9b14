"""The sign test and exact shares: by hand, against scipy, and at the extremes."""

import math

import numpy as np
import pytest
from scipy import stats

from equipoise.stats.sign_test import exact_share, sign_test


def test_by_hand() -> None:
    # 8 of 10: 2 (45 + 10 + 1) / 1024; Dixon and Mood leave the ties out
    tested = sign_test([1] * 8 + [-1] * 2 + [0] * 5)
    assert (tested.wins, tested.losses, tested.ties) == (8, 2, 5)
    assert tested.p == pytest.approx(2 * 56 / 1024)
    assert (tested.share.value, tested.share.n) == (0.8, 10)


@pytest.mark.parametrize(("wins", "losses"), [(0, 7), (7, 0), (3, 3), (8, 2), (31, 12), (400, 460)])
def test_against_scipy(wins: int, losses: int) -> None:
    tested = sign_test([2.5] * wins + [-0.5] * losses)
    reference = stats.binomtest(wins, wins + losses)
    assert tested.p == pytest.approx(reference.pvalue)
    exact = reference.proportion_ci(method="exact")
    assert (tested.share.low, tested.share.high) == pytest.approx((exact.low, exact.high))


def test_sides_exchanged_mirror_the_result() -> None:
    signs = [1, 1, 0, -1, 1, 1]
    one, other = sign_test(signs), sign_test([-sign for sign in signs])
    assert (one.p, one.share.value) == (other.p, 1 - other.share.value)


@pytest.mark.parametrize("signs", [[], [0, 0], [math.nan]])
def test_nothing_preferred_is_nan_with_a_reason(signs: list[float]) -> None:
    tested = sign_test(signs)
    assert math.isnan(tested.p)
    assert math.isnan(tested.share.value)
    assert tested.share.reason


def test_a_null_is_rejected_in_at_most_five_percent() -> None:
    generator = np.random.default_rng(0)
    rejected = [sign_test(generator.choice([-1, 0, 1], size=40)).p <= 0.05 for _ in range(400)]
    assert np.mean(rejected) <= 0.07


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3 of 2"):
        exact_share(3, 2)
    assert exact_share(0, 0).reason
