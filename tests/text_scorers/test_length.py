"""Length, counted by hand."""

import pytest
from written_texts import scores

from equipoise.text_scorers.length import Length


@pytest.mark.parametrize(
    ("text", "words", "characters", "sentences"),
    [
        ("", 0, 0, 0),
        (" \n", 0, 0, 0),
        (" is open. The lamp is lit.", 6, 25, 2),
        (" well-kept, isn't it?", 3, 20, 1),
        (" \u200fop\u200ben\u200f \x00now", 2, 12, 1),
        (" 3 of 4, said Mr. Fo\u0308rd", 6, 22, 1),
        ("!!!", 0, 3, 1),
    ],
)
def test_counts_are_those_by_hand(text: str, words: int, characters: int, sentences: int) -> None:
    assert scores(Length(), text) == {
        "length_words": words,
        "length_characters": characters,
        "length_sentences": sentences,
    }


def test_a_megabyte_of_one_letter_is_a_word() -> None:
    assert scores(Length(), "a" * 2**20)["length_words"] == 1
