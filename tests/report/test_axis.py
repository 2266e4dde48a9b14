"""Scales: every value inside, round numbers, none twice."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.report.axis import axis_of, minus, typeset, whisker

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def test_ticks_are_round_and_where_they_belong() -> None:
    axis = axis_of([0.0, 100.0], ticks=4)
    assert [tick.text for tick in axis.ticks] == ["0", "25", "50", "75", "100"]
    assert [tick.place for tick in axis.ticks] == [2.5, 26.2, 50.0, 73.8, 97.5]
    assert axis.at(50.0) == 50.0
    assert (axis.at(-7.0), axis.at(700.0)) == (2.5, 97.5)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (-0.4, 0.4, ["−0.4", "−0.2", "0.0", "0.2", "0.4"]),
        (0.0, 2.0, ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        (0.0, 2e-7, ["0", "5e−08", "1e−07", "1.5e−07", "2e−07"]),
        (0.0, 4e7, ["0", "1e+07", "2e+07", "3e+07", "4e+07"]),
    ],
)
def test_ticks_have_the_decimals_of_their_step(low: float, high: float, texts: list[str]) -> None:
    assert [tick.text for tick in axis_of([low, high], ticks=4).ticks] == texts


def test_the_ideal_is_inside_and_its_label_has_room() -> None:
    axis = axis_of([60.0, 100.0], ideal=50.0)
    assert axis.low == 50.0
    assert axis.ideal is not None
    assert (axis.ideal.text, axis.ideal.place) == ("50", 2.5)
    assert {tick.text for tick in axis.ticks} - {
        free_tick.text for free_tick in axis.free_ticks
    } == {"60"}
    middle = axis_of([0.0, 100.0], ideal=50.0)
    assert "50" not in {free_tick.text for free_tick in middle.free_ticks}


@pytest.mark.parametrize("values", [[], [math.nan, math.inf]])
def test_no_values_give_a_scale_from_0_to_1(values: list[float]) -> None:
    axis = axis_of(values)
    assert (axis.low, axis.high, axis.ideal) == (0.0, 1.0, None)


def test_a_single_value_lies_in_the_middle() -> None:
    assert axis_of([100.0, 100.0]).at(100.0) == 50.0
    assert axis_of([0.0]).at(0.0) == 50.0


@pytest.mark.parametrize(
    ("values", "ideal", "texts"),
    [
        ([100.0, 100.0], 100.0, ["100"]),
        ([0.333333, 0.333333 + 1e-12], None, ["0.333"]),
        ([0.0, 2e-14, -3e-14], None, ["0"]),
        ([0.0, 2e-14], 0.0, ["0"]),
        ([-0.0], None, ["0"]),
    ],
)
def test_differences_of_rounding_are_ignored(
    values: list[float], ideal: float | None, texts: list[str]
) -> None:
    axis = axis_of(values, ideal=ideal)
    assert [(tick.text, tick.place) for tick in axis.ticks] == [(text, 50.0) for text in texts]
    assert [axis.at(value) for value in values] == [50.0] * len(values)
    if ideal is not None:
        assert axis.ideal is not None
        assert axis.ideal.place == 50.0
        assert axis.free_ticks == ()


def test_rounding_beside_a_value_is_zero() -> None:
    axis = axis_of([1e-14, 1.0])
    assert axis.low == 0.0
    assert [tick.text for tick in axis.ticks] == ["0.00", "0.25", "0.50", "0.75", "1.00"]


def test_the_largest_numbers_have_an_axis() -> None:
    axis = axis_of([0.0, 1.0000000010000002e308], ticks=1)
    assert axis.low < axis.high < math.inf


@pytest.mark.thorough
@given(st.lists(NUMBERS, max_size=6), st.one_of(st.none(), NUMBERS), st.integers(1, 6))
def test_finite_values_lie_on_the_axis_in_order(
    values: list[float], ideal: float | None, ticks: int
) -> None:
    axis = axis_of(values, ideal=ideal, ticks=ticks)
    assert -math.inf < axis.low < axis.high < math.inf
    places = [axis.at(value) for value in sorted(x for x in values if math.isfinite(x))]
    assert places == sorted(places)
    assert all(2.5 <= place <= 97.5 for place in places)
    assert len(axis.ticks) <= ticks + 1
    places = [tick.place for tick in axis.ticks]
    assert places == sorted(places)
    assert all(2.5 <= value <= 97.5 for value in places)


def test_a_whisker_without_an_interval_has_no_length() -> None:
    axis = axis_of([0.0, 100.0])
    placed = whisker(50.0, math.nan, math.nan, axis=axis)
    assert placed is not None
    assert placed.low == placed.high == placed.value == 50.0
    assert whisker(math.nan, 0.0, 1.0, axis=axis) is None


def test_a_minus_sign_is_a_minus_sign() -> None:
    assert minus("-1.5") == "−1.5"


def test_numbers_in_a_sentence_are_typeset_and_names_are_left_alone() -> None:
    assert typeset("within 50 ± 3 or 2 %") == "within 50\u00a0±\u00a03 or 2\u00a0%"
    text = "gpt-2: -0.296 [-0.320, -0.271 places 90 %], -3.1e-05 (block-3, 2-4)"
    assert (
        typeset(text) == "gpt-2: −0.296 [−0.320, −0.271 places 90\u00a0%], −3.1e−05 (block-3, 2-4)"
    )
