"""The model's own unigram: its tokens by how likely they are to it in whatever context."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import ClassVar, Final

from pydantic import TypeAdapter

from equipoise.files.yaml_data import parse_yaml
from equipoise.inference.scorer import HasUnigram, Scorer, answer
from equipoise.nulls.base import Answered, Asked, Guess, Null, lists_options, number
from equipoise.records import (
    Continuation,
    Infill,
    NextToken,
    Request,
    Response,
    Scored,
    ScoredPair,
    TextPair,
)

_FILE: Final = "neutral_texts.yaml"


@dataclass(frozen=True)
class Unigram(Null):
    """Prefers the text whose tokens are likelier to this model in any context, or that has fewer.

    A token's probability is that which the model gives it as the next, averaged over all places
    of neutral texts (`neutral_texts.yaml`): no data but the model's own, and its own tokens.
    """

    version: ClassVar[str] = "1"
    of_model: ClassVar[bool] = True

    def guesses(self, asked: Asked, model: Scorer | None) -> list[Guess]:
        """Likelier tokens by sum and mean, fewer tokens and more; words by their probability."""
        if not isinstance(model, HasUnigram):
            return []
        parts = [part for requests in asked for request in requests for part in _parts(request)]
        if not parts or None in parts:
            return []
        distinct = [part for part in dict.fromkeys(parts) if part is not None]
        answers = answer(model.as_unigram(neutral_texts()), distinct, seed=0)
        of = dict(zip(distinct, answers, strict=True))
        scored = [of[part] for part in parts if part is not None]
        what = "prefers the text whose tokens are likelier to this model whatever the context"
        rules = (
            ("model's unigram, sum", f"{what}, by the sum of logs", lambda s: s.logprob),
            ("model's unigram, mean", f"{what}, by the mean of logs", lambda s: s.mean),
            ("fewer tokens", "prefers the text with fewer tokens", lambda s: -s.tokens),
            ("more tokens", "prefers the text with more tokens", lambda s: s.tokens),
        )
        words = all(isinstance(part, NextToken) for part in distinct)
        return [
            Guess(name=name, says=says, answers=_put_back(asked, scored, score))
            for name, says, score in (rules[:1] if words else rules)
        ]


@cache
def neutral_texts() -> tuple[str, ...]:
    """Texts about nobody, over whose places next-token distributions are averaged."""
    text = resources.files("equipoise.nulls").joinpath(_FILE).read_text(encoding="utf-8")
    document, _ = parse_yaml(text, _FILE, "list of neutral texts")
    return TypeAdapter(tuple[str, ...]).validate_python(document)


def _parts(request: Request) -> list[Request | None]:
    """What is read of a request: texts without what stands before them; None: what cannot be."""
    match request:
        case TextPair(first=first, second=second):
            texts = [first, second]
        case Continuation(continuation=text):
            texts = [text]
        case Infill():
            return [request]
        case NextToken(words=words) if not lists_options(words):
            return [replace(request, context="")]
        case _:
            return [None]
    return [Continuation(context="", continuation=text) for text in texts]


def _put_back(
    asked: Asked, scored: Sequence[Response], score: Callable[[Scored], float]
) -> Answered:
    """The numbers as answers to what was asked, in its order; nan for a text without a token."""
    remaining = iter(scored)

    def next_number() -> Scored:
        response = next(remaining)
        known = isinstance(response, Scored) and response.tokens
        return number(float(score(response)) if known else math.nan)  # type: ignore[arg-type]

    answers: Answered = []
    for requests in asked:
        row: list[Response] = []
        for request in requests:
            match request:
                case TextPair():
                    row.append(ScoredPair(first=next_number(), second=next_number()))
                case NextToken():
                    row.append(next(remaining))
                case _:
                    row.append(next_number())
        answers.append(row)
    return answers
