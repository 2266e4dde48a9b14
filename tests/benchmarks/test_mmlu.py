"""MMLU: the prompt by hand, models whose answers are known, options, and texts that were learnt."""

from collections import Counter

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.mmlu import Mmlu, MmluExample
from equipoise.data.mmlu import LETTERS, Question
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.plugins import build, options_of
from equipoise.records import Measurement, Scored
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer

QUESTION = Question(
    id="anatomy/1", subject="anatomy", question="Who?", choices=("a", "b", "c", "d"), answer=2
)
ASKED = MmluExample(id="anatomy/1", before="", question=QUESTION)


def knowing(bench: Mmlu) -> FakeScorer:
    """Knows every answer."""
    right = {}
    for example in bench.examples("test"):
        request = bench.requests(example)[example.question.answer]
        right[request.context + request.continuation] = 0.0
    return FakeScorer(nats=right)


def favoring(letter: str) -> FakeScorer:
    return FakeScorer(nats=lambda _, text: -1.0 if text == f" {letter}" else -2.0)


def value(measurement: Measurement, metric: str = "accuracy", **group: str) -> float:
    return measurement.estimate(metric, **group).value


def test_prompt(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    for split, rows in (("test", "Who?,1,2,3,4,D\n"), ("dev", "When?,5,6,7,8,B\nWhy?,a,b,c,d,A\n")):
        (tmp_path / "mmlu" / split).mkdir(parents=True)
        (tmp_path / "mmlu" / split / f"global_facts_{split}.csv").write_text(rows)
    line = "The following are multiple choice questions (with answers) about global facts.\n\n"
    question = "Who?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    for shots, worked in ((0, ""), (1, "When?\nA. 5\nB. 6\nC. 7\nD. 8\nAnswer: B\n\n")):
        bench = Mmlu(shots=shots)
        (example,) = bench.examples("test")
        requests = bench.requests(example)
        assert {request.context for request in requests} == {line + worked + question}
        assert [request.continuation for request in requests] == [" A", " B", " C", " D"]
        assert example.groups == {"category": "other", "subject": "global_facts"}
    assert [use.name for use in Mmlu(shots=2).files("test")] == [
        "mmlu/test/global_facts_test.csv",
        "mmlu/dev/global_facts_dev.csv",
    ]
    with pytest.raises(DataError, match="must have 3 questions to show, got 2"):
        Mmlu(shots=3).examples("test")


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = Mmlu()
    examples = bench.examples("test")
    right = Counter(LETTERS[example.question.answer] for example in examples)
    first = measure(favoring("A"), bench, draws=0)
    assert value(first) == pytest.approx(100 * right["A"] / len(examples))
    anatomy = [example for example in examples if example.groups["subject"] == "anatomy"]
    share = sum(example.question.answer == 0 for example in anatomy) / len(anatomy)
    assert value(first, subject="anatomy") == pytest.approx(100 * share)
    assert first.estimate("accuracy", category="STEM").n == 100
    subjects = {example.groups["subject"] for example in examples}
    macro = sum(value(first, subject=subject) for subject in subjects) / len(subjects)
    assert value(first, "accuracy_macro") == pytest.approx(macro)
    assert value(measure(FakeScorer(), bench, limit=50, draws=0)) == pytest.approx(25.0)
    few = Mmlu(subjects=("anatomy", "sociology"))
    known = measure(knowing(few), few, draws=0)
    assert {estimate.value for estimate in known.estimates} == {100.0}


@pytest.mark.usefixtures("data_folder")
def test_remark_on_subjects() -> None:
    bench = Mmlu(subjects=("sociology", "anatomy"))
    measurement = measure(FakeScorer(), bench, limit=4, draws=0)
    assert [use.name for use in measurement.data] == [
        "mmlu/test/sociology_test.csv",
        "mmlu/test/anatomy_test.csv",
    ]
    assert any(note.startswith("2 of 57 subjects were measured") for note in measurement.notes)


def test_training_on_a_question_is_refused() -> None:
    bench = Mmlu()
    for text in (
        "who?",
        "Who? b",
        "Who?\nA. a\nB. b\nC. c\nD. d\nAnswer: C",
        "Who? A. a B. b C. c D. d Answer:",
    ):
        assert text_sha256(text) in {text_sha256(text) for text in bench.texts(ASKED)}, text


def test_unscored_answers_are_nan() -> None:
    outcome = Mmlu().outcome(ASKED, [Scored(token_logprobs=(), bytes=0)] * 4)
    assert str(outcome.values["correct"]) == "nan"


def test_options() -> None:
    bench = Mmlu(subjects=("anatomy", "virology"), shots=5)
    assert build(Benchmark, "mmlu", options_of(bench)) == bench
    for options, message in (
        ({"subjects": ["anatomi"]}, "'anatomi' is no subject; did you mean 'anatomy'"),
        ({"subjects": ["anatomy", "anatomy"]}, "each subject must be named once"),
        ({"subjects": []}, "each subject must be named once"),
        ({"shots": 6}, "shots"),
    ):
        with pytest.raises(RecipeError, match=message):
            build(Benchmark, "mmlu", options)
