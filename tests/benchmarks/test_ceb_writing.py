"""CEB's open tasks: what is written, what of it is judged, and what counts as missing."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from ceb_rows import beginning, put
from pydantic.dataclasses import dataclass as options_dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.ceb_writing import CebWriting, after_given
from equipoise.data.sources import reading_from
from equipoise.errors import RecipeError
from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.judging.refusals import is_refusal
from equipoise.judging.verdict_scales import STEREOTYPING, TOXICITY
from equipoise.measure import measure
from equipoise.plugins import build, options_of
from equipoise.records import JSON, OPTIONS, Measurement
from equipoise.testing import FakeScorer, check_benchmark

OAK, ELM = "I hate old oaks. They are slow.", "I hate old elms. They are tall."
ENDPOINT: JSON = {"name": "endpoint", "address": "http://127.0.0.1:9", "model": "any"}


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Numbers(Judge):
    """The grade that the text says; a text that says none, or another scale, has none."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    toxicity: bool = False
    flips: float = 0.0

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        return [self._grade(text) for text in texts]

    def _grade(self, judged: JudgedText) -> Judgement:
        digits = [sign for sign in judged.text if sign.isdigit()]
        if judged.scale is not (TOXICITY if self.toxicity else STEREOTYPING) or not digits:
            return Judgement(strength=math.nan, reason="it says no grade; it said another")
        return Judgement(strength=float(digits[0]), flip_rate=self.flips)


def bench(folder: Path, judge: Judge | None = None, *, samples: int = 1) -> CebWriting:
    rows = [beginning(OAK), beginning(ELM, descriptor="tall")]
    put(folder, "CEB-Continuation-S/age.json", rows)
    return CebWriting(judge=judge or Numbers(), types=("age",), samples=samples)


def measured(folder: Path, texts: Sequence[str], judge: Judge | None = None) -> Measurement:
    with reading_from(folder):
        benchmark = bench(folder, judge)
        prompts = [example.prompt for example in benchmark.examples("test")]
        written = dict(zip(prompts, texts, strict=True))
        return measure(FakeScorer(texts=written), benchmark, draws=0)


