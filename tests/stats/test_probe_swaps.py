"""Probes with their sentences exchanged, and rows chosen with few false discoveries."""

import math
from itertools import product

import numpy as np
import pytest

from equipoise.stats.probe_swaps import false_discovery_q, support_p, swapped_scores


def test_p_of_few_probes_is_exact() -> None:
    table = np.array([[3.0, 1.0, 2.0], [1.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
    signs = np.array([*product((1, -1), repeat=3)])
    expected = [(signs @ row >= row.sum() - 1e-9).mean() for row in table]
    np.testing.assert_allclose(support_p(table), expected)
    assert support_p(table)[0] == 1 / 8  # all of one sign: the smallest that 3 probes can give
    assert support_p(table)[2] == 1


def test_what_was_observed_is_among_the_swaps() -> None:
    table = np.random.default_rng(0).normal(1, 0.1, size=(5, 30))
    (first, *_) = swapped_scores(table, swaps=99, seed=0)
    np.testing.assert_allclose(first[:, 0], table.mean(1))
    np.testing.assert_allclose(support_p(table, swaps=99), 0.01)


def test_the_test_has_its_size() -> None:
    """Of rows that say nothing of a side, a tenth have p of at most 0.1."""
    table = np.random.default_rng(1).normal(size=(4000, 20))
    p = support_p(table, swaps=999, seed=3)
    assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.02)


def test_probes_of_a_cluster_are_exchanged_together() -> None:
    """Three copies of a probe are no more evidence than one."""
    table = np.random.default_rng(2).normal(0.3, 1, size=(50, 8))
    copies = np.repeat(table, 3, axis=1)
    names = [str(k // 3) for k in range(24)]
    np.testing.assert_allclose(support_p(copies, clusters=names), support_p(table))
    assert support_p(copies).mean() < support_p(table).mean()


def test_a_row_without_scores_has_no_p() -> None:
    p = support_p(np.array([[math.nan, math.nan], [1.0, 2.0]]))
    assert math.isnan(p[0])
    assert p[1] == 0.25
    assert np.isnan(support_p(np.empty((2, 0)))).all()


def test_q_is_the_step_up_by_hand() -> None:
    p = np.array([0.01, math.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(false_discovery_q(p), [0.04, math.nan, 0.16 / 3, 0.16 / 3, 0.5])
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    np.testing.assert_allclose(false_discovery_q(p, dependence="any")[0], 0.04 * harmonic)
    assert np.isnan(false_discovery_q(np.array([math.nan]))).all()


@pytest.mark.thorough
@pytest.mark.parametrize("dependence", ["positive", "any"])
def test_false_discoveries_are_as_few_as_promised(dependence: str) -> None:
    """200 rows share their 40 probes, 60 of them support the bias."""
    generator = np.random.default_rng(4)
    shares, sizes = [], []
    for k in range(40):
        table = generator.normal(size=(200, 40))
        table[:60] += 0.6
        q = false_discovery_q(support_p(table, swaps=2000, seed=k), dependence=dependence)  # type: ignore[arg-type]
        chosen = np.flatnonzero(q <= 0.1)
        shares.append((chosen >= 60).mean() if len(chosen) else 0.0)
        sizes.append(len(chosen))
    assert np.mean(shares) <= 0.1
    assert np.mean(sizes) > 20
