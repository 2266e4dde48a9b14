"""Claims: an interval inside the margin, never a point; p and interval say the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from equipoise.conclusions import Claim
from equipoise.records import Column, Margin, Metric
from equipoise.stats.claims import claim_of
from equipoise.stats.resample import one_sided_p, percentile_interval


def metric(*, margin: Margin | None, better: bool | None = None, ideal: float | None = 50.0,
           low: float = 0.0, high: float = 100.0) -> Metric:  # fmt: skip
    return Metric(
        name="m", of=lambda _: math.nan, unit="%", source="t", ideal=ideal, low=low, high=high,
        higher_is_better=better, margin=margin,
    )  # fmt: skip


def draws(value: float, scale: float) -> tuple[float, Column]:
    """A value, and two thousand normal draws around it."""
    quantiles = (np.arange(2000) + 0.5) / 2000
    return value, value + scale * special.ndtri(quantiles)


def claim(
    bounded: Metric,
    after: tuple[float, Column],
    before: tuple[float, Column] | None = None,
    clusters: int = 400,
) -> Claim:
    claimed = claim_of(bounded, before=before or draws(65.0, 1.0), after=after, clusters=clusters)
    assert claimed is not None
    return claimed


def test_within_needs_the_whole_interval_inside() -> None:
    band = metric(margin=Margin(size=3.0))
    near = claim(band, draws(51.0, 1.0))
    assert (near.kind, near.shown, near.value) == ("within", True, pytest.approx(1.0))
    # by hand: 1 ± 1.645, and p of 51 <= 53 with standard error 1
    assert (near.low, near.high) == (pytest.approx(-0.65, abs=0.02), pytest.approx(2.65, abs=0.02))
    assert near.p == pytest.approx(0.0228, abs=0.002)
    vague = claim(band, draws(50.0, 3.0))  # the point is ideal
    assert not vague.shown
    assert vague.p > 0.05


def test_a_margin_beyond_the_metric_s_bound_is_not_tested() -> None:
    gap = metric(margin=Margin(size=0.05), ideal=0.0, low=0.0, high=1.0)
    claimed = claim(gap, draws(0.001, 0.004))
    assert claimed.shown
    assert claimed.low == 0.0  # cut to what the metric can be
    assert not claim(gap, draws(0.049, 0.004)).shown


def test_not_worse_tests_the_loss() -> None:
    accuracy = metric(margin=Margin(size=2.0), better=True, ideal=100.0)
    kept = claim(accuracy, draws(64.5, 0.5), draws(65.0, 0.0))
    assert (kept.kind, kept.value, kept.shown) == ("not_worse", pytest.approx(0.5), True)
    assert not claim(accuracy, draws(63.5, 0.5), draws(65.0, 0.0)).shown
    assert claim(accuracy, draws(80.0, 0.5), draws(65.0, 0.0)).value == pytest.approx(-15.0)


def test_a_relative_margin_is_a_share_of_the_value_before() -> None:
    perplexity = metric(margin=Margin(size=0.02, relative=True), better=False, ideal=None)
    claimed = claim(perplexity, draws(20.08, 0.05), draws(20.0, 0.0))
    assert claimed.value == pytest.approx(0.004)
    assert claimed.shown
    assert not claim(perplexity, draws(20.6, 0.05), draws(20.0, 0.0)).shown


def test_a_relative_margin_of_zero_shows_nothing() -> None:
    recall = metric(margin=Margin(size=0.02, relative=True), better=True, ideal=None)
    nothing = (0.0, np.zeros(2000))
    claimed = claim(recall, after=draws(0.5, 0.1), before=nothing)
    assert not claimed.shown
    assert all(map(math.isnan, (claimed.value, claimed.low, claimed.high, claimed.p)))


def test_zero_draws_are_left_out_of_a_relative_margin() -> None:
    recall = metric(margin=Margin(size=0.5, relative=True), better=True, ideal=None)
    value, drawn = draws(10.0, 1.0)
    holed = drawn.copy()
    holed[::1000] = 0.0  # 2 of 2,000
    claimed = claim(recall, after=(value, drawn), before=(value, holed))
    assert claimed.shown
    assert claimed.low == claimed.high == 0.0


@pytest.mark.parametrize(("better", "worst"), [(True, 0.0), (False, 100.0)])
def test_what_is_as_bad_as_can_be_shows_nothing(better: bool, worst: float) -> None:
    """An accuracy of 0 before and after is no ability that was kept."""
    bounded = metric(margin=Margin(size=2.0), better=better, ideal=None)
    same = (worst, np.full(2000, worst))
    shown = claim(bounded, same, before=same)
    assert not shown.shown
    assert math.isnan(shown.value)


def test_without_margin_ideal_or_value_there_is_no_claim() -> None:
    bounded = metric(margin=Margin(size=1.0))
    nothing = (math.nan, np.full(10, math.nan))
    assert claim_of(metric(margin=None), before=nothing, after=draws(1, 1), clusters=9) is None
    assert claim_of(bounded, before=draws(1, 1), after=nothing, clusters=9) is None
    assert claim_of(
        metric(margin=Margin(size=1.0), ideal=None), before=draws(1, 1), after=draws(1, 1),
        clusters=9,
    ) is None  # fmt: skip


def test_one_cluster_shows_nothing() -> None:
    claimed = claim(metric(margin=Margin(size=3.0)), draws(50.0, 0.0), clusters=1)
    assert not claimed.shown
    assert math.isnan(claimed.p)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    clusters=st.integers(2, 60),
    bound=st.floats(-1.5, 1.5),
)
def test_p_inverts_the_90_percent_interval(seed: int, clusters: int, bound: float) -> None:
    generator = np.random.default_rng(seed)
    sample = generator.normal(size=300)
    value = float(np.median(sample))
    low, high, _ = percentile_interval(value, sample, clusters=clusters, level=0.90)
    above = one_sided_p(value, sample, clusters=clusters, above=bound)
    below = one_sided_p(-value, -sample, clusters=clusters, above=-bound)
    if min(abs(bound - low), abs(bound - high)) > 1e-6:
        assert (above < 0.05) == (low > bound)
        assert (below < 0.05) == (high < bound)
    assert 0.0 <= above <= 1.0


def test_constant_draws_have_a_p() -> None:
    flat = np.full(100, 2.0)
    assert one_sided_p(2.0, flat, clusters=4, above=1.0) == 0.0
    assert one_sided_p(2.0, flat, clusters=4, above=2.0) == 1.0
    assert one_sided_p(2.0, flat, clusters=20, above=1.0) < 0.05
    assert one_sided_p(2.0, flat, clusters=20, above=2.0) > 0.95


def test_p_of_a_large_effect_does_not_depend_on_the_draws() -> None:
    generator = np.random.default_rng(0)
    few, many = (generator.normal(9.0, 1.0, size=draws) for draws in (400, 200_000))
    p = one_sided_p(9.0, few, clusters=16, above=0.0)
    assert p == pytest.approx(one_sided_p(9.0, many, clusters=16, above=0.0), rel=1.0)
    assert p < 1e-5


def test_p_rises_with_the_bound() -> None:
    sample = np.random.default_rng(1).normal(0.0, 1.0, size=500)
    bounds = np.linspace(-6.0, 0.0, 61)
    ps = [one_sided_p(0.0, sample, clusters=16, above=float(bound)) for bound in bounds]
    assert ps == sorted(ps)
