"""Golden cases worked by hand, and the symmetries of AFGB and UB."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics import gap
from tests.metrics.plain import plain

# Prompts: nurse (he .2, she .6), boxer (he .5, she .1), clerk (he .3, she .3).
HE = np.array([0.2, 0.5, 0.3])
SHE = np.array([0.6, 0.1, 0.3])

nats = st.floats(min_value=-30, max_value=-1.0)
prompts = st.lists(st.tuples(nats, nats, st.sampled_from([1.0, -1.0])), min_size=1, max_size=30)


def columns(rows: list[tuple[float, float, float]]) -> dict[str, np.ndarray]:
    values = [gap.gap_values(he, she) | {"hint": hint} for he, she, hint in rows]
    return {key: np.array([value[key] for value in values]) for key in values[0]}


def test_gaps_by_hand() -> None:
    assert plain(gap.absolute_gap, HE, SHE) == pytest.approx((0.4 + 0.4 + 0.0) / 3)
    hint = np.array([-1.0, -1.0, 1.0])  # the first obeyed, the second not, the third tied
    assert plain(gap.hinted_gap, HE, SHE, hint) == pytest.approx((0.4 - 0.4 + 0.0) / 3)
    lo = np.log(HE) - np.log(SHE)
    assert plain(gap.hints_obeyed, lo, hint) == pytest.approx(50.0)


def test_values_of_one_prompt_by_hand() -> None:
    values = gap.gap_values(math.log(0.6), math.log(0.2))
    assert values["mass"] == pytest.approx(0.8)
    assert values["rho"] == pytest.approx(0.5)
    assert values["lo"] == pytest.approx(math.log(3))


def test_extremes() -> None:
    ones, zeros = np.ones(4), np.zeros(4)
    assert plain(gap.absolute_gap, ones, zeros) == 1.0
    assert plain(gap.absolute_gap, zeros, zeros) == 0.0
    assert plain(gap.hinted_gap, ones, zeros, ones) == 1.0
    assert plain(gap.hinted_gap, ones, zeros, -ones) == -1.0
    assert plain(gap.hints_obeyed, ones, ones) == 100.0
    assert plain(gap.hints_obeyed, ones, -ones) == 0.0


def test_zero_probability_pronouns_have_no_direction() -> None:
    values = gap.gap_values(-math.inf, -math.inf)
    assert values["mass"] == 0.0
    assert math.isnan(values["rho"])
    assert math.isnan(values["lo"])
    only_he = gap.gap_values(math.log(0.5), -math.inf)
    assert (only_he["rho"], only_he["lo"]) == (1.0, math.inf)


def test_nan_rows_are_skipped_and_no_rows_are_nan() -> None:
    nan = math.nan
    assert all(math.isnan(value) for value in gap.gap_values(nan, -1.0).values())
    assert plain(gap.absolute_gap, np.array([0.4, nan]), np.array([0.1, 0.1])) == pytest.approx(0.3)
    empty = np.array([])
    for value in (plain(gap.absolute_gap, empty, empty), plain(gap.hints_obeyed, empty, empty)):
        assert math.isnan(value)


def test_correlation_is_over_means_of_clusters() -> None:
    lo = np.array([1.0, 3.0, 0.0, 2.0, 5.0, 7.0])  # means 2, 1, 6
    score = np.array([0.2, 0.2, 0.1, 0.1, 0.6, 0.6])
    code = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    assert plain(gap.correlation_of_means, lo, score, terms=code) == pytest.approx(1.0)
    assert plain(gap.correlation_of_means, -lo, score, terms=code) == pytest.approx(-1.0)
    assert math.isnan(plain(gap.correlation_of_means, lo, np.full(6, 0.3), terms=code))
    assert math.isnan(plain(gap.correlation_of_means, lo[:4], score[:4], terms=code[:4]))


@settings(max_examples=20)
@given(prompts)
def test_afgb_and_ub_factor_into_mass_and_direction(rows: list) -> None:
    c = columns(rows)
    afgb = plain(gap.absolute_gap, c["he"], c["she"])
    assert afgb == pytest.approx(float(np.mean(c["mass"] * np.abs(c["rho"]))), abs=1e-12)
    ub = plain(gap.hinted_gap, c["he"], c["she"], c["hint"])
    assert ub == pytest.approx(float(np.mean(c["hint"] * c["mass"] * c["rho"])), abs=1e-12)
    assert 0 <= afgb <= 1
    assert abs(ub) <= afgb + 1e-12


@pytest.mark.thorough
@settings(max_examples=20)
@given(prompts)
def test_swapping_the_pronouns_negates_ub(rows: list) -> None:
    c = columns(rows)
    swapped = columns([(she, he, hint) for he, she, hint in rows])
    assert plain(gap.absolute_gap, c["he"], c["she"]) == plain(
        gap.absolute_gap, swapped["he"], swapped["she"]
    )
    assert plain(gap.hinted_gap, c["he"], c["she"], c["hint"]) == pytest.approx(
        -plain(gap.hinted_gap, swapped["he"], swapped["she"], c["hint"])
    )
    assert plain(gap.hints_obeyed, c["lo"], c["hint"]) == pytest.approx(
        100 - plain(gap.hints_obeyed, swapped["lo"], c["hint"])
    )


@pytest.mark.thorough
@settings(max_examples=20)
@given(prompts, st.randoms(use_true_random=False))
def test_order_and_duplication_change_nothing(rows: list, random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    original, reordered, doubled = columns(rows), columns(shuffled), columns(rows + rows)
    for other in (reordered, doubled):
        assert plain(gap.absolute_gap, original["he"], original["she"]) == pytest.approx(
            plain(gap.absolute_gap, other["he"], other["she"])
        )
        assert plain(
            gap.hinted_gap, original["he"], original["she"], original["hint"]
        ) == pytest.approx(plain(gap.hinted_gap, other["he"], other["she"], other["hint"]))
