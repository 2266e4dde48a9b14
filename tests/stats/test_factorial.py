"""Whose the effect is: hand-computed cells, what must hold of any, and how often intervals hold."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from equipoise.conclusions import Factorial
from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.records import Columns, Metric
from equipoise.stats.factorial import Cells, factorials

STRENGTH = Metric(
    name="strength", of=mean_of("x"), unit="grade", source="t", ideal=0.0, low=0.0, high=3.0
)
CLUSTERS = 24
NAMES = ("neither", "first", "second", "both")


def side(values: NDArray[np.float64] | float) -> Columns:
    x = np.broadcast_to(np.asarray(values, dtype=float), (CLUSTERS,))
    return {"x": x, CLUSTER: np.arange(CLUSTERS)}


def cells(neither: float, first: float, second: float, both: float, *, noise: float = 0.0) -> Cells:
    """Means by cell; the clusters' effects differ, those of both parts alike."""
    shift = noise * np.linspace(-1.0, 1.0, CLUSTERS)
    moved = zip((neither, first, second, both), (0, 1, 1, 2), strict=True)
    return single([side(mean + shift * times) for mean, times in moved])


def single(sides: Sequence[Columns]) -> Cells:
    neither, first, second, both = sides
    return Cells(neither=neither, first=(first,), second=(second,), both=(both,))


def of(cells: Cells, metric: Metric = STRENGTH, *, draws: int = 200) -> Factorial:
    (factorial,) = factorials([metric], cells, draws=draws, seed=0)
    return factorial


def value(factorial: Factorial, name: str) -> float:
    return factorial.estimate(name).value


def test_hand_computed_cells() -> None:
    """1.28 to 0.55 with both, 0.65 with the first, 1.00 with the second."""
    factorial = of(cells(1.28, 0.65, 1.00, 0.55, noise=0.02))
    expected = {
        "neither": 1.28, "first": 0.65, "second": 1.00, "both": 0.55,
        "effect_first": 0.63, "effect_second": 0.28, "effect_both": 0.73,
        "interaction": 0.73 - 0.63 - 0.28,
        "part_first": (0.63 + 0.45) / 2, "part_second": (0.28 + 0.10) / 2,
        "share_first": 100 * 0.54 / 0.73, "share_second": 100 * 0.19 / 0.73,
    }  # fmt: skip
    assert {each.metric: each.value for each in factorial.estimates} == pytest.approx(expected)
    for estimate in factorial.estimates:
        assert estimate.low <= estimate.value <= estimate.high
        assert (estimate.n, estimate.clusters) == (CLUSTERS, CLUSTERS)
    assert (factorial.metric, factorial.ideal, factorial.seeds) == ("strength", 0.0, 1)
    with pytest.raises(KeyError, match="share_first"):
        factorial.estimate("share")


def test_effects_are_falls_of_the_distance_to_the_ideal() -> None:
    """Of 50: 60, 45 and 55 alone, 50 together; passing the ideal is no gain."""
    around = replace(STRENGTH, ideal=50.0, high=100.0)
    factorial = of(cells(60.0, 45.0, 55.0, 50.0), around)
    assert value(factorial, "effect_first") == 5.0
    assert value(factorial, "effect_second") == 5.0
    assert value(factorial, "effect_both") == 10.0
    assert (value(factorial, "share_first"), value(factorial, "share_second")) == (50.0, 50.0)


def test_a_part_that_does_nothing_has_no_share_and_the_other_has_all() -> None:
    idle = cells(1.0, 0.4, 1.0, 0.4, noise=0.0)
    factorial = of(idle)
    assert value(factorial, "interaction") == 0.0
    for name, share in (("share_first", 100.0), ("share_second", 0.0)):
        estimate = factorial.estimate(name)
        assert (estimate.low, estimate.value, estimate.high) == pytest.approx((share,) * 3)


def test_two_that_do_the_same_share_alike_and_interact() -> None:
    factorial = of(cells(1.0, 0.5, 0.5, 0.5))
    assert value(factorial, "interaction") == -0.5
    assert value(factorial, "share_first") == value(factorial, "share_second") == 50.0


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_an_effect_that_is_not_shown_has_no_shares(noise: float) -> None:
    generator = np.random.default_rng(0)
    sides = [side(1.0 + noise * generator.normal(size=CLUSTERS)) for _ in NAMES]
    factorial = of(single(sides))
    for name in ("share_first", "share_second"):
        estimate = factorial.estimate(name)
        assert math.isnan(estimate.value)
        assert math.isnan(estimate.low)
        assert "not shown to differ from 0" in (estimate.reason or "")
    assert factorial.estimate("part_first").reason is None


