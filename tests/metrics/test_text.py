"""Perplexity and bits per byte: golden cases by hand, and that lengths weigh."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics import ability
from tests.metrics.plain import plain


def test_perplexity_and_bits_per_byte_by_hand() -> None:
    logprob = np.array([-4 * math.log(2), -12 * math.log(2)])  # 16 bits in all
    tokens, size = np.array([2.0, 6.0]), np.array([8.0, 24.0])
    assert plain(ability.nats_per_unit, logprob, tokens) == pytest.approx(2 * math.log(2))
    assert plain(ability.perplexity, logprob, tokens) == pytest.approx(4.0)
    assert plain(ability.bits_per_byte, logprob, size) == pytest.approx(0.5)


def test_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    logprob, tokens = np.array([-1.0, -30.0]), np.array([1.0, 10.0])
    assert plain(ability.nats_per_unit, logprob, tokens) == pytest.approx(31 / 11)


def test_extremes_and_nan() -> None:
    assert plain(ability.perplexity, np.zeros(3), np.ones(3)) == 1.0
    assert plain(ability.perplexity, np.array([-1e6]), np.ones(1)) == math.inf
    assert math.isnan(plain(ability.perplexity, np.array([]), np.array([])))
    assert math.isnan(plain(ability.bits_per_byte, np.array([0.0]), np.array([0.0])))
    kept = plain(ability.nats_per_unit, np.array([-3.0, math.nan]), np.array([1.0, 5.0]))
    assert kept == pytest.approx(3.0)


def test_a_uniform_guess_of_bytes_is_eight_bits() -> None:
    assert plain(
        ability.bits_per_byte, np.array([-10 * math.log(256)]), np.array([10.0])
    ) == pytest.approx(8)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(-500, 0), st.integers(1, 200)), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_order_and_duplication_change_nothing(rows: list, random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    values = [
        plain(
            ability.nats_per_unit,
            *(np.array(column, dtype=float) for column in zip(*texts, strict=True)),
        )
        for texts in (rows, shuffled, rows * 2)
    ]
    assert values[1] == pytest.approx(values[0])
    assert values[2] == pytest.approx(values[0])
