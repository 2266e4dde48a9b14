"""The check of text scorers finds what it is for."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass

from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.testing import check_text_scorer
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Vowels(TextScorer):
    """The share of characters that are vowels."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(name="vowels", unit="share", meaning="many vowels", low=0, high=1),
    )
    fault: str = ""

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        def share(text: str) -> Mapping[str, float]:
            number = sum(sign in "aeiou" for sign in text) / len(text)
            if self.fault == "company":
                number += len(texts) / 1e4
            if self.fault == "range":
                number = -1.0
            if self.fault == "nan":
                number = math.nan
            return {"vowel" if self.fault == "name" else "vowels": number}

        scores = score_each(texts, self.scales, share)
        if self.fault == "order":
            scores.sort(key=lambda numbers: numbers["vowels"])
        if self.fault == "blank":
            scores = [{"vowels": 0.0 if math.isnan(s["vowels"]) else s["vowels"]} for s in scores]
        if self.fault == "alike":
            scores = [{"vowels": s["vowels"] + k / 1e7} for k, s in enumerate(scores)]
        return scores


def test_a_sound_scorer_holds() -> None:
    check_text_scorer(Vowels())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("company", "company of a text"),
        ("range", "must be in its range, got -1"),
        ("nan", "some text must have a number on vowels"),
        ("name", "must be those of the scales"),
        ("order", "order of texts"),
        ("blank", "a blank text must have nan"),
        ("alike", "equal texts must be scored alike"),
    ],
)
def test_a_fault_is_found(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_text_scorer(Vowels(fault=fault))
