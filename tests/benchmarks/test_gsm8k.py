"""GSM8K: prompts by hand, written answers that are right, wrong or unreadable, and shots."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.gsm8k import Gsm8k, Gsm8kExample
from equipoise.data.gsm8k import Problem
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.plugins import build, options_of
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer

PROBLEM = Problem(
    id="line 1", question="2 and 3?", answer="2+3=<<2+3=5>>5\n#### 5", number=Decimal(5)
)
POSED = Gsm8kExample(id="line 1", before="", problem=PROBLEM)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "gsm8k").mkdir()
    return tmp_path / "gsm8k"


def put(file: Path, count: int) -> None:
    rows = [{"question": f"{n} and 1?", "answer": f"#### {n + 1}"} for n in range(count)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize(
    ("written", "correct", "flexible", "unparsed", "none"),
    [
        (" 2+3=5\n#### 5", 1, 1, 0, 0),
        (" It is 5.", 0, 1, 1, 0),
        ("#### 5.00 apples, of 7", 1, 0, 0, 0),
        ("#### 6", 0, 0, 0, 0),
        ("#### 5\n\nQuestion: 7 and 1?\nAnswer: #### 8", 1, 1, 0, 0),
        ("\n\nQuestion: 5?", 0, 0, 1, 1),
        ("", 0, 0, 1, 1),
    ],
)
def test_written_answers(written, correct, flexible, unparsed, none) -> None:
    outcome = Gsm8k().outcome(POSED, [written])
    assert outcome.values == {
        "correct": correct,
        "correct_flexible": flexible,
        "unparsed": unparsed,
        "unparsed_flexible": none,
    }
    assert outcome.text == written.split("Question:")[0]


def test_prompts(folder: Path) -> None:
    put(folder / "test.jsonl", 2)
    (request,) = Gsm8k(max_tokens=9).requests(Gsm8k().examples("test")[1])
    assert (request.context, request.max_tokens) == ("Question: 1 and 1?\nAnswer:", 9)
    assert request.temperature == 0.0
    assert [file.name for file in Gsm8k().files("test")] == ["gsm8k/test.jsonl"]
    with pytest.raises(DataError, match=r"gsm8k/train\.jsonl is not in"):
        Gsm8k(shots=2).examples("test")
    put(folder / "train.jsonl", 30)
    (shown,) = Gsm8k(shots=1).requests(Gsm8k(shots=1).examples("test")[1])
    worked, last = shown.context.split("\n\n")
    assert last == request.context
    number = int(worked.split(" ")[1])
    assert worked == f"Question: {number} and 1?\nAnswer: #### {number + 1}"
    (five,) = Gsm8k().requests(Gsm8k().examples("test")[0])
    assert five.context.count("####") == 5
    assert len(Gsm8k().files("test")) == 2


def test_remark_on_shots(folder: Path) -> None:
    put(folder / "test.jsonl", 2)
    (none,) = Gsm8k().remarks("test")
    assert none.startswith("0 worked problems were shown before each; gsm8k/train.jsonl is not in")
    assert "train.jsonl" not in Gsm8k(shots=0).remarks("test")[0]
    put(folder / "train.jsonl", 30)
    assert Gsm8k().remarks("test")[0].startswith("5 worked problems were shown before each;")


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = Gsm8k(shots=0)
    posed = bench.examples("test")
    contexts = {example.id: bench.requests(example)[0].context for example in posed}
    marked = {contexts[example.id]: f" {example.problem.answer}" for example in posed}
    known = measure(FakeScorer(texts=marked), bench, draws=0)
    values = {estimate.metric: estimate.value for estimate in known.estimates}
    assert values == {
        "accuracy": 100.0, "accuracy_flexible": 100.0, "unparsed": 0.0, "unparsed_flexible": 0.0,
    }  # fmt: skip
    plain = {contexts[example.id]: f" It is {example.problem.number:,}." for example in posed[::2]}
    half = measure(FakeScorer(texts=plain), bench, draws=0)
    values = {estimate.metric: estimate.value for estimate in half.estimates}
    share = 100 * len(plain) / len(posed)
    assert values == pytest.approx({
        "accuracy": 0.0, "accuracy_flexible": share, "unparsed": 100.0,
        "unparsed_flexible": 100 - share,
    })  # fmt: skip


def test_training_on_a_problem_is_refused(folder: Path) -> None:
    put(folder / "test.jsonl", 3)
    for text in ("2 and 1?", "#### 3", "2 and 1? #### 3", "Question: 2 and 1?\nAnswer: #### 3"):
        scorer = FakeScorer(trained_on=frozenset({text_sha256(text)}))
        with pytest.raises(DataError, match=r"trained on 1 of the 3 examples.*'line 3'"):
            measure(scorer, Gsm8k())


def test_options() -> None:
    bench = Gsm8k(shots=8, max_tokens=100)
    assert build(Benchmark, "gsm8k", options_of(bench)) == bench
    for options in ({"shots": -1}, {"shots": 33}, {"max_tokens": 0}):
        with pytest.raises(RecipeError, match="gsm8k"):
            build(Benchmark, "gsm8k", options)
