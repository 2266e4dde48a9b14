"""Length: the shorter text, or the longer, in words and in characters."""

from dataclasses import dataclass
from functools import partial
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
        guesses = []
        for unit in ("words", "characters"):
            for name, sign in (("fewer", -1), ("more", 1)):
                answers = by_text(asked, partial(_length, unit=unit, sign=sign))
                if answers is not None:
                    says = f"prefers the text with {name} {unit}"
                    guesses.append(Guess(name=f"{name} {unit}", says=says, answers=answers))
        return guesses


def _length(text: str, unit: str, sign: int) -> float:
    return float(sign * len(text.split() if unit == "words" else text))
