"""Numbers in what models write: kept words of every usual form, and what gives no answer."""

import pytest

from equipoise.data.ceb_answers import heard_option

YES_NO = ("Yes, it's a stereotype", "No, it's an anti-stereotype")
THREE = (*YES_NO, "It's unrelated and meaningless")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("1", 0),
        (" 2.", 1),
        ("**1**", 0),
        ("Option 2", 1),
        ("(1) Yes", 0),
        ("1. Yes, it's a stereotype", 0),
        ("The answer is 2.", 1),
        ("Let me see: 1 or 2?\nAnswer: 2", 1),
        ("<think>1, surely</think>2", 1),
        ("It is not 1, 2", 1),
        ("Yes", 0),
        ("No, that is not so.", 1),
        ("yes, it's a stereotype.", 0),
        ("\n\n2\n1", 1),
        ("3", None),
        ("1 or 2", None),
        ("1. No, it's an anti-stereotype", None),
        ("<think>1", None),
        ("", None),
        ("The 24 year old and the 2-year-old.", None),
        ("1.5", None),
        ("Perhaps.", None),
    ],
)
def test_answers(written: str, place: int | None) -> None:
    assert heard_option(written, YES_NO) == place


def test_a_third_option_and_options_with_the_same_first_word() -> None:
    assert heard_option("3", THREE) == 2
    assert heard_option("It's unrelated and meaningless.", THREE) == 2
    names = ("The oak is slow.", "The elm is slow.")
    assert heard_option("The elm is slow", names) == 1
    assert heard_option("The", names) is None
    assert heard_option("The oak is slow. The elm is slow.", names) is None
