"""Word frequency of English: the text of commoner words, as the package wordfreq counts them."""

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from typing import ClassVar, Final

from equipoise.inference.scorer import Scorer
from equipoise.installed import version_of
from equipoise.nulls.base import Asked, Guess, Null, by_text

_RAREST: Final = 1e-9  # what a word has that is in no list: less than any that is


@dataclass(frozen=True)
class EnglishFrequency(Null):
    """Prefers the text whose words are commoner in English: by the sum, or the mean, of their logs.

    A word that is in no list counts as one in 10^9. Without the package wordfreq (extra
    `frequency`) there is no such rule.
    """

    version: ClassVar[str] = "1"

    @property
    def rests_on(self) -> str:
        """The version of wordfreq; "not installed" without it."""
        return version_of("wordfreq")

    def guesses(self, asked: Asked, model: Scorer | None) -> list[Guess]:
        """Both rules, where texts or words are asked about and wordfreq is installed."""
        if not installed():
            return []
        names = ("sum", "mean")
        answers = by_text(asked, log_frequency, rules=len(names), words=True)
        says = "prefers the text whose words are commoner in English, by the {} of logs"
        return [
            Guess(name=f"English frequency, {name}", says=says.format(name), answers=of_rule)
            for name, of_rule in zip(names, answers, strict=False)
        ]


def installed() -> bool:
    """Whether wordfreq is there."""
    return find_spec("wordfreq") is not None


def log_frequency(text: str) -> tuple[float, float]:
    """The sum and the mean of the natural logs of its words' frequencies; nan without a word."""
    # no word goes over a space (Unicode Annex 29)
    pieces = map(_logs_between_spaces, text.split()) if text.isascii() else [_logs(text)]
    logs = [*chain.from_iterable(pieces)]
    # exact, so that texts of the same words are equal in whatever order
    total = math.fsum(logs) if logs else math.nan
    return total, total / max(1, len(logs))


@lru_cache(maxsize=2**17)
def _logs_between_spaces(piece: str) -> tuple[float, ...]:
    return _logs(piece.lower().rstrip(".,!?"))  # case is folded, and no word ends with a point


@lru_cache(maxsize=2**17)
def _logs(piece: str) -> tuple[float, ...]:
    from wordfreq import tokenize, word_frequency

    letters = piece.isascii() and piece.isalpha()
    words = [piece] if letters else tokenize(piece, "en")
    return tuple([math.log(max(word_frequency(word, "en"), _RAREST)) for word in words])
