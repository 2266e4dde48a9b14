import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from equipoise.data.bbq import BbqItem
from equipoise.data.bbq_answers import heard, read_answers, stated
from equipoise.errors import DataError

ITEM = BbqItem(
    id="Age/0",
    category="Age",
    context="An oak and an elm stood by the road.",
    question="Which one fell?",
    answers=("the old oak tree", "The elm.", "Not enough info"),
    words=("old oak tree", "elm", "Not enough info"),
    label=2,
    unknown=2,
    target=0,
    ruled=0,
    groups={"condition": "ambig"},
)


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("the old oak tree", 0),
        ("The Old Oak Tree.", 0),
        (" the elm ", 1),
        ("not enough info.", 2),
        ("an old oak", 0),  # the first two words of what it is called
        ("elms, said he", 1),  # contained, if not as a word: as published
        ("not enough", 2),
        ("the oak", None),
        ("the elm or the old oak", None),
        ("", None),
        ("   ", None),
    ],
)
def test_published_strings(answer: str, place: int | None) -> None:
    assert stated(ITEM, answer) == place


@pytest.mark.parametrize(
    ("written", "place"),
    [
        (" B", 1),
        ("B. The elm", 1),
        ("(c) Not enough info", 2),
        ("C) because", 2),
        ("Answer: A", 0),
        ("The answer is (b).", 1),
        ("A tree of some kind", None),  # an article is no letter
        ("B is not it", None),
        ("The elm.\nQ: Which one stood?\nA: the old oak tree", 1),
        ("\n\n the elm", 1),
        ("It was the old oak tree, surely.", 0),
        ("It was an elm!", 1),
        ("elms are often felled", None),
        ("Either the elm or the old oak tree.", None),
        ("That cannot be determined.", 2),
        ("I don't know", 2),
        ("It is not known whether it was an elm", 2),
        ("It is not clear, but rather the elm", None),
        ("b) the elm", 1),
        ("**B**", 1),
        ("**Answer:** (c)", 2),
        ("a tree, surely", None),
        ("It can’t be determined", 2),
        ("Cannot determine.", 2),
        ("We can't determine which.", 2),
        ("The elm, as we cannot determine the other", 1),
        ("**", None),
        ("Birches", None),
        ("", None),
        ("\n \n", None),
    ],
)
def test_written_text(written: str, place: int | None) -> None:
    assert heard(ITEM, written) == place


def test_without_answer_info_only_whole_answers_match() -> None:
    bare = BbqItem(
        id="Age/0", category="Age", context="x", question="y", answers=ITEM.answers,
        words=("", "", ""), label=0, unknown=None, target=None, ruled=None,
        groups={"condition": "disambig"},
    )  # fmt: skip
    assert stated(bare, "The elm") == 1
    assert stated(bare, "elm") is None
    assert heard(bare, "It was the elm.") == 1
    assert heard(bare, "It was an elm.") is None
    assert heard(bare, "I think not enough info here") == 2


def predictions(folder: Path, *rows: Any, packed: bool = False) -> Path:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = folder / "predictions"
    file.write_bytes(gzip.compress(content) if packed else content)
    return file


ROW = {"category": "Age", "example_id": 3, "model_pred": "the elm"}


@pytest.mark.parametrize("packed", [False, True])
def test_reading_answers(tmp_path: Path, packed: bool) -> None:
    silent = ROW | {"example_id": 4, "model_pred": None}
    file = predictions(tmp_path, ROW, silent, packed=packed)
    assert read_answers(file, "model_pred") == {"Age/3": "the elm", "Age/4": ""}


@pytest.mark.parametrize(
    ("column", "changed", "message"),
    [
        (None, {}, r"line 1 must have a column of answers, got 'None' of \['model_pred'\]"),
        ("other", {}, r"line 2 must have a column of answers, got 'other' of \['model_pred'\]"),
        ("model_pred", {"category": "Ages"}, "line 2: category 'Ages' is not known; did you"),
        ("model_pred", {"category": 7}, "line 2, category must be a text, got 7"),
        ("model_pred", {"example_id": None}, "line 2, example_id must be a number, got None"),
        ("model_pred", {"model_pred": 2}, "line 2: 'model_pred' must be a text or null, got 2"),
        ("model_pred", {"example_id": "3"}, "line 2: example 'Age/3' must be there once"),
    ],
)
def test_faults_name_file_and_line(
    tmp_path: Path, column: str | None, changed: dict[str, Any], message: str
) -> None:
    first = ROW if column is None else {**ROW, column: "x"}
    file = predictions(tmp_path, first, {**ROW, "example_id": 9, **changed})
    with pytest.raises(DataError, match=message):
        read_answers(file, column)


def test_truncated_archive(tmp_path: Path) -> None:
    file = predictions(tmp_path, ROW, packed=True)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_answers(file, "model_pred")
