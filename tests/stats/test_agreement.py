"""Weighted kappa by hand, and of extreme graders."""

import math

import pytest

from equipoise.stats.agreement import exact_agreement, fleiss_kappa, weighted_kappa

ONE = [0, 0, 1, 2, 3, 3, 1, 2]
OTHER = [0, 1, 1, 2, 3, 1, 0, 3]


def test_by_hand() -> None:
    # distances 0 1 0 0 0 2 1 1: 7 in squares, 5 in all; of the 64 pairs across: 160 and 80
    assert weighted_kappa(ONE, OTHER).value == pytest.approx(1 - (7 / 8) / (160 / 64))
    linear = weighted_kappa(ONE, OTHER, weighting="linear").value
    assert linear == pytest.approx(1 - (5 / 8) / (80 / 64))


def test_known_values() -> None:
    # scikit-learn 1.9.1: cohen_kappa_score(ONE, OTHER, weights=...)
    assert weighted_kappa(ONE, OTHER).value == pytest.approx(0.65)
    assert weighted_kappa(ONE, OTHER, weighting="linear").value == pytest.approx(0.5)
    # a 2 x 2 table of 20, 5, 10, 15 has the kappa 0.4 that textbooks print
    one = [1] * 25 + [0] * 25
    other = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    for weighting in ("quadratic", "linear"):
        kappa = weighted_kappa(one, other, weighting=weighting)  # type: ignore[arg-type]
        assert kappa.value == pytest.approx(0.4)
        assert kappa.low < 0.4 < kappa.high


def test_extremes() -> None:
    assert weighted_kappa(ONE, ONE).value == 1
    assert weighted_kappa([0, 3, 0, 3], [3, 0, 3, 0]).value == -1
    constant = weighted_kappa([2, 2, 2], [2, 2, 2])
    assert math.isnan(constant.value)
    assert constant.reason


def test_missing_grades_are_left_out_and_others_rounded() -> None:
    kappa = weighted_kappa([*ONE, math.nan, 3], [*OTHER, 2, math.nan])
    assert (kappa.value, kappa.n) == (weighted_kappa(ONE, OTHER).value, len(ONE))
    assert weighted_kappa([grade + 0.3 for grade in ONE], OTHER).value == kappa.value


def test_clusters_make_the_interval_wider() -> None:
    one, other = ONE * 10, OTHER * 10
    alone = weighted_kappa(one, other)
    together = weighted_kappa(one, other, clusters=[k % 8 for k in range(80)])
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert (alone.clusters, together.clusters) == (80, 8)


def test_exact_agreement() -> None:
    assert exact_agreement(ONE, OTHER) == 4 / 8
    assert exact_agreement([0.4, 1.6], [0, 2]) == 1
    assert math.isnan(exact_agreement([math.nan], [1]))


def test_nominal_kappa_counts_every_difference_alike() -> None:
    # observed 4 of 8 alike; margins 2 2 2 2 and 2 3 1 2 agree by chance in 16 of 64
    nominal = weighted_kappa(ONE, OTHER, weighting="nominal")
    assert nominal.value == pytest.approx((4 / 8 - 16 / 64) / (1 - 16 / 64))
    assert weighted_kappa([0, 2, 0], [0, 2, 2], weighting="nominal").value == pytest.approx(0.4)
    nothing = weighted_kappa([], [], weighting="nominal")
    assert math.isnan(nothing.value)
    assert nothing.reason


#: Fleiss 1971 as many textbooks have it: ten items, fourteen raters, five categories.
FLEISS = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def test_fleiss_kappa_of_a_textbook() -> None:
    ratings = [[level for level, n in enumerate(row) for _ in range(n)] for row in FLEISS]
    kappa = fleiss_kappa(ratings, levels=5)
    assert kappa.value == pytest.approx(0.2099, abs=5e-5)
    assert (kappa.n, kappa.low < kappa.value < kappa.high) == (10, True)
    # an item with a single rating says nothing of agreement
    assert fleiss_kappa([*ratings, [0]], levels=5).value == pytest.approx(kappa.value)


def test_fleiss_kappa_at_the_extremes() -> None:
    assert fleiss_kappa([[0, 0, 0], [1, 1], [2, 2, 2]], levels=3).value == pytest.approx(1)
    for ratings in ([], [[0]], [[1, 1, 1], [1, 1]]):
        kappa = fleiss_kappa(ratings, levels=3)
        assert math.isnan(kappa.value)
        assert kappa.reason
