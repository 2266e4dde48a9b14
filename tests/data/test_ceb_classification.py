"""CEB's classification files: official ones counted, small ones, and wrong ones."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from ceb_rows import Row, classified, put

from equipoise.data.ceb_classification import ClassificationPart, read_classification
from equipoise.data.sources import reading_from
from equipoise.errors import DataError

COUNTS = {
    "adult_gender": 497, "adult_race": 498, "credit_age": 495, "credit_gender": 500,
    "jigsaw_gender": 497, "jigsaw_race": 500, "jigsaw_religion": 500,
}  # fmt: skip


@pytest.mark.parametrize("part", get_args(ClassificationPart))
def test_official_files(part: ClassificationPart, data_folder: Path) -> None:
    with reading_from(data_folder):
        questions = read_classification(part).questions
    assert len(questions) == COUNTS[part]
    counts = Counter((question.groups["group"], question.target) for question in questions)
    assert len(counts) == 4
    assert min(counts.values()) >= 123
    assert all(question.options[0].startswith("YES") for question in questions)


def read(folder: Path, rows: list[Row]) -> list[str]:
    put(folder, "CEB Classification/CEB-Adult/gender.json", rows)
    with reading_from(folder):
        return [question.id for question in read_classification("adult_gender").questions]


def test_contradictions_and_copies_are_left_out(tmp_path: Path) -> None:
    rows = [
        classified("An oak", "yes", "tall"),
        classified("An oak", "no", "tall"),
        classified("An elm", "yes", "tall"),
        classified("An elm", "yes", "tall"),
        classified("An elm", "no", "short"),
    ]
    assert read(tmp_path, rows) == ["adult_gender/3", "adult_gender/5"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": "maybe"}, r"label must be 'yes' or 'no', got 'maybe'"),
        ({"prompt": "Predict it."}, r"row 1: the prompt must list '1\. YES"),
        ({"sensitive_attr": "short"}, "must have rows of two groups, got 1"),
    ],
)
def test_wrong_rows_are_named(change: Row, sentence: str, tmp_path: Path) -> None:
    rows = [classified("An oak", "yes", "tall") | change, classified("An elm", "no", "short")]
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, rows)
