"""MRPC, FLUTE, BoolQ and Amazon polarity on small files of own words in the published forms."""

from pathlib import Path

import pytest
from users_files import TASKS, write_task

from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import Continuation
from equipoise.testing import FakeScorer

PROMPTS = {
    "mrpc": (
        "Sentence 1: Owl 0 is here.\nSentence 2: Here is owl 0.\n"
        "Question: Do both sentences mean the same thing?\nAnswer:",
        (" no", " yes"),
    ),
    "boolq": ("Owl 0 is here.\nQuestion: is owl 0 here?\nAnswer:", (" no", " yes")),
    "flute": (
        "Owl 0 is quiet.\nQuestion: Owl 0 is snow. True or False?\nAnswer:",
        (" False", " True"),
    ),
    "amazon_polarity": (
        "Lamp 0\nIt shines.\nQuestion: Is this review positive or negative?\nAnswer:",
        (" negative", " positive"),
    ),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    write_task(request.param, tmp_path)
    return str(request.param)


def test_prompts(task: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, task)
    example = benchmark.examples(benchmark.splits[0])[0]
    context, words = PROMPTS[task]
    assert benchmark.requests(example) == [
        Continuation(context=context, continuation=word) for word in words
    ]


def test_scores_and_nulls(task: str) -> None:
    """24 of 40 rows are positive; a model that always gives the positive word."""
    benchmark: AnyBenchmark = build(Benchmark, task)
    (_, positive) = PROMPTS[task][1]
    result = measure(FakeScorer(nats={positive: -0.1}), benchmark, draws=20)
    assert result.estimate("accuracy").value == pytest.approx(60)
    assert result.estimate("accuracy_majority").value == pytest.approx(60)
    assert result.estimate("f1").value == pytest.approx(75)
    assert result.estimate("f1_always").value == pytest.approx(75)
    assert result.estimate("f1_coin").value == pytest.approx(100 * 0.6 / 1.1)
    assert result.estimate("mcc").value == 0
    assert result.estimate("predicted_positive").value == 100


def test_a_missing_title_leaves_no_blank_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "amazon_polarity").mkdir()
    (tmp_path / "amazon_polarity" / "test.csv").write_text('"1","","It broke."\n')
    benchmark: AnyBenchmark = build(Benchmark, "amazon_polarity")
    (example,) = benchmark.examples("test")
    assert benchmark.requests(example)[0].context.startswith("It broke.\nQuestion")
    assert "It broke." in benchmark.texts(example)


def test_rows_of_flute_that_share_a_sentence_are_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    write_task("flute", tmp_path)
    result = measure(FakeScorer(), build(Benchmark, "flute"), draws=20)
    assert (result.estimate("accuracy").n, result.estimate("accuracy").clusters) == (40, 20)
    assert result.estimate("accuracy", type="simile").n == 20
