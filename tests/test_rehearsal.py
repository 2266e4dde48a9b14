"""What cannot be answered is refused before the model reads anything: a text that is too long."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.errors import ModelError
from equipoise.inference import scorer
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.records import (
    Continuation,
    Contrast,
    Embedding,
    Generation,
    Metric,
    NextToken,
    Outcome,
    Request,
    Response,
    TextPair,
)
from equipoise.testing import tiny_model

LONG = "word " * 30  # more bytes, and so tokens, than fit
COUNT = 5


@dataclass(frozen=True)
class Last(Benchmark[Contrast, Any]):
    """Questions of two kinds; the last example has one that does not fit."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="zero", of=lambda _: 0.0, unit="nats", source="own"),
    )
    kinds: int = 1
    long: bool = True

    def examples(self, split: str) -> Sequence[Contrast]:
        assert split == "test"
        return [
            Contrast(id=str(k), context="It is", stereotype=" a", antistereotype=" b")
            for k in range(COUNT)
        ]

    def requests(self, example: Contrast) -> Sequence[Request]:
        long = self.long and example.id == str(COUNT - 1)
        first: Request = Continuation(context=example.context, continuation=" a")
        last = Generation(context=LONG if long else example.context, max_tokens=4)
        return [first, last] if self.kinds > 1 else [last]

    def outcome(self, example: Contrast, responses: Sequence[Any]) -> Outcome:
        assert responses
        return Outcome(example=example.id, values={"x": 0.0})


@dataclass
class Twos:
    """Shards of two examples, none of which is stored yet."""

    size: int = 2
    written: int = 0

    def read(self, _number: int) -> None:
        return None

    def write(self, _number: int, _outcomes: Sequence[Outcome]) -> None:
        self.written += 1


@pytest.fixture
def passes() -> tuple[LanguageModel, list[int]]:
    """A model with room for 64 tokens, and a list that grows with each of its forward passes."""
    model, done = tiny_model(context=64), list[int]()
    model.writing_layout()  # tries the cache, once for each kind of model
    model.module.register_forward_pre_hook(lambda *_: done.append(1))
    return model, done


@pytest.mark.parametrize("form", ["shards", "kinds", "prompts"])
def test_a_text_that_is_too_long_is_refused_before_any_forward_pass(
    form: str, passes: tuple[LanguageModel, list[int]]
) -> None:
    model, done = passes
    shards = Twos() if form == "shards" else None
    benchmark = Last(kinds=2 if form == "kinds" else 1, long=form != "prompts")
    subject = replace(model, prompts=("", LONG)) if form == "prompts" else model
    with pytest.raises(ModelError, match=r"example '[04]' must fit the context of .* 64 tokens"):
        measure(subject, benchmark, draws=0, nulls=False, shards=shards)
    assert done == []
    assert shards is None or shards.written == 0
    measure(model, Last(kinds=2, long=False), draws=0, nulls=False, shards=shards)
    assert done  # the hook sees passes where there are any


@pytest.mark.parametrize("rule", [None, WordWeights(weights=((" a", 1.0),))])
def test_a_rehearsal_answers_every_kind_and_reads_nothing(
    rule: WordWeights | None, passes: tuple[LanguageModel, list[int]]
) -> None:
    model, done = passes
    rehearsal = replace(model, decoding_rule=rule).as_rehearsal()
    asked: list[Request] = [
        Continuation(context="It is", continuation=" a b", greedy=True),
        NextToken(context="It is", words=(" a", " b")),
        TextPair(first="It is a", second="It is b", tokens="unmodified", view="left"),
        Generation(context="It is", max_tokens=3),
    ]
    asked += [] if rule else [Embedding(text="It is", pooling="mean")]
    answers: list[Response] = scorer.answer(rehearsal, asked, seed=0)
    assert len(answers) == len(asked)
    assert done == []
    too_long = Continuation(context=LONG, continuation=" a")
    with pytest.raises(ModelError, match="must fit the context"):
        rehearsal.score([too_long])
    assert np.isfinite(answers[0].logprob)  # type: ignore[union-attr]  # a `Scored`
