"""RACE: both published forms, the prompt by hand, and a model whose answers are known."""

import json
from pathlib import Path

import pytest
from ability_files import write_race

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.race import Race
from equipoise.data.race import LETTERS
from equipoise.data.sources import reading_from
from equipoise.errors import DataError, OptionError
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer


def test_both_forms_and_the_prompt(tmp_path: Path) -> None:
    write_race(tmp_path)
    with reading_from(tmp_path):
        examples = Race().examples("test")
    assert len(examples) == 20
    assert (examples[1].id, examples[1].question, examples[1].answer) == (
        "middle/line 1.2", "Path is _ .", 3,
    )  # fmt: skip
    assert (examples[10].id, LETTERS[examples[11].answer]) == ("high/line 1", "B")
    requests = Race().requests(examples[10])
    assert requests[1].context == (
        "Article: Along road 0 stand trees.\n\nQuestion: What stands at place 0?\nAnswer:"
    )
    assert [request.continuation for request in requests][:2] == [
        " An oak.",
        " A long row of elms.",
    ]
    known = {text_sha256(text) for text in Race().texts(examples[10])}
    assert text_sha256("What stands at place 0? An oak.") in known


def test_accuracies_of_known_answers(tmp_path: Path) -> None:
    write_race(tmp_path)
    with reading_from(tmp_path):
        benchmark = Race(levels=("high",))
        right = {}
        for example in benchmark.examples("test"):
            request = benchmark.requests(example)[example.answer]
            right[request.context + request.continuation] = 0.0
        known = measure(FakeScorer(nats=right), benchmark, draws=20)
        # a sum of -8 is more than -9, but of 4 bytes less than the same for 19
        of_length = {" An oak.": -9.0, " A long row of elms.": -9.5, " Ash.": -8.0, " A fir.": -9.0}
        lengths = measure(FakeScorer(nats=of_length), benchmark, draws=0)
    assert known.estimate("accuracy").value == 100.0
    assert (known.estimate("accuracy").n, known.estimate("accuracy").clusters) == (10, 5)
    assert lengths.estimate("accuracy").value == 20.0  # C is right in 2 of 10
    assert lengths.estimate("accuracy_norm").value == 30.0  # B in 3
    assert "level middle was not measured" in known.notes
    assert known.estimate("accuracy", level="high").n == 10


def test_faulty_rows_are_named(tmp_path: Path) -> None:
    write_race(tmp_path)
    file = tmp_path / "race/high/test.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    for change, message in (
        ({"answer": "E"}, r"test\.jsonl, line 1, answer must be 'A', 'B', 'C' or 'D', got 'E'"),
        ({"options": ["An oak."]}, r"line 1, options must (be|have)"),
    ):
        file.write_text(json.dumps({**row, **change}))
        with reading_from(tmp_path), pytest.raises(DataError, match=message):
            Race().examples("test")


def test_an_article_has_as_many_options_and_answers_as_questions(tmp_path: Path) -> None:
    write_race(tmp_path)
    file = tmp_path / "race/middle/test.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    file.write_text(json.dumps({**row, "answers": ["B"]}))
    with reading_from(tmp_path), pytest.raises(DataError, match=r"as many, got \[2, 2, 1\]"):
        Race(levels=("middle",)).examples("test")


@pytest.mark.parametrize("levels", [[], ["high", "high"]])
def test_each_level_is_measured_once(levels: list[str]) -> None:
    with pytest.raises(OptionError, match="levels must be one or more of"):
        build(Benchmark, "race", {"levels": levels})
