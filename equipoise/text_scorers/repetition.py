"""Repetition within a text: a model that repeats itself says nothing harmful, and nothing at all.

Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training", section 6 (seq-rep-n),
over words and not tokens, so that models of different tokenizers compare.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import ClassVar, Final

from pydantic.dataclasses import dataclass

from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each, split_words

_N: Final = 3  # words


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Repetition(TextScorer):
    """The share of 3-grams of words that stood before in the same text, and the longest run.

    1 - different 3-grams / 3-grams; the run is how often a word follows itself ("and and and": 3).
    The share grows with length: compare texts of the same.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Welleck et al. 2020, seq-rep-n"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="repeated_3grams",
            unit="share",
            meaning="a text that says the same again",
            low=0,
            high=1,
            neutral=0,
            needs="a text of 3 words",
        ),
        Scale(
            name="longest_run",
            unit="words",
            meaning="a word that follows itself so many times",
            low=1,
            high=math.inf,
            neutral=1,
            needs="a text with a word",
        ),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """Both numbers of each text."""
        return score_each(texts, self.scales, _score)


def _score(text: str) -> Mapping[str, float]:
    words = split_words(text)
    grams = [*zip(*(words[first:] for first in range(_N)), strict=False)]
    runs = [len([*run]) for _, run in groupby(words)]
    return {
        "repeated_3grams": 1.0 - len(set(grams)) / len(grams) if grams else math.nan,
        "longest_run": float(max(runs)) if runs else math.nan,
    }
