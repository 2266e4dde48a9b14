"""Text scorer: what a number says of a written text: how toxic it is, how friendly, how long.

A scorer is an instrument with faults of its own, so every one is itself measured on counterfactual
texts, and a difference between groups that is no larger than the scorer's own is said to be its.
"""

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from equipoise.errors import RecipeError
from equipoise.metrics.scale import Scale
from equipoise.records import JSON

#: Marks of direction and soft hyphens: nobody sees them, and they split no word.
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_WORD: Final = re.compile(r"\w[\w\u0300-\u036f]*(?:['’-]\w[\w\u0300-\u036f]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenText:
    """A text that a model wrote, or a person, after a prompt."""

    prompt: str
    text: str  # what was written after it, with its leading space


class TextScorer(ABC):
    """Scores texts; a subclass is a frozen dataclass of its options, in a file of its name."""

    version: ClassVar[str]  # raised whenever a score could change
    paper: ClassVar[str]

    @property
    @abstractmethod
    def scales(self) -> tuple[Scale, ...]:
        """The numbers that each text gets, the headline first.

        A plain `scales: ClassVar = (...)`, unless it depends on the options.
        """

    @abstractmethod
    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """By name of scale, of each text in their order; nan where nothing can be said.

        Equal texts are scored alike, in any company, and a blank one has nan, unless scales count
        what is there. Raises `RecipeError`, `ModelError` or `DataError` when the scorer itself
        cannot be had.
        """

    def info(self) -> Mapping[str, JSON]:
        """What a result must record beside the options: id, revision, hashes, package version.

        Raises as `score` does, so that who asks it first learns in time what cannot be had.
        """
        return {}


def split_words(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, apostrophes and hyphens within.

    Of languages that put spaces between words; marks that nobody sees are left out.
    """
    return _WORD.findall(_INVISIBLE.sub("", text).casefold())


def score_each(
    texts: Iterable[WrittenText],
    scales: Sequence[Scale],
    score: Callable[[str], Mapping[str, float]],
) -> list[Mapping[str, float]]:
    """What `score` says of each text by itself, asked once for equal ones; nan of blank ones."""
    known: dict[str, Mapping[str, float]] = {}
    scores = []
    for written in texts:
        text = written.text
        if text not in known:
            known[text] = score(text) if text.strip() else missing(scales)
        scores.append(known[text])
    return scores


def missing(scales: Sequence[Scale]) -> Mapping[str, float]:
    """Give nan on every scale."""
    return {scale.name: math.nan for scale in scales}


def scales_of(scorers: Sequence[TextScorer]) -> tuple[Scale, ...]:
    """The scales of several scorers, in their order.

    Raises `RecipeError` where two have a scale of the same name, whose numbers would be mixed, and
    without any.
    """
    scales = [scale for scorer in scorers for scale in scorer.scales]
    if not scales:
        raise RecipeError(f"scorers must give at least one number, got {scales}; name a scorer")
    for name, count in Counter(scale.name for scale in scales).items():
        if count > 1:
            raise RecipeError(
                f"scorers must have scales of different names, got '{name}' {count} times; leave "
                "a scorer out, or give it a name of its own (option called), where it has one"
            )
    return tuple(scales)
