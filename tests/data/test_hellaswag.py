"""HellaSwag's file: its two forms, the marks that are taken away, and rows that are not right."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data import hellaswag
from equipoise.data.hellaswag import cleaned, read_stories
from equipoise.errors import DataError

REDUCED: dict[str, Any] = {
    "ind": 4,
    "activity_label": "Making tea",
    "ctx": "A pot stands there. it",
    "endings": ["boils.", "[step] sings.", "is blue.", "runs."],
    "label": 1,
    "split": "val",
}
OFFICIAL = REDUCED | {
    "ctx_a": "[header] Tea [title] Take a pot.",
    "ctx_b": "then pour",
    "source_id": "wikihow~4",
    "split_type": "indomain",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "hellaswag").mkdir()
    return tmp_path / "hellaswag"


def put(folder: Path, row: object, *, name: str = "hellaswag_val.jsonl") -> None:
    (folder / name).write_text(f"{json.dumps(row)}\n")


def test_clean_marks() -> None:
    assert cleaned(" How to sew [title] Take a needle. [step] Thread it. ") == (
        "How to sew. Take a needle. Thread it."
    )
    assert cleaned("[header] Tea [title] Boil.") == "Tea. Boil."
    assert cleaned("plain text") == "plain text"


@pytest.mark.thorough
@given(st.text(alphabet="ab [].", max_size=30))
def test_cleaned_text_has_no_marks(text: str) -> None:
    clean = cleaned(text)
    assert clean == clean.strip()
    start = clean.find("[")
    assert start < 0 or "]" not in clean[start:] or " [title]" in text


def test_official_format(folder: Path) -> None:
    put(folder, OFFICIAL)
    put(folder, REDUCED, name="hellaswag_val.reconstructed.jsonl")
    (story,) = read_stories()
    assert story.beginning == "Tea. Take a pot. Then pour"
    assert story.endings == ("boils.", "sings.", "is blue.", "runs.")
    assert (story.id, story.activity, story.answer) == ("line 1", "Making tea", 1)
    assert story.groups == {"source": "wikihow~4", "origin": "wikihow"}
    put(folder, OFFICIAL | {"ctx_b": "", "label": "3"})
    (story,) = read_stories()
    assert (story.beginning, story.answer) == ("Tea. Take a pot.", 3)


def test_reduced_format(folder: Path) -> None:
    put(folder, REDUCED, name="hellaswag_val.reconstructed.jsonl")
    (story,) = read_stories()
    assert story.beginning == "A pot stands there. it"
    assert story.groups == {"source": "line 1", "origin": "activitynet"}
    assert hellaswag.source() == hellaswag.REDUCED


def test_marks_can_be_kept(folder: Path) -> None:
    put(folder, OFFICIAL)
    (story,) = read_stories(marks=True)
    assert story.beginning == "[header] Tea [title] Take a pot. Then pour"
    assert story.endings[1] == "[step] sings."
    assert story.text == f"{story.beginning} [step] sings."


def test_another_file_of_either_form(folder: Path, tmp_path: Path) -> None:
    put(folder, OFFICIAL)
    (tmp_path / "mine.jsonl").write_text(json.dumps(REDUCED | {"split": "train"}))
    (story,) = read_stories(str(tmp_path / "mine.jsonl"))
    assert (story.beginning, story.split) == ("A pot stands there. it", "train")
    assert hellaswag.file_use(str(tmp_path / "mine.jsonl")).name == "mine.jsonl"
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match=r"empty\.jsonl must hold JSON lines, got none"):
        read_stories(str(tmp_path / "empty.jsonl"))


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        ({"source_id": "wikihow~4"}, "wikihow"),
        ({"source_id": "activitynet~v_x"}, "activitynet"),
        ({"source_id": "elsewhere~1"}, None),
        ({"activity_label": "Family Life"}, "wikihow"),
        ({}, "activitynet"),
    ],
)
def test_origin_is_named_or_told_by_the_activity(
    folder: Path, change: dict[str, str], origin: str | None
) -> None:
    put(folder, REDUCED | change)
    (story,) = read_stories()
    assert story.origin == origin


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_official_file() -> None:
    stories = read_stories()
    assert len(stories) == 10_042
    counts = [sum(story.answer == k for story in stories) for k in range(4)]
    assert counts == [2515, 2485, 2584, 2458]
    assert sum(story.origin == "activitynet" for story in stories) == 3243


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 4}, "line 1, label must be .*3', got '4'"),
        ({"label": True}, "label must be .*, got 'True'"),
        ({"label": ""}, "label must be .*got ''"),
        ({"endings": ["quillwort"]}, "endings must have 4 entries, got 1"),
        ({"endings": None}, "endings must be a list, got None"),
        ({"endings": ["quillwort", "b", " ", "d"]}, r"endings\[2\] must be .*got a blank text"),
        ({"endings": ["quillwort", "b", 3, "d"]}, r"endings\[2\] must be a text, got 3"),
        ({"activity_label": None}, "activity_label must be a text, got None"),
        ({"ctx_b": 3}, "ctx_b must be a text, got 3"),
        ({"ctx_a": " "}, "ctx_a must be .*got a blank text"),
    ],
)
def test_invalid_rows(folder: Path, change: dict[str, object], message: str) -> None:
    put(folder, OFFICIAL | change)
    with pytest.raises(DataError, match=message) as caught:
        read_stories()
    assert "hellaswag/hellaswag_val.jsonl, line 1" in str(caught.value)
    assert "quillwort" not in str(caught.value)


def test_malformed_json_rows(folder: Path) -> None:
    put(folder, ["a"])
    with pytest.raises(DataError, match="line 1 must be an object, got a list"):
        read_stories()
    (folder / "hellaswag_val.jsonl").write_text(json.dumps(OFFICIAL) + '\n{"ind": 5, "ctx')
    with pytest.raises(DataError, match=r"hellaswag_val\.jsonl, line 2"):
        read_stories()
