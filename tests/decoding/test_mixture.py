"""CAFIE's mixtures: by hand, and what they leave of a difference between groups."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from equipoise.decoding.mixture import GeometricMean, Mean, Mixture, Reference, Tempered

ALL: tuple[Any, ...] = (Reference, Mean, GeometricMean, Tempered)
shares = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4)


def rows(*shares_of: list[float]) -> torch.Tensor:
    weights = torch.tensor(shares_of, dtype=torch.float64)
    return (weights / weights.sum(-1, keepdim=True)).log()[:, None]


def first(mixture: Mixture, *shares_of: list[float]) -> float:
    """The probability of the first token."""
    return float(mixture.mix(rows(*shares_of)).exp()[0, 0])


def test_mean_and_geomean_by_hand() -> None:
    for mixture in (Mean(alpha=1.0), GeometricMean(alpha=1.0)):
        assert first(mixture, [0.8, 0.2], [0.2, 0.8]) == pytest.approx(0.5)
    uneven = ([0.9, 0.1], [0.5, 0.5])
    assert first(Mean(alpha=1.0), *uneven) == pytest.approx(0.7)
    assert first(GeometricMean(alpha=1.0), *uneven) == pytest.approx(0.75)
    assert first(Tempered(alpha=0.5), *uneven) == pytest.approx(9**0.75 / (1 + 9**0.75))
    assert first(Mean(alpha=0.5), *uneven) == pytest.approx(0.8)


def test_the_reference_reverses_a_preference() -> None:
    """0.6 against 0.4 ends at 0.006 against 0.8, before normalizing."""
    raw = Reference(normalized=False)
    assert first(raw, [0.6, 0.4], [0.4, 0.6]) == pytest.approx(0.006)
    assert first(raw, [0.4, 0.6], [0.6, 0.4]) == pytest.approx(0.4 * (2 * 0.99 + 0.01))


def test_the_reference_weights_counterfactuals_by_their_distance() -> None:
    mixture = Reference(sharpness=1.0, alpha=0.5, normalized=False)
    gaps = (-0.1, 0.3)
    weights = [math.exp(math.sqrt(2) * abs(gap)) for gap in gaps]
    factor = sum(w * (1 + math.tanh(-g)) for w, g in zip(weights, gaps, strict=True)) / sum(weights)
    value = first(mixture, [0.5, 0.5], [0.6, 0.4], [0.2, 0.8])
    assert value == pytest.approx(0.5 * 0.5 * factor + 0.5 * 0.5)


def test_a_threshold_and_a_temperature() -> None:
    near = ([0.6, 0.4], [0.5, 0.5])
    assert first(Reference(threshold=0.2), *near) == pytest.approx(0.6)
    flat = first(Reference(alpha=0.0, temperature=2.0), *near)
    assert flat == pytest.approx(0.6**0.5 / (0.6**0.5 + 0.4**0.5))


@pytest.mark.thorough
@settings(max_examples=30)
@given(shares, shares, shares)
def test_mean_and_geomean_are_symmetric(a: list[float], b: list[float], c: list[float]) -> None:
    for mixture in (Mean(alpha=1.0), GeometricMean(alpha=1.0)):
        mixed = [mixture.mix(rows(*turn)).exp() for turn in ((a, b, c), (b, c, a), (c, a, b))]
        assert all(float((other - mixed[0]).abs().sum()) / 2 < 1e-12 for other in mixed)


@pytest.mark.thorough
@settings(max_examples=50)
@given(shares, shares, st.sampled_from(ALL), st.floats(0.0, 0.99))
def test_every_mixture_gives_a_distribution(
    a: list[float], b: list[float], mixture: Any, alpha: float
) -> None:
    mixed = mixture(alpha=alpha).mix(rows(a, b).float())
    assert float(mixed.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert bool(torch.isfinite(mixed).all())


@pytest.mark.thorough
@settings(max_examples=50)
@given(shares, st.sampled_from(ALL), st.floats(0.0, 0.99))
def test_equal_rows_change_nothing(probabilities: list[float], mixture: Any, alpha: float) -> None:
    mixed = mixture(alpha=alpha).mix(rows(probabilities, probabilities))
    assert torch.allclose(mixed, rows(probabilities)[0], atol=1e-9)


def test_which_mixtures_are_neutral() -> None:
    assert all(mixture(alpha=0.0).neutral for mixture in ALL)
    assert not any(mixture().neutral for mixture in ALL)
    assert not Reference(alpha=0.0, temperature=2.0).neutral


@pytest.mark.parametrize(
    ("mixture", "options"),
    [
        (Mean, {"alpha": 1.1}),
        (Reference, {"alpha": 1.0}),  # tokens would have probability 0
        (Reference, {"temperature": 0.0}),
        (Reference, {"gamma": 0.0}),
        (Reference, {"sharpness": 0.0}),
        (Mean, {"normalized": False}),
        (Tempered, {"temperature": 2.0}),
    ],
)
def test_invalid_mixture_is_refused(mixture: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        mixture(**options)
