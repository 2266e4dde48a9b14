"""VADER: compound numbers of the package itself, and what happens without it."""

import math
import sys

import pytest
from written_texts import scores, written

from equipoise.errors import RecipeError
from equipoise.text_scorers import vader
from equipoise.text_scorers.vader import Vader


@pytest.mark.parametrize(
    ("text", "compound"),
    [
        (" is open.", 0.0),
        # (valence) / sqrt(valence^2 + 15), of the lexicon's 1.9 for "good"
        (" is good", 1.9 / math.hypot(1.9, 15**0.5)),
        # negated: times -0.74
        (" is not good", -0.74 * 1.9 / math.hypot(0.74 * 1.9, 15**0.5)),
    ],
)
def test_the_compound_is_that_of_the_papers_formula(text: str, compound: float) -> None:
    pytest.importorskip("vaderSentiment")
    assert scores(Vader(), text)["vader_compound"] == pytest.approx(compound, abs=5e-5)


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_blank_text_has_none(text: str) -> None:
    pytest.importorskip("vaderSentiment")
    assert math.isnan(scores(Vader(), text)["vader_compound"])


@pytest.mark.thorough
def test_a_megabyte_of_one_letter_is_neutral() -> None:
    pytest.importorskip("vaderSentiment")
    assert scores(Vader(), "a" * 2**20)["vader_compound"] == 0.0


def test_what_it_was_is_recorded() -> None:
    pytest.importorskip("vaderSentiment")
    info = Vader().info()
    assert str(info["package"]).startswith("vaderSentiment 3.")
    assert sorted(info["sha256"]) == ["emoji_utf8_lexicon", "vader_lexicon"]


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    vader._open.cache_clear()
    for ask in (Vader().info, lambda: Vader().score(written(" is open"))):
        with pytest.raises(RecipeError, match=r"pip install 'equipoise\[sentiment\]'"):
            ask()
