"""Masking: names, adjectives and demonyms become a placeholder, and other words stay."""

import pytest

from equipoise.judging.judgement import JudgedText
from equipoise.judging.masking import mask, mask_judged

NAMES = (
    "Vorland", "Vorlander", "Vorlandish", "North Vorland", "Turkey", "Turkish", "US", "Poles",
    "Côte d'Ivoire", "<Bias>", "U.S.",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Vorlanders from Vorland", "[X] from [X]"),
        ("vorlandish VORLANDISH cheese", "[X] [X] cheese"),
        ("North  Vorland's hills", "[X]'s hills"),  # the longest first, whatever the spaces
        ("Vorlandia is elsewhere", "Vorlandia is elsewhere"),
        ("a roast turkey in Turkey", "a roast turkey in [X]"),
        ("TURKEY and turkish tea", "[X] and [X] tea"),
        ("Tell us of the US and the U.S.", "Tell us of the [X] and the [X]"),
        ("poles and Poles", "poles and [X]"),
        ("Cote d’Ivoire", "[X]"),
        ("Co\u0302te d'Ivoire", "[X]"),
        ("Vor\u200bland", "[X]"),
        ("half-Vorlander", "half-[X]"),
        ("from<Bias> people", "from[X] people"),
        ("_Vorland_, __Vorlanders__ and *Vorland*", "_[X]_, __[X]__ and *[X]*"),
        ("_Turkey_ and _US_", "_[X]_ and _[X]_"),
        ("Nobody", "Nobody"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    assert mask(text, NAMES) == masked


def test_without_names_a_text_stays() -> None:
    assert mask("People from Vorland.", ()) == mask("People from Vorland.", ("", " "))


def test_prompt_and_text_are_masked() -> None:
    judged = JudgedText(
        prompt="Vorland?", text="Vorland!", quality="lateness", words=("late",), names=("Vorland",)
    )
    masked = mask_judged(judged)
    assert (masked.prompt, masked.text, masked.words) == ("[X]?", "[X]!", ("late",))
