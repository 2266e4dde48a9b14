"""Weighted kappa by hand, and of extreme graders."""

import math

import pytest

from equipoise.stats.agreement import exact_agreement, weighted_kappa

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
