"""Word frequency of English: the text of commoner words, as the package wordfreq counts them."""

import math
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
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
        known: dict[str, tuple[float, float]] = {}

        def score(text: str, place: int) -> float:
            if text not in known:
                known[text] = log_frequency(text)
            return known[text][place]

        guesses = []
        for place, name in enumerate(("sum", "mean")):
            answers = by_text(asked, partial(score, place=place), words=True)
            says = f"prefers the text whose words are commoner in English, by the {name} of logs"
            if answers is not None:
                name = f"English frequency, {name}"
                guesses.append(Guess(name=name, says=says, answers=answers))
        return guesses


def installed() -> bool:
    """Whether wordfreq is there."""
    return find_spec("wordfreq") is not None


def log_frequency(text: str) -> tuple[float, float]:
    """The sum and the mean of the natural logs of its words' frequencies; nan without a word."""
    from wordfreq import tokenize

    logs = [_log_frequency(word) for word in tokenize(text, "en")]
    # exact, so that texts of the same words are equal in whatever order
    total = math.fsum(logs) if logs else math.nan
    return total, total / max(1, len(logs))


@cache
def _log_frequency(word: str) -> float:
    from wordfreq import word_frequency

    return math.log(max(word_frequency(word, "en"), _RAREST))
