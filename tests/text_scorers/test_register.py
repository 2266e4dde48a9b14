"""The share of words of a register, and lists that are refused."""

import math

import pytest
from written_texts import scores

from equipoise.errors import RecipeError
from equipoise.plugins import build
from equipoise.text_scorers.base import TextScorer, scales_of
from equipoise.text_scorers.register import Register


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (" is SHOWN on the screen", 2 / 5),
        (" holds a camera's strap", 0.0),
        (" Cameras\u200f, video.", 1.0),
    ],
)
def test_words_of_captions_are_counted(text: str, share: float) -> None:
    assert scores(Register(), text)["register_captions"] == pytest.approx(share)


def test_a_list_of_your_own_has_a_scale_of_its_own() -> None:
    cooking = Register(called="cooking", words=("Oven", "stir"))
    assert scores(cooking, " stir it in the oven")["register_cooking"] == pytest.approx(2 / 5)
    assert [scale.name for scale in scales_of([Register(), cooking])] == [
        "register_captions", "register_cooking",
    ]  # fmt: skip


def test_a_text_without_words_has_no_share() -> None:
    assert math.isnan(scores(Register(), "…!")["register_captions"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"called": "cooking"}, "must be another for other words"),
        ({"words": ["oven"]}, "must be another for other words"),
        ({"called": "cooking", "words": ["hot oven"]}, "must be single words, got 'hot oven'"),
        ({"called": "cooking", "words": []}, "must hold a word"),
        ({"called": "Hot food", "words": ["oven"]}, "must be a word in lower case"),
    ],
)
def test_lists_that_are_none_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(TextScorer, "register", options)


def test_two_scorers_of_one_scale_are_refused() -> None:
    with pytest.raises(RecipeError, match="got 'register_captions' 2 times"):
        scales_of([Register(), Register()])
