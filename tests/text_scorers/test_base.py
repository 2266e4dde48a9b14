"""Scales, scorers as options of a benchmark, and what results record of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, ScoresTexts
from equipoise.errors import ModelError, RecipeError
from equipoise.fakes import FakeScorer
from equipoise.instruments import grade
from equipoise.measure import measure
from equipoise.metrics.scale import Scale
from equipoise.metrics.weighted import mean_of
from equipoise.plugins import construct, options_of
from equipoise.records import OPTIONS, Generation, Metric, Outcome, Prompt
from equipoise.text_scorers.base import TextScorer, WrittenText, split_words


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Letters(TextScorer):
    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    letter: str = "a"

    @property
    def scales(self) -> tuple[Scale, ...]:
        return (
            Scale(name=f"{self.letter}s", unit="letters", meaning="many", low=0, high=math.inf),
        )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{f"{self.letter}s": float(text.text.count(self.letter))} for text in texts]

    def info(self) -> Mapping[str, str]:
        return {"alphabet": "latin"}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Forgetful(Letters):
    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{} for _ in texts[1:]]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Writing(Benchmark[Prompt, str], ScoresTexts[Prompt]):
    """Three texts, scored."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    scorers: tuple[TextScorer, ...] = (Letters(),)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        names = [scale.name for scorer in self.scorers for scale in scorer.scales]
        return tuple(Metric(name=n, of=mean_of(n), unit="letters", source="own") for n in names)

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        return [Prompt(id=str(k), text="x" * (k + 1)) for k in range(3)]

    def requests(self, example: Prompt) -> Sequence[Generation]:
        return [Generation(context=example.text, max_tokens=3)]

    def outcome(self, example: Prompt, responses: Sequence[str]) -> Outcome:
        return Outcome(example=example.id, values={}, text=responses[0])

    def written(self, example: Prompt, outcome: Outcome) -> WrittenText | None:
        text = outcome.text
        return None if text is None else WrittenText(prompt=example.text, text=text)

    def scored(
        self,
        example: Prompt,  # noqa: ARG002
        outcome: Outcome,
        scores: Mapping[str, float],
    ) -> Outcome:
        return replace(outcome, values={**outcome.values, **scores})


HERE = f"{__file__}:Letters"


def test_a_list_of_scorers_is_built_from_names_and_mappings() -> None:
    built = construct(Writing, "writing", {"scorers": [HERE, {"name": HERE, "letter": "b"}]})
    assert [type(scorer).__name__ for scorer in built.scorers] == ["Letters", "Letters"]
    assert options_of(built)["scorers"][1]["letter"] == "b"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("vader", r"must be a list of names.*got 'vader'; write \[NAME"),
        ([7], r"scorers\[0\] must be a name or a mapping"),
        ([{"name": HERE, "leter": "b"}], "has no option 'leter'; did you mean 'letter'"),
        (["vadr"], "text scorer 'vadr' is not known"),
    ],
)
def test_what_is_no_scorer_is_refused_by_place(value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        construct(Writing, "writing", {"scorers": value})


def test_texts_get_the_numbers_of_all_scorers_and_results_record_them() -> None:
    benchmark = Writing(scorers=(Letters(), Letters(letter="b")))
    model = FakeScorer(texts={"x" * k: "ab" * k for k in (1, 2, 3)})
    result = measure(model, benchmark)
    assert [outcome.values for outcome in result.outcomes] == [
        {"as": float(k), "bs": float(k)} for k in (1, 2, 3)
    ]
    assert {(value.metric, value.value) for value in result.estimates} == {("as", 2), ("bs", 2)}
    recorded = result.model_info["scorers"]
    assert [(each["letter"], each["version"], each["alphabet"]) for each in recorded] == [
        ("a", "1", "latin"), ("b", "1", "latin"),
    ]  # fmt: skip


def test_an_answer_too_few_is_the_scorers_fault() -> None:
    benchmark = Writing(scorers=(Forgetful(),))
    examples = benchmark.examples("test")
    outcomes = [Outcome(example=e.id, values={}, text="a") for e in examples]
    with pytest.raises(ModelError, match="Forgetful must score 3 texts, got 2 answers"):
        grade(benchmark, examples, outcomes)


def test_what_was_not_written_has_no_number() -> None:
    benchmark = Writing()
    examples = benchmark.examples("test")
    outcomes = [
        Outcome(example=e.id, values={}, text=t)
        for e, t in zip(examples, ["a", None, "aa"], strict=True)
    ]
    assert [o.values for o in grade(benchmark, examples, outcomes)] == [{"as": 1}, {}, {"as": 2}]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Counting(Letters):
    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        assert len(set(texts)) == len(texts)
        return super().score(texts)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BesidePersons(Writing):
    def reference(self, example: Prompt) -> WrittenText | None:
        return None if example.id == "2" else WrittenText(prompt="", text="aaaa")


def test_a_persons_text_is_scored_once_beside_all_that_were_written() -> None:
    benchmark = BesidePersons(scorers=(Counting(),))
    examples = benchmark.examples("test")
    outcomes = [
        Outcome(example=e.id, values={}, text=t)
        for e, t in zip(examples, ["a", "aa", "aaa"], strict=True)
    ]
    assert [o.values for o in grade(benchmark, examples, outcomes)] == [
        {"as": 1, "as_human": 4}, {"as": 2, "as_human": 4}, {"as": 3},
    ]  # fmt: skip


def test_a_limit_makes_a_text_harmful() -> None:
    scale = Scale(name="x", unit="", meaning="", low=-1, high=1, harmful_from=0.5)
    low = replace(scale, harmful_from=None, harmful_to=-0.5)
    assert [scale.is_harmful(v) for v in (0.5, 0.49, math.nan)] == [True, False, False]
    assert [low.is_harmful(v) for v in (-0.5, -0.49, 1.0)] == [True, False, False]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class NotThere(Letters):
    def info(self) -> Mapping[str, str]:
        raise ModelError("a model of letters must be there, got none; fetch it")


def test_a_scorer_that_cannot_be_had_is_said_before_anything_is_written() -> None:
    model = FakeScorer(texts={})  # which would raise another error when it is asked
    with pytest.raises(ModelError, match="a model of letters must be there"):
        measure(model, Writing(scorers=(NotThere(),)))


def test_words_have_no_marks_that_nobody_sees() -> None:
    assert split_words("\u200fWell-kept\u200e, isn’t it? 3 fo\u0308o\x00b_c") == [
        "well-kept", "isn’t", "it", "3", "fo\u0308o", "b_c",
    ]  # fmt: skip
