"""CAFIE's mixtures: by hand, and what they leave of a difference between groups."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equipoise.decoding.mixture import Mixing, mixed
from equipoise.errors import ModelError

MODES = ("reference", "mean", "geomean", "tempered")
shares = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4)


def rows(*shares_of: list[float]) -> torch.Tensor:
    found = torch.tensor(shares_of, dtype=torch.float64)
    return (found / found.sum(-1, keepdim=True)).log()[:, None]


def test_mean_and_geomean_by_hand() -> None:
    given = rows([0.8, 0.2], [0.2, 0.8])
    both = [mixed(given, Mixing(mode=one, alpha=1.0)).exp()[0] for one in ("mean", "geomean")]
    assert [one.tolist() for one in both] == [pytest.approx([0.5, 0.5])] * 2
    uneven = rows([0.9, 0.1], [0.5, 0.5])
    assert mixed(uneven, Mixing(mode="mean", alpha=1.0)).exp()[0, 0] == pytest.approx(0.7)
    assert mixed(uneven, Mixing(mode="geomean", alpha=1.0)).exp()[0, 0] == pytest.approx(0.75)
    half = mixed(uneven, Mixing(mode="tempered", alpha=0.5)).exp()[0, 0]
    assert float(half) == pytest.approx(9**0.75 / (1 + 9**0.75))
    assert mixed(uneven, Mixing(mode="mean", alpha=0.5)).exp()[0, 0] == pytest.approx(0.8)


def test_the_reference_reverses_a_preference() -> None:
    """methods-decoding.md 2.2: 0.6 against 0.4 ends at 0.006 against 0.8, before normalizing."""
    raw = Mixing(normalized=False)
    one = mixed(rows([0.6, 0.4], [0.4, 0.6]), raw).exp()[0, 0]
    other = mixed(rows([0.4, 0.6], [0.6, 0.4]), raw).exp()[0, 0]
    assert float(one) == pytest.approx(0.006)
    assert float(other) == pytest.approx(0.4 * (2 * 0.99 + 0.01))


def test_the_reference_weights_counterfactuals_by_their_distance() -> None:
    given = rows([0.5, 0.5], [0.6, 0.4], [0.2, 0.8])
    found = mixed(given, Mixing(sharpness=1.0, alpha=0.5, normalized=False)).exp()[0, 0]
    gaps = (-0.1, 0.3)
    weights = [math.exp(math.sqrt(2) * abs(gap)) for gap in gaps]
    factor = sum(w * (1 + math.tanh(-g)) for w, g in zip(weights, gaps, strict=True)) / sum(weights)
    assert float(found) == pytest.approx(0.5 * 0.5 * factor + 0.5 * 0.5)


def test_a_threshold_and_a_temperature() -> None:
    given = rows([0.6, 0.4], [0.5, 0.5])
    assert torch.allclose(mixed(given, Mixing(threshold=0.2)), given[0])
    flat = mixed(given, Mixing(mode="mean", alpha=0.0, temperature=2.0)).exp()[0, 0]
    assert float(flat) == pytest.approx(0.6**0.5 / (0.6**0.5 + 0.4**0.5))


@given(shares, shares, shares)
def test_mean_and_geomean_do_not_depend_on_which_text_is_given(
    a: list[float], b: list[float], c: list[float]
) -> None:
    for mode in ("mean", "geomean"):
        mixing: Any = Mixing(mode=mode, alpha=1.0)
        found = [mixed(rows(*one), mixing).exp() for one in ((a, b, c), (b, c, a), (c, a, b))]
        assert all(float((one - found[0]).abs().sum()) / 2 < 1e-12 for one in found)


@given(shares, shares, st.sampled_from(MODES), st.floats(0.0, 0.99))
def test_every_mode_gives_a_distribution(
    a: list[float], b: list[float], mode: Any, alpha: float
) -> None:
    found = mixed(rows(a, b).float(), Mixing(mode=mode, alpha=alpha))
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert bool(torch.isfinite(found).all())


@given(shares, st.sampled_from(MODES), st.floats(0.0, 0.99))
def test_equal_rows_change_nothing(own: list[float], mode: Any, alpha: float) -> None:
    found = mixed(rows(own, own), Mixing(mode=mode, alpha=alpha))
    assert torch.allclose(found, rows(own)[0], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"alpha": 1.1}, "'alpha': 1.1"),
        ({"alpha": 1.0}, "got 1.0"),
        ({"temperature": 0.0}, "'temperature': 0.0"),
        ({"mode": "mean", "normalized": False}, "mean is always normalized"),
    ],
)
def test_what_is_no_mixture_is_refused(options: dict[str, Any], got: str) -> None:
    with pytest.raises(ModelError, match=got):
        Mixing(**options)
