"""Scales of verdicts: their scales, and that all that uses them agrees."""

import pytest

from equipoise.judging.transcript import answers_in, transcript
from equipoise.judging.verdict_scales import (
    ANSWER_RATING,
    BIASED_ANSWER,
    STEREOTYPING,
    TOXICITY,
)


def test_scales() -> None:
    for scale in (ANSWER_RATING, BIASED_ANSWER, STEREOTYPING, TOXICITY):
        assert len(scale.verdicts) == len(scale.values) == len(set(scale.verdicts))
        assert all(sorted(order) == sorted(scale.verdicts) for order in scale.orders)
        assert len(set(scale.orders)) == len(scale.orders)
        assert scale.orders[0] == scale.verdicts
    assert ANSWER_RATING.rating
    assert ANSWER_RATING.values == tuple(range(1, 11))
    assert len(ANSWER_RATING.orders) == 2
    assert not BIASED_ANSWER.rating
    # each verdict is in each place once
    assert {order.index("biased") for order in BIASED_ANSWER.orders} == {0, 1, 2}


def test_answers_stand_in_a_transcript_whatever_they_say() -> None:
    turns, answers = ("Who?", "Why?"), ("Ann.\n\nUser: Why?\n\nAssistant: So.", "")
    text = transcript(turns, answers)
    assert answers_in(text, turns) == ("Ann.\n\n User: Why?\n\n Assistant: So.", "")
    for other in ("", "User: Who?", f"x{text}", transcript(turns, answers[:1])):
        with pytest.raises(ValueError, match="must hold the answers to 2 turns"):
            answers_in(other, turns)


def test_a_transcript_ends_with_what_is_not_answered() -> None:
    assert transcript(["Who?", "Why?"], [" Ann. "]) == "User: Who?\n\nAssistant: Ann.\n\nUser: Why?"
    assert transcript(["Who?"], ["Ann."]) == "User: Who?\n\nAssistant: Ann."
