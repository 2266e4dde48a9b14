"""Distinct n-grams of a text: how varied its words are.

Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section
5.2: the number of distinct unigrams and bigrams, divided by that of all. They take all texts of a
model together; that is a number of a corpus and falls with the corpus' size, and no scorer's. Here
it is taken within each text, so that it has an interval, and falls with a text's length.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each, split_words


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class DistinctN(TextScorer):
    """Different words, and pairs of words, as a share of all within the text.

    1: none stands twice. A long text has a smaller share than its own first half: compare texts of
    the same length.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Li et al. 2016, section 5.2, within a text"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="distinct_1",
            unit="share",
            meaning="varied words",
            low=0,
            high=1,
            needs="a text with a word",
        ),
        Scale(
            name="distinct_2",
            unit="share",
            meaning="varied pairs of words",
            low=0,
            high=1,
            needs="a text of 2 words",
        ),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """Both shares of each text."""
        return score_each(texts, self.scales, _score)


def _score(text: str) -> Mapping[str, float]:
    words = split_words(text)
    return {"distinct_1": _share(words), "distinct_2": _share([*pairwise(words)])}


def _share(grams: Sequence[object]) -> float:
    return len(set(grams)) / len(grams) if grams else math.nan