def test_a_single_cluster_and_a_value_that_is_not_there_have_a_reason() -> None:
    alone = {"x": np.ones(3), CLUSTER: np.zeros(3, dtype=int)}
    one_cluster = Cells(neither=alone, first=(alone,), second=(alone,), both=(alone,))
    estimate = of(one_cluster).estimate("effect_both")
    assert (estimate.value, estimate.reason) == (
        0.0, "an interval needs at least 2 independent clusters, there are 1",
    )  # fmt: skip
    absent = cells(1.0, math.nan, 1.0, 1.0)
    for estimate in of(absent).estimates:
        assert math.isnan(estimate.low)
        assert "not defined" in str(estimate.reason)


def test_only_metrics_with_a_point_as_their_ideal_and_equally_many_seeds() -> None:
    ability = replace(STRENGTH, higher_is_better=True, ideal=3.0)
    aimless = replace(STRENGTH, ideal=None)
    assert factorials([ability, aimless], cells(1, 1, 1, 1), draws=10, seed=0) == []
    uneven = replace(cells(1, 1, 1, 1), first=())
    with pytest.raises(ValueError, match="got 0, 1 and 1"):
        factorials([STRENGTH], uneven, draws=10, seed=0)


def test_seeds_are_averaged_and_widen_the_intervals() -> None:
    def with_seeds(scatter: float) -> Factorial:
        shift = 0.01 * np.linspace(-1.0, 1.0, CLUSTERS)
        moved = [scatter, 0.0, -scatter]
        return of(
            Cells(
                neither=side(1.0),
                first=tuple(side(0.6 + shift) for _ in moved),
                second=tuple(side(0.8 + shift + by) for by in moved),
                both=tuple(side(0.4 + shift + by) for by in moved),
            )
        )

    steady, scattered = with_seeds(0.0), with_seeds(0.1)
    assert steady.seeds == scattered.seeds == 3
    for name in ("effect_second", "effect_both", "part_second", "share_second", "share_first"):
        few, many = steady.estimate(name), scattered.estimate(name)
        assert few.value == pytest.approx(many.value)
        assert many.high - many.low > 2 * (few.high - few.low)
    # the first does the same in every seed
    same = [each.estimate("effect_first") for each in (steady, scattered)]
    assert same[0] == same[1]


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.1, 3.0), min_size=4, max_size=4), st.floats(0.01, 0.3))
def test_what_holds_of_any_cells(values: list[float], noise: float) -> None:
    neither, first, second, both = values
    factorial = of(cells(neither, first, second, both, noise=noise), draws=60)
    turned = of(cells(neither, second, first, both, noise=noise), draws=60)
    for name in ("effect", "part", "share"):
        assert repr(factorial.estimate(f"{name}_first")) == repr(
            replace(turned.estimate(f"{name}_second"), metric=f"{name}_first")
        )
    parts = value(factorial, "part_first") + value(factorial, "part_second")
    assert parts == pytest.approx(value(factorial, "effect_both"), abs=1e-9)
    alone = value(factorial, "effect_first") + value(factorial, "effect_second")
    assert alone + value(factorial, "interaction") == pytest.approx(parts, abs=1e-9)
    shares = value(factorial, "share_first") + value(factorial, "share_second")
    assert math.isnan(shares) or shares == pytest.approx(100.0)


@pytest.mark.thorough
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Truth: parts of 0.5 and 0.1 of a whole of 0.6; 24 clusters whose effects differ."""
    generator = np.random.default_rng(1)
    truth = {"part_first": 0.5, "effect_both": 0.6, "interaction": 0.0, "share_first": 100 * 5 / 6}
    held = dict.fromkeys(truth, 0)
    studies = 300
    for _ in range(studies):
        level = 2.0 + 0.3 * generator.normal(size=CLUSTERS)
        part, rest = (mean + 0.2 * generator.normal(size=CLUSTERS) for mean in (0.5, 0.1))
        error = 0.1 * generator.normal(size=(4, CLUSTERS))
        exact = np.array([level, level - part, level - rest, level - part - rest])
        sides = [side(values) for values in exact + error]
        factorial = of(single(sides))
        for name, true in truth.items():
            estimate = factorial.estimate(name)
            held[name] += estimate.low <= true <= estimate.high
    # 95 % of 300 is 285; two in a thousand runs would be outside these by chance
    assert all(272 <= count <= 296 for count in held.values()), held
