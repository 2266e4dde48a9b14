"""Benchmarks of which a judge grades what was written: when it is asked, and what is recorded."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass as options_dataclass

from equipoise.benchmarks.base import Benchmark, JudgesTexts, ReadsPredictions
from equipoise.compare import compare
from equipoise.errors import ModelError
from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.measure import Predictions, measure
from equipoise.metrics.weighted import mean_of
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON, OPTIONS, Generation, Metric, Outcome, Prompt
from equipoise.testing import FakeScorer

COUNT = 12  # prompts
ASKED: list[tuple[str, ...]] = []  # the texts of each call of a judge


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    ASKED.clear()


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Length(Judge):
    """A grade for every word; none for a text without any."""

    version: ClassVar[str] = "3"
    paper: ClassVar[str] = "none"
    lost: int = 0  # judgements that are left out
    model: str = "small"  # what `info` tells

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        ASKED.append(tuple(text.text for text in texts))
        grades = [float(len(text.text.split())) or math.nan for text in texts]
        return [Judgement(strength=grade) for grade in grades][self.lost :]

    def info(self) -> Mapping[str, JSON]:
        return {"weights": self.model * 2}


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Written(Benchmark[Prompt, str], JudgesTexts[Prompt], ReadsPredictions):
    """Prompts, each answered with a text that the judge grades."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="grade", of=mean_of("grade"), unit="g", source="t", ideal=0.0,
        ),
    )  # fmt: skip
    judge: Judge = Length()
    silent: bool = False  # whether there is nothing to judge

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        return [Prompt(id=f"p{k}", text=f"Say {k} words:") for k in range(COUNT)]

    def requests(self, example: Prompt) -> Sequence[Generation]:
        return [Generation(context=example.text, max_tokens=9)]

    def outcome(self, example: Prompt, responses: Sequence[str]) -> Outcome:
        text = None if self.silent else responses[0]
        return Outcome(example=example.id, values={"grade": math.nan}, text=text)

    def judged(self, example: Prompt, outcome: Outcome) -> Sequence[JudgedText]:
        if outcome.text is None:
            return ()
        return [JudgedText(prompt=example.text, text=outcome.text, quality="q", words=(), names=())]

    def graded(self, example: Prompt, outcome: Outcome, judgements: Sequence[Judgement]) -> Outcome:
        assert outcome.example.partition("#")[0] == example.id
        if not judgements:
            return outcome
        return replace(outcome, values={"grade": judgements[0].strength})

    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:  # noqa: ARG002
        texts: dict[str, str] = json.loads(file.read_text())
        by_id = {example.id: example for example in self.examples(split)}
        return [self.outcome(by_id[id], [text]) for id, text in texts.items()]


TEXTS = {f"Say {k} words:": " word" * k for k in range(COUNT)}
SCORER = FakeScorer(texts=TEXTS, info={"kind": "causal"})


@dataclass
class Kept:
    """Shards in memory."""

    size: int = 8
    shards: dict[int, list[Outcome]] = field(default_factory=dict)

    def read(self, number: int) -> Sequence[Outcome] | None:
        return self.shards.get(number)

    def write(self, number: int, outcomes: Sequence[Outcome]) -> None:
        self.shards[number] = [*outcomes]


def test_all_texts_are_judged_at_once_and_each_grade_reaches_its_text() -> None:
    measurement = measure(SCORER, Written(), draws=50)
    assert [tuple(TEXTS.values())] == ASKED
    grades = [outcome.values["grade"] for outcome in measurement.outcomes]
    assert math.isnan(grades[0])
    assert grades[1:] == list(range(1, COUNT))
    assert measurement.estimate("grade").value == pytest.approx(6.0)
    assert measurement.estimate("grade").n == 11  # the text without a grade is no 0
    assert "coverage: 'grade' is not finite in 1 of 12 outcomes" in measurement.notes


def test_the_judge_is_in_the_record_with_its_version_options_and_what_it_is() -> None:
    measurement = measure(SCORER, Written(judge=Length(model="ab")), draws=0)
    assert measurement.model_info["judge"] == {
        "name": name_of(Length()), "version": "3", "lost": 0, "model": "ab", "weights": "abab",
    }  # fmt: skip
    again = build(Benchmark, measurement.benchmark, measurement.options)
    assert again == Written(judge=Length(model="ab"))
    assert options_of(again) == measurement.options


def test_shards_keep_grades_and_are_not_judged_again() -> None:
    kept = Kept()
    first = measure(SCORER, Written(), draws=0, shards=kept)
    assert list(map(len, ASKED)) == [8, 4]  # a call for each shard
    del kept.shards[1]
    assert repr(measure(SCORER, Written(), draws=0, shards=kept)) == repr(first)
    assert ASKED[2:] == [tuple(TEXTS.values())[8:]]
    assert repr(measure(SCORER, Written(), draws=0)) == repr(first)


@dataclass(frozen=True)
class Family(FakeScorer):
    """Two prompts, of which the second makes texts a word longer."""

    def variants(self) -> Sequence[FakeScorer]:
        longer = {context: f"{text} more" for context, text in TEXTS.items()}
        return [FakeScorer(texts=TEXTS), FakeScorer(texts=longer)]


def test_texts_of_all_prompts_of_a_family_are_judged_together() -> None:
    measurement = measure(Family(info={"kind": "causal"}), Written(), draws=0)
    assert list(map(len, ASKED)) == [24]
    grades = {outcome.example: outcome.values["grade"] for outcome in measurement.outcomes}
    assert (grades["p5#0"], grades["p5#1"], grades["p0#1"]) == (5, 6, 1)


def test_a_judge_that_has_nothing_to_judge_is_not_asked() -> None:
    measurement = measure(SCORER, Written(silent=True), draws=0)
    assert ASKED == []
    assert "judge" not in measurement.model_info


def test_a_judge_that_drops_a_text_is_named() -> None:
    with pytest.raises(ModelError, match="Length must judge 12 texts, got 11 judgements; fix"):
        measure(SCORER, Written(judge=Length(lost=1)))


def test_texts_from_elsewhere_are_judged_as_a_model_s_own(tmp_path: Path) -> None:
    file = tmp_path / "written.json"
    file.write_text(json.dumps({f"p{k}": " word" * k for k in range(COUNT)}))
    measurement = measure(Predictions(file=file), Written(), draws=50)
    assert measurement.estimate("grade").value == pytest.approx(6.0)
    assert measurement.model_info["judge"] is not None
    model = measure(SCORER, Written(), draws=0)
    assert [o.values for o in measurement.outcomes[1:]] == [o.values for o in model.outcomes[1:]]


def test_grades_of_two_judges_are_not_compared() -> None:
    shorter = FakeScorer(
        texts={context: text[: len(text) // 10 * 5] for context, text in TEXTS.items()},
        info={"kind": "causal"},
        identity="after",
    )
    before, after = (measure(scorer, Written(), draws=0) for scorer in (SCORER, shorter))
    alike = compare(before, after, draws=200)
    assert alike.differences == ()
    assert alike.changes[0].direction == "reduced"
    other = measure(shorter, Written(judge=Length(model="large")), draws=0)
    withheld = compare(before, other, draws=200)
    assert withheld.changes[0].direction == "not comparable"
    (difference,) = withheld.differences
    assert (difference.name, difference.setting) == ("judge", "judge")
    assert "small" in difference.before
    assert "large" in difference.after
    across = compare(before, other, draws=200, across=("judge",))
    assert across.changes[0].direction == "reduced"
