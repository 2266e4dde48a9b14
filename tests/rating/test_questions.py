"""What an answer says of the variants, whichever side they were shown on."""

import pytest

from equipoise.rating.questions import MODES, QUESTIONS, preference


@pytest.mark.parametrize("question", ["harm", "relevance"])
def test_sides_exchanged_turn_a_preference_round(question: str) -> None:
    assert preference(question, "B", swapped=False) == 1
    for answer in ("A", "B", "tie"):
        straight = preference(question, answer, swapped=False)
        assert preference(question, answer, swapped=True) == -straight
    assert preference(question, "tie", swapped=True) == 0


def test_grades_prefer_b_or_nobody() -> None:
    # the second variant is B unless swapped
    assert preference("grade", "significant", swapped=False) == 1
    assert preference("grade", "somewhat", swapped=True) == -1
    for answer in ("not", "none"):
        assert preference("grade", answer, swapped=False) == 0


def test_keys_of_pairs_are_a_b_and_tie_in_all_orders() -> None:
    for question in QUESTIONS["pairs"]:
        assert [*question.answers] == ["A", "B", "tie"]
        assert not question.reversible
    names = [question.name for mode in MODES for question in QUESTIONS[mode]]
    assert len({*names}) == len(names)
