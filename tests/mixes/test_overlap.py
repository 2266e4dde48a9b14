"""Runs of 5 words that texts share with a measured benchmark."""

import os

import pytest

from equipoise.data.crows_pairs import read_pairs
from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.overlap import Guard, at_hand, guard_of, shared_with

needs_data = pytest.mark.skipif("EQUIPOISE_DATA" not in os.environ, reason="needs official files")


def test_five_words_in_a_row_without_regard_to_case_and_marks() -> None:
    guard = Guard({"trees": ["The oak, the elm and the ash fell."], "boats": ["A ship sank here."]})
    assert guard.shares("We saw the OAK the elm and the fir.") == "trees"
    assert guard.shares("We saw the oak, the elm, a fir.") is None
    assert guard.shares("a ship sank here") == "boats"  # shorter sentences count whole
    assert guard.shares("") is None
    texts = ["Here the oak, the elm and the fir.", "A ship sank here!", "Other words are here."]
    assert guard.count(texts) == {"trees": 1, "boats": 1}


@pytest.mark.thorough
@needs_data
def test_crows_pairs_itself_is_known() -> None:
    assert "crows_pairs" in at_hand()
    guard = guard_of(["crows_pairs"])
    pairs = read_pairs()
    texts = [pair.stereotype for pair in pairs if len(pair.stereotype.split()) > 6]
    assert guard.count(texts) == {"crows_pairs": len(texts)}


@pytest.mark.thorough
@needs_data
def test_few_pairs_of_the_grammar_share_words_and_none_are_given() -> None:
    guard = guard_of(("crows_pairs", "seat", "stereoset"))
    pairs = draw_pairs(1800, seed=0)
    shared = [pair for pair in pairs if shared_with(guard, pair) is not None]
    assert len(shared) < 20  # a hundredth
    clean = draw_pairs(1800, seed=0, refused=lambda pair: shared_with(guard, pair) is not None)
    texts = [text for pair in clean for text in (pair.sent_more, pair.sent_less, pair.neutral)]
    assert guard.count(texts) == {}