def test_it_holds_what_every_benchmark_must(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        check_benchmark(bench(tmp_path, samples=2))


def test_ratios(tmp_path: Path) -> None:
    result = measured(tmp_path, ("Grade 2 it is.", "Grade 0 it is."))
    assert result.estimate("bias_ratio").value == 50.0
    assert result.estimate("bias_score").value == pytest.approx(100 / 3)
    assert result.estimate("bias_ratio", form="I hate ….").n == 2
    assert result.estimate("bias_ratio").clusters == 2
    assert [outcome.text for outcome in result.outcomes] == ["Grade 2 it is.", "Grade 0 it is."]


def test_without_a_judgement_a_text_is_in_no_ratio_and_says_why(tmp_path: Path) -> None:
    result = measured(tmp_path, ("Grade 3 it is.", "I will not."))
    assert result.estimate("bias_ratio").value == 100.0
    assert result.estimate("bias_ratio").n == 1
    assert result.estimate("bias_ratio_least").value == 50.0
    assert result.estimate("missing").value == 50.0
    assert any(note == "unjudged: 1 of 2 texts: it says no grade" for note in result.notes)
    assert result.outcomes[1].groups["unjudged"] == "it says no grade"


class Unasked(Numbers):
    """Fails where it is asked about a refusal."""

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        assert not any(is_refusal(text.text) for text in texts)
        return super().judge(texts)


REFUSED = "I'm sorry, but I cannot continue this. Grade 3."


def test_a_refusal_is_counted_and_in_no_ratio(tmp_path: Path) -> None:
    result = measured(tmp_path, ("Grade 3 it is.", REFUSED), Unasked())
    assert result.estimate("bias_ratio").value == 100.0
    assert result.estimate("bias_ratio").n == 1
    assert result.estimate("bias_ratio_of_all").value == 50.0
    assert result.estimate("refused").value == 50.0
    assert result.estimate("missing").value == 0.0
    assert "unjudged" not in result.outcomes[1].groups


def test_a_refusal_after_the_given_text_is_one(tmp_path: Path) -> None:
    result = measured(tmp_path, ("Grade 0 it is.", f"{ELM} {REFUSED}"), Unasked())
    assert result.estimate("refused").value == 50.0
    assert result.estimate("repeated").value == 50.0


def test_refusals_may_count_as_unbiased(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        benchmark = replace(bench(tmp_path), refusals="unbiased")
        prompts = [example.prompt for example in benchmark.examples("test")]
        texts = dict(zip(prompts, ("Grade 3 it is.", REFUSED), strict=True))
        result = measure(FakeScorer(texts=texts), benchmark, draws=0)
    assert result.estimate("bias_ratio").value == 50.0
    assert result.estimate("refused").value == 50.0


def test_the_given_text_is_not_judged(tmp_path: Path) -> None:
    """It would be the data set's bias, not the model's: here it says 3 where the model says 0."""
    given = "I hate 3 old oaks."
    put(tmp_path, "CEB-Continuation-S/age.json", [beginning(given)])
    with reading_from(tmp_path):
        benchmark = CebWriting(judge=Numbers(), types=("age",))
        (example,) = benchmark.examples("test")
        texts = {example.prompt: f'"{given}" And 0 elms.'}
        result = measure(FakeScorer(texts=texts), benchmark, draws=0)
    assert result.estimate("bias_ratio").value == 0.0
    assert result.estimate("repeated").value == 100.0
    assert result.estimate("words").value == 3.0


def test_what_follows_the_given_text() -> None:
    assert after_given("I HATE  old\noaks. And elms.", "I hate old oaks.") == "And elms."
    assert after_given("“I hate old oaks.” And", "I hate old oaks.") == "And"
    assert after_given("Oaks are fine.", "I hate old oaks.") == "Oaks are fine."
    assert after_given("I hate old oaks.", "I hate old oaks.") == ""


def test_samples_are_of_one_descriptor(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        examples = bench(tmp_path, samples=2).examples("test")
    assert [example.id for example in examples] == ["age/1", "age/1/1", "age/2", "age/2/1"]
    assert [example.sample for example in examples] == [0, 1, 0, 1]
    assert {example.groups["descriptor"] for example in examples} == {"old", "tall"}


def test_toxic_parts_are_judged_for_toxicity(tmp_path: Path) -> None:
    put(tmp_path, "CEB-Conversation-T/age.json", [beginning(OAK)])
    with reading_from(tmp_path):
        benchmark = CebWriting(judge=Numbers(toxicity=True), part="conversation_t", types=("age",))
        (example,) = benchmark.examples("test")
        result = measure(FakeScorer(texts={example.prompt: "Grade 1"}), benchmark, draws=0)
    assert result.estimate("bias_ratio").value == 100.0


def test_a_judge_that_goes_by_the_order_of_the_grades_is_told(tmp_path: Path) -> None:
    result = measured(tmp_path, ("Grade 1 it is.", "Grade 2 it is."), Numbers(flips=0.75))
    assert any(note.startswith("judge: 75% of its gradings turn") for note in result.notes)
    steady = measured(tmp_path, ("Grade 1 it is.", "Grade 2 it is."), Numbers(flips=0.25))
    assert not any(note.startswith("judge: ") for note in steady.notes)


def test_options() -> None:
    options: dict[str, JSON] = {"judge": ENDPOINT, "part": "continuation_t", "mended": True}
    benchmark = build(Benchmark, "ceb_writing", options)
    assert build(Benchmark, "ceb_writing", options_of(benchmark)) == benchmark
    with pytest.raises(RecipeError, match=r"ceb_writing\.judge must be given"):
        build(Benchmark, "ceb_writing")
    with pytest.raises(RecipeError, match="a judge that knows a bias without its words"):
        build(Benchmark, "ceb_writing", {"judge": "lexicon"})
