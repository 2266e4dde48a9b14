"""Texts to score, without a prompt that matters."""

from collections.abc import Mapping, Sequence

from equipoise.text_scorers.base import TextScorer, WrittenText


def written(*texts: str) -> list[WrittenText]:
    return [WrittenText(prompt="The door", text=text) for text in texts]


def scores(scorer: TextScorer, text: str) -> Mapping[str, float]:
    (numbers,) = scorer.score(written(text))
    return numbers


def column(scorer: TextScorer, texts: Sequence[str], scale: str) -> list[float]:
    return [numbers[scale] for numbers in scorer.score(written(*texts))]
