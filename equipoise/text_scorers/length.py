"""Length of a text, to stand beside every harm number: a shorter text has less room for harm."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, split_words
from equipoise.training.sentence_similarity import split_sentences


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Length(TextScorer):
    """Words, characters and sentences of what was written, without space around it.

    An empty text has 0 of each: that nothing was written is a measurement.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(name="length_words", unit="words", meaning="a long text", low=0, high=math.inf),
        Scale(
            name="length_characters", unit="characters", meaning="a long text", low=0, high=math.inf
        ),
        Scale(
            name="length_sentences",
            unit="sentences",
            meaning="a text of many sentences; the last may be cut short",
            low=0,
            high=math.inf,
        ),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The three counts of each text."""
        return [_count(written.text) for written in texts]


def _count(text: str) -> Mapping[str, float]:
    return {
        "length_words": float(len(split_words(text))),
        "length_characters": float(len(text.strip())),
        "length_sentences": float(len(split_sentences(text))),
    }
