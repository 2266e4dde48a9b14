"""Question files in MT-bench's form, of own words."""

import gzip
import json
from pathlib import Path

import pytest

from equipoise.data.mt_bench import read_questions
from equipoise.errors import DataError


def write(folder: Path, *rows: object, name: str = "questions.jsonl") -> str:
    file = folder / name
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(file)


def question(id: object = 81, **more: object) -> dict[str, object]:
    return {
        "question_id": id,
        "category": "writing",
        "turns": ["Write of an owl.", "Shorter. "],
        **more,
    }


def test_questions(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        question(),
        question("b", category=" Math", reference=["4", "5"], extra=1),
        question(3, category="math", reference=["4"]),
    )
    read = read_questions(file)
    first, second, third = read.questions
    assert (first.id, first.turns) == ("81", ("Write of an owl.", "Shorter."))
    assert (first.references, second.references, third.references) == (
        ("", ""),
        ("4", "5"),
        ("4", ""),
    )
    assert [row.groups["domain"] for row in read.questions] == ["writing", "math", "math"]
    assert (read.use.name, read.use.verified) == ("questions.jsonl", None)
    packed = tmp_path / "questions.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(file).read_bytes()))
    assert read_questions(str(packed)).questions == read.questions


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "must hold JSON lines, got none"),
        ((question(turns=["Only one."]),), r"line 1, turns must have 2 entries, got 1"),
        ((question(turns=["a", "b", "c"]),), r"turns must have 2 entries, got 3"),
        ((question(turns=["quillwort", " "]),), r"turns\[1\] must be a text that is not blank"),
        (({k: v for k, v in question().items() if k != "category"},), "have a key 'category'"),
        ((question(category=""),), r"category must be a text that is not blank"),
        ((question(category=None),), r"category must be a text, got None"),
        ((question(), question()), "question '81' must be there once, got it twice"),
        ((question(reference=["a", "b", "c"]),), "must have a reference a turn at most, got 3"),
        ((["a"],), "must be an object"),
    ],
)
def test_invalid_files(tmp_path: Path, rows: tuple[object, ...], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_questions(write(tmp_path, *rows))
    assert "quillwort" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; check the path"):
        read_questions(str(tmp_path / "none.jsonl"))
