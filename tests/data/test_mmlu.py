"""MMLU's files: subjects and categories, rows as they are, and rows that are not right."""

from collections import Counter
from pathlib import Path

import pytest

from equipoise.data import mmlu
from equipoise.data.mmlu import SUBJECTS, read_questions, read_shots, subjects_at_hand
from equipoise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    for split in ("test", "dev"):
        (tmp_path / "mmlu" / split).mkdir(parents=True)
    return tmp_path / "mmlu"


def test_subjects_and_categories() -> None:
    assert Counter(SUBJECTS.values()) == {
        "STEM": 18, "humanities": 13, "social sciences": 12, "other": 14,
    }  # fmt: skip


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_official_files() -> None:
    assert subjects_at_hand("dev") == tuple(sorted(SUBJECTS))
    assert all(len(read_shots(subject, 5)) == 5 for subject in SUBJECTS)
    questions = [
        question
        for subject in subjects_at_hand("test")
        for question in read_questions(subject, "test")
    ]
    assert len({question.id for question in questions}) == len(questions) == 2045
    assert len(subjects_at_hand("test")) == 10


def test_read_rows(folder: Path) -> None:
    content = 'What\nis "it"? ,a,"b, c", d,e,C\r\nWho?,1,2,3,4,A\r\n'
    (folder / "test" / "anatomy_test.csv").write_bytes(
        content.replace('"it"', '""it""').replace("What", '"What').replace("? ,", '? ",').encode()
    )
    first, second = read_questions("anatomy", "test")
    assert (first.question, first.choices) == ('What\nis "it"?', ("a", "b, c", "d", "e"))
    assert (first.id, first.subject, first.answer) == ("anatomy/1", "anatomy", 2)
    assert (second.id, second.answer) == ("anatomy/2", 0)
    assert subjects_at_hand("test") == ("anatomy",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("quillwort?,a,b,c,d", "line 2: must have 6 fields, got 5"),
        ("quillwort?,a,b,c,d,E", r"line 2: answer must be one of .*got 'E'"),
        ("quillwort?,a,b,c,d,2", "line 2: answer must be one of .*got '2'"),
        (" ,quillwort,b,c,d,A", "line 2: column 'question' must have a text"),
        ('"quillwort?,a', r"anatomy_test\.csv, line \d: "),
    ],
)
def test_invalid_rows(folder: Path, row: str, message: str) -> None:
    (folder / "test" / "anatomy_test.csv").write_text(f"Who?,1,2,3,4,A\n{row}\n")
    with pytest.raises(DataError, match=message) as caught:
        read_questions("anatomy", "test")
    assert "mmlu/test/anatomy_test.csv" in str(caught.value)
    assert "quillwort" not in str(caught.value)


def test_missing_and_short_files(folder: Path) -> None:
    with pytest.raises(DataError, match=r"files of 57 subjects, .*got 0"):
        subjects_at_hand("test")
    with pytest.raises(DataError, match=r"mmlu/test/virology_test\.csv must be in folder"):
        read_questions("virology", "test")
    (folder / "dev" / "virology_dev.csv").write_text("Who?,1,2,3,4,A\n")
    with pytest.raises(DataError, match=r"virology_dev\.csv must have 2 questions to show, got 1"):
        read_shots("virology", 2)
    assert len(read_shots("virology", 1)) == 1
    assert read_shots("anatomy", 0) == []
    assert mmlu.source("virology", "dev").use().verified is False
