"""Length: the shorter text, or the longer, in words and in characters."""

from dataclasses import dataclass
from typing import ClassVar

from equipoise.inference.scorer import Scorer
from equipoise.nulls.base import Asked, Guess, Null, by_text


@dataclass(frozen=True)
class Length(Null):
    """Prefers the text with fewer words or characters, or with more.

    Words are parted by white space. By tokens of the model: `unigram`.
    """

    version: ClassVar[str] = "1"

    def guesses(self, asked: Asked, model: Scorer | None) -> list[Guess]:
        """The four rules, where texts are asked about."""
        names = ("fewer words", "more words", "fewer characters", "more characters")
        return [
            Guess(name=name, says=f"prefers the text with {name}", answers=answers)
            for name, answers in zip(
                names, by_text(asked, _lengths, rules=len(names)), strict=False
            )
        ]


def _lengths(text: str) -> tuple[float, ...]:
    words, characters = float(len(text.split())), float(len(text))
    return -words, words, -characters, characters
