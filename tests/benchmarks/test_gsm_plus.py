"""GSM-Plus: which problems are asked, in which prompt, and what is compared."""

from decimal import Decimal
from pathlib import Path

import pytest
from ability_files import write_gsm_plus

from equipoise.benchmarks.gsm_plus import GsmPlus
from equipoise.data.sources import reading_from
from equipoise.errors import DataError
from equipoise.measure import measure
from equipoise.testing import FakeScorer


def test_prompts_numbers_and_clusters(tmp_path: Path) -> None:
    write_gsm_plus(tmp_path)
    with reading_from(tmp_path):
        benchmark = GsmPlus()
        examples = benchmark.examples("test")
        (request,) = benchmark.requests(examples[0])
        texts = {
            benchmark.requests(example)[0].context: f" #### {example.problem.number}"
            for example in examples
            if example.groups["change"] == "digit expansion"
        }
        result = measure(FakeScorer(texts=texts), benchmark, draws=20)
    assert request.context == "Question: 4 and 1, numerical substitution?\nAnswer:"
    assert [example.problem.number for example in examples] == [
        Decimal(5), Decimal(5), Decimal(2000), Decimal(2000),
    ]  # fmt: skip
    assert (result.estimate("accuracy").value, result.estimate("accuracy").clusters) == (50.0, 2)
    assert result.estimate("accuracy", change="digit expansion").value == 100.0
    assert "2 problems that cannot be solved as they stand were left out" in result.notes
    assert any(note.startswith("0 worked problems were shown") for note in result.notes)


def test_worked_problems_are_those_of_gsm8k(tmp_path: Path) -> None:
    write_gsm_plus(tmp_path)
    (tmp_path / "gsm8k").mkdir()
    row = '{"question": "1 and 1?", "answer": "#### 2"}\n'
    (tmp_path / "gsm8k" / "train.jsonl").write_text(row * 6)
    with reading_from(tmp_path):
        (request,) = GsmPlus().requests(GsmPlus().examples("test")[0])
        assert request.context.count("Question: 1 and 1?\nAnswer: #### 2\n\n") == 5
        assert [file.name for file in GsmPlus().files("test")] == [
            "gsm_plus/test.jsonl", "gsm8k/train.jsonl",
        ]  # fmt: skip


def test_an_answer_without_a_number_is_refused(tmp_path: Path) -> None:
    write_gsm_plus(tmp_path)
    file = tmp_path / "gsm_plus/test.jsonl"
    file.write_text(file.read_text().replace('"None"', '"many"', 1))
    with reading_from(tmp_path), pytest.raises(DataError, match="line 2: answer must be a number"):
        GsmPlus().examples("test")


@pytest.mark.parametrize("answer", ["1/2", "2:30", "12 or 13"])
def test_an_answer_of_several_numbers_is_left_out(answer: str, tmp_path: Path) -> None:
    write_gsm_plus(tmp_path)
    file = tmp_path / "gsm_plus/test.jsonl"
    file.write_text(file.read_text().replace('"5.0"', f'"{answer}"', 1))
    with reading_from(tmp_path):
        assert len(GsmPlus().examples("test")) == 3
        assert GsmPlus().remarks("test")[1:] == (
            "2 problems that cannot be solved as they stand were left out",
            "1 problems whose answer is no single number were left out",
        )
