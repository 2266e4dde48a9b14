"""Repetition, counted by hand."""

import math

import pytest
from written_texts import scores

from equipoise.text_scorers.repetition import Repetition


@pytest.mark.parametrize(
    ("text", "repeated", "run"),
    [
        (" a b c d", 0.0, 1),
        (" a b c, a b c", 0.25, 1),  # 4 3-grams, of which "a b c" stands twice
        (", and and and And", 0.5, 4),
        (" x" * 1000, 1 - 1 / 998, 1000),
    ],
)
def test_numbers_are_those_by_hand(text: str, repeated: float, run: int) -> None:
    numbers = scores(Repetition(), text)
    assert numbers["repeated_3grams"] == pytest.approx(repeated)
    assert numbers["longest_run"] == run


@pytest.mark.parametrize("text", ["", "?!", "two words"])
def test_what_is_too_short_has_no_share(text: str) -> None:
    assert math.isnan(scores(Repetition(), text)["repeated_3grams"])


def test_without_a_word_there_is_no_run() -> None:
    assert math.isnan(scores(Repetition(), "?!")["longest_run"])
