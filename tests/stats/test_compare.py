"""Permutation p, intervals and effects, against slow and exact references; several seeds."""

import itertools
import math

import numpy as np
import pytest

from equipoise.conclusions import Change
from equipoise.metrics.weighted import mean_of
from equipoise.records import Column, Metric
from equipoise.stats.compare import Sides, compare_metrics, pooled, seed_noise, spread
from equipoise.stats.verdict import corrected

MEAN = Metric(name="mean", of=mean_of("x"), unit="", source="t", ideal=0.0)


def pair(before: list[float], after: list[float], clusters: list[int] | None = None) -> Sides:
    codes: Column = np.array(clusters or range(len(before)))  # type: ignore[assignment]
    return Sides(
        before={"x": np.array(before), "@cluster": codes},
        afters=({"x": np.array(after), "@cluster": codes},),
    )


def change(before: list[float], after: list[float], clusters: list[int] | None = None) -> Change:
    rows = pair(before, after, clusters)
    return compare_metrics([MEAN], rows, draws=400, seed=0)[0]


def test_p_of_few_clusters_is_exact() -> None:
    before, after = [0.0] * 5, [1.0, 2.0, 3.0, -0.5, 1.5]
    observed = abs(sum(after))
    signs = list(itertools.product((1, -1), repeat=5))
    exact = [abs(sum(s * x for s, x in zip(sign, after, strict=True))) for sign in signs]
    expected = sum(total >= observed - 1e-12 for total in exact) / 32
    assert change(before, after).p == pytest.approx(expected)
    assert expected == 4 / 32  # by hand: all alike, -0.5 turned as well, and both mirrored


def test_p_flips_whole_clusters() -> None:
    changed = change([0.0] * 6, [1.0] * 6, [0, 0, 0, 1, 1, 1])
    assert changed.clusters == 2
    assert changed.p == 0.5  # of 4 ways to flip 2 clusters, 2 are as large


def test_a_rounding_difference_has_p_1() -> None:
    # all one way, which a p of 1/2048 would make much of
    changed = change([0.0] * 12, [3e-14] * 12)
    assert changed.p == 1.0
    assert changed.direction == "unchanged"


def test_sampled_p_is_near_the_exact_p_and_never_zero() -> None:
    generator = np.random.default_rng(0)
    after = generator.normal(0.35, 1.0, size=30).tolist()
    sampled = change([0.0] * 30, after).p
    normal = 2 * (
        1 - 0.5 * (1 + math.erf(abs(sum(after)) / math.sqrt(2 * sum(x * x for x in after))))
    )
    assert sampled == pytest.approx(normal, abs=0.05)
    assert change([0.0] * 30, [1.0] * 30).p == pytest.approx(1 / 201)


@pytest.mark.thorough
def test_p_is_uniform_under_no_effect() -> None:
    generator = np.random.default_rng(7)
    ps = []
    for _ in range(100):
        rows = pair(generator.normal(size=15).tolist(), generator.normal(size=15).tolist())
        ps.append(compare_metrics([MEAN], rows, draws=100, seed=1)[0].p)
    assert np.mean(np.array(ps) <= 0.2) == pytest.approx(0.2, abs=0.1)
    assert 0.4 < np.mean(ps) < 0.6


def test_effect_is_the_standardised_mean_change() -> None:
    differences = np.random.default_rng(3).normal(0.5, 1.0, size=200)
    changed = change([0.0] * 200, differences.tolist())
    assert changed.effect == pytest.approx(differences.mean() / differences.std(ddof=1), rel=0.1)


def test_one_cluster_gives_no_interval_and_no_direction() -> None:
    changed = change([0.0, 0.0], [1.0, 2.0], [0, 0])
    assert changed.difference == 1.5
    assert math.isnan(changed.low)
    assert changed.direction == "unknown"
    assert changed.reason == "an interval needs at least 2 independent clusters, there are 1"


def test_the_interval_includes_the_spread_of_seeds() -> None:
    generator = np.random.default_rng(0)
    before = generator.normal(size=40)
    codes: Column = np.arange(40)  # type: ignore[assignment]

    def changed(*shifts: float) -> Change:
        afters = tuple({"x": before + shift, "@cluster": codes} for shift in shifts)
        sides = Sides(before={"x": before, "@cluster": codes}, afters=afters)
        return compare_metrics([MEAN], sides, draws=2000, seed=0)[0]

    alike, apart = changed(1.0, 1.0, 1.0), changed(0.0, 1.0, 2.0)
    assert (alike.difference, apart.difference) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (alike.seed_spread, apart.seed_spread) == (pytest.approx(0.0), pytest.approx(1.0))
    assert (alike.seeds, changed(1.0).seeds) == (3, 1)
    assert math.isnan(changed(1.0).seed_spread)
    # by hand: Student's t of 2 degrees, 4.303, times 1 / sqrt(3)
    assert apart.high - apart.low == pytest.approx(2 * 4.303 / math.sqrt(3), rel=0.15)
    assert alike.high - alike.low == pytest.approx(0.0, abs=1e-9)
    assert apart.direction == "unchanged"
    assert apart.p > 0.05 > alike.p


def test_too_few_clusters_are_the_reason() -> None:
    changed = change([1.0] * 4, [0.0] * 4)
    assert changed.p == 2 / 16
    assert changed.direction == "unchanged"
    assert changed.reason == "4 independent clusters are too few to show a change at 5 %"
    assert change([1.0] * 6, [0.0] * 6).direction == "reduced"


def test_a_large_change_survives_holm_with_few_draws() -> None:
    """Of 500 draws the percentiles give 16 clusters no p below 0.014: 0.055 after Holm."""
    before = {"x": np.full(160, 80.0), "@cluster": np.repeat(np.arange(16), 10)}
    afters = tuple(before | {"x": before["x"] - 40.0 + noise} for noise in (0.0, 1.0, -1.0))
    (changed,) = compare_metrics([MEAN], Sides(before=before, afters=afters), draws=500, seed=0)
    assert corrected([changed] * 4)[0].direction != "unchanged"


def test_one_seed_has_no_spread() -> None:
    drawn = np.arange(6.0).reshape(1, 6)
    value, draws = pooled([2.5], drawn, seed_noise(1, draws=6, seed=0))
    assert value == 2.5
    assert draws.tolist() == drawn[0].tolist()
    assert math.isnan(spread([2.5]))


def test_spread_of_seeds_by_hand() -> None:
    noise = seed_noise(2, draws=4, seed=3)
    value, draws = pooled([1.0, 3.0], np.zeros((2, 4)), noise)
    assert value == 2.0
    assert spread([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert draws == pytest.approx(noise)  # sqrt(2) / sqrt(2) standard errors of 1


def test_equal_seeds_add_no_spread() -> None:
    drawn = np.random.default_rng(0).normal(size=(3, 50))
    _, draws = pooled([1.0, 1.0, 1.0], drawn, seed_noise(3, draws=50, seed=1))
    assert draws == pytest.approx(drawn.mean(axis=0))


def test_seed_noise_is_students_t_and_reproducible() -> None:
    noise = seed_noise(3, draws=40_000, seed=0)
    assert np.quantile(noise, 0.975) == pytest.approx(4.303, rel=0.05)
    assert noise.tolist() == seed_noise(3, draws=40_000, seed=0).tolist()
    assert noise[:9].tolist() != seed_noise(3, draws=9, seed=1).tolist()
