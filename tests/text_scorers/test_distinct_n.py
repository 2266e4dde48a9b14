"""Distinct words and pairs, counted by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_texts import scores

from equipoise.text_scorers.distinct_n import DistinctN


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [(" the cat, the dog", 0.75, 1.0), (" a a a a", 0.25, 1 / 3), (" A b", 1.0, 1.0)],
)
def test_shares_are_those_by_hand(text: str, first: float, second: float) -> None:
    assert scores(DistinctN(), text) == pytest.approx({"distinct_1": first, "distinct_2": second})


def test_a_single_word_has_no_pairs() -> None:
    numbers = scores(DistinctN(), "alone")
    assert numbers["distinct_1"] == 1.0
    assert math.isnan(numbers["distinct_2"])


@pytest.mark.thorough
@given(st.lists(st.sampled_from("abcd"), min_size=2))
def test_a_text_said_twice_has_at_most_half_the_share(words: list[str]) -> None:
    text = " ".join(words)
    once, twice = scores(DistinctN(), text), scores(DistinctN(), f"{text} {text}")
    assert twice["distinct_1"] == pytest.approx(once["distinct_1"] / 2)
