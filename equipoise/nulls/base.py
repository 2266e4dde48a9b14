"""Null: what a rule answers that knows of no bias, to what a benchmark asks of a model.

A score is read against an ideal, which is not always what ignorance gives: the shorter of two
texts, or that of commoner words, may be the stereotype more often than not.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

from equipoise.inference.scorer import Scorer
from equipoise.records import (
    Continuation,
    Infill,
    NextToken,
    NextTokenScored,
    Request,
    Response,
    Scored,
    ScoredPair,
    TextPair,
)

#: What is asked about each example, or answered: [example][request].
Asked: TypeAlias = Sequence[Sequence[Request]]
Answered: TypeAlias = list[list[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a rule answers about every example."""

    name: str
    says: str  # what the rule does, as in "prefers the text with fewer words"
    answers: Answered


class Null(ABC):
    """Rules of a kind; a subclass is a frozen dataclass without options, in a file of its name."""

    version: ClassVar[str]  # raised whenever an answer could change
    of_model: ClassVar[bool] = False  # asks the model, so that its answers are not kept

    @property
    def rests_on(self) -> str:
        """What else its answers follow from, such as a package's version; "": nothing."""
        return ""

    @abstractmethod
    def guesses(self, asked: Asked, model: Scorer | None) -> list[Guess]:
        """What each rule answers; no rule where it cannot act on what is asked.

        `model`: that is measured; None where published predictions are. An answer is a number for
        a text, of which the higher is preferred: a benchmark takes it for a log-probability.
        """


def by_text(asked: Asked, score: Callable[[str], float], *, words: bool = False) -> Answered | None:
    """Answers by what a text, or a continuation, says alone; None where something else is asked.

    `words`: single words after a context are scored, too, but no letters and digits of a list.
    """
    known: dict[str, Scored] = {}

    def scored(text: str) -> Scored:
        if text not in known:
            known[text] = number(score(text))
        return known[text]

    answers: Answered = []
    for requests in asked:
        row: list[Response] = []
        for request in requests:
            match request:
                case Continuation(continuation=text) | Infill(text=text):
                    row.append(scored(text))
                case TextPair(first=first, second=second):
                    row.append(ScoredPair(first=scored(first), second=scored(second)))
                case NextToken(words=options) if words and not lists_options(options):
                    values = tuple(scored(option).logprob for option in options)
                    row.append(NextTokenScored(logprobs=values, tokens=(1,) * len(options)))
                case _:
                    return None
        answers.append(row)
    return answers


def lists_options(words: Sequence[str]) -> bool:
    """Whether words are the letters or digits by which options are listed."""
    return all(len(word.strip()) == 1 for word in words)


@lru_cache(maxsize=2**16)
def number(value: float) -> Scored:
    """A score of a text, whose sum and mean are this number."""
    return Scored(token_logprobs=(value,), bytes=1)


def numbers_in(answers: Sequence[Response]) -> list[float]:
    """The numbers that a rule's answers about an example are compared by, in order; nan: none."""
    values: list[float] = []
    for answer in answers:
        match answer:
            case Scored(token_logprobs=(value,)):
                values.append(value)
            case ScoredPair(first=first, second=second):
                values += numbers_in([first, second])
            case NextTokenScored(logprobs=logprobs):
                values += logprobs
            case _:
                values.append(math.nan)
    return values
