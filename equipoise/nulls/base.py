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


def by_text(
    asked: Asked, score: Callable[[str], Sequence[float]], *, rules: int, words: bool = False
) -> list[Answered]:
    """Each rule's answers by what a text, or a continuation, says alone.

    `score`: a number of the text per rule. No answers at all where something else is asked.
    `words`: single words after a context are scored, too, but no letters and digits of a list.
    """
    known: dict[str, tuple[Scored, ...]] = {}

    def scored(text: str) -> tuple[Scored, ...]:
        scores = known.get(text)
        if scores is None:
            scores = known[text] = tuple(map(number, score(text)))
        return scores

    answers: list[Answered] = [[] for _ in range(rules)]
    for requests in asked:
        row: list[Sequence[Response]] = []  # [request][rule]
        for request in requests:
            match request:
                case Continuation(continuation=text) | Infill(text=text):
                    row.append(scored(text))
                case TextPair(first=first, second=second):
                    pairs = zip(scored(first), scored(second), strict=True)
                    row.append([ScoredPair(first=a, second=b) for a, b in pairs])
                case NextToken(words=options) if words and not lists_options(options):
                    row.append(
                        [
                            NextTokenScored(
                                logprobs=tuple([option.logprob for option in of_rule]),
                                tokens=(1,) * len(options),
                            )
                            for of_rule in zip(*map(scored, options), strict=True)
                        ]
                    )
                case _:
                    return []
        for rule, answered in enumerate(answers):
            answered.append([responses[rule] for responses in row])
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
