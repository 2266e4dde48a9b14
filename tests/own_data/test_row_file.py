"""A training set in a file: read a row at a time, checked when it is opened."""

import gzip
import json
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import DataError
from equipoise.own_data import row_file
from equipoise.own_data.row_file import RowFile
from equipoise.rows import TrainingRow

LINES: list[dict[str, Any]] = [
    {"id": "a", "text": "The nurse is kind.", "label": "biased", "axis": "gender", "by": "me"},
    {"id": 7, "text": "Ärzte sind hier. ", "label": "neutral", "score": 0.5, "none": None},
    {
        "messages": [
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "A nurse."},
        ]
    },
]
TALK = (("user", "Who?"), ("assistant", "A nurse."))


def written(folder: Path, *lines: object, name: str = "rows.jsonl") -> Path:
    file = folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def test_rows_have_ids_groups_and_turns(tmp_path: Path) -> None:
    rows = RowFile(written(tmp_path, *LINES))
    assert list(rows) == [
        TrainingRow(
            id="a",
            text="The nurse is kind.",
            groups={"label": "biased", "axis": "gender", "by": "me"},
        ),
        TrainingRow(id="7", text="Ärzte sind hier. ", groups={"label": "neutral"}),
        TrainingRow(id="3", messages=TALK),
    ]
    assert [row.biased for row in rows] == [True, False, None]


def test_a_context_is_what_the_text_begins_with(tmp_path: Path) -> None:
    line = {"text": "She ran because it rained.", "context": "She ran because"}
    (row,) = RowFile(written(tmp_path, line))
    assert (row.text, row.context, row.groups) == (line["text"], line["context"], {})
    for wrong in ("He ran", 3):
        with pytest.raises(DataError, match="line 1: context must be"):
            RowFile(written(tmp_path, line | {"context": wrong}))
    talk = {"messages": LINES[2]["messages"], "context": "Who?"}
    with pytest.raises(DataError, match="leave context out"):
        RowFile(written(tmp_path, talk))


def test_rows_are_read_by_place_in_any_order(tmp_path: Path) -> None:
    rows = RowFile(written(tmp_path, LINES[0], "", *LINES[1:]))
    assert len(rows) == 3
    assert rows[-1].id == "4"  # of its line
    assert rows[1].id == "7"
    assert [row.id for row in rows[:2]] == ["a", "7"]
    with pytest.raises(IndexError):
        rows[3]


def test_only_the_rows_asked_for_are_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowFile(written(tmp_path, *LINES))
    parsed: list[int] = []
    row_of_line = row_file.row_of_line

    def counted(content: bytes, name: str, line: int) -> TrainingRow:
        parsed.append(line)
        return row_of_line(content, name, line)

    monkeypatch.setattr(row_file, "row_of_line", counted)
    rows[2]
    assert parsed == [3]


@pytest.mark.thorough
def test_memory_is_that_of_the_index(tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    with file.open("w") as out:
        for number in range(3000):
            out.write(json.dumps({"id": str(number), "text": "kind " * 400}) + "\n")
    tracemalloc.start()
    rows = RowFile(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) == 3000
    assert file.stat().st_size > 6_000_000
    assert peak < 600_000


def test_rows_without_words_are_left_out_and_counted(tmp_path: Path) -> None:
    empty: list[dict[str, Any]] = [
        {"text": ""},
        {"text": " \n"},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": " "}]},
    ]
    file = written(tmp_path, LINES[0], *empty, LINES[1])
    rows = RowFile(file)
    assert [row.id for row in rows] == ["a", "7"]
    assert rows.left_out == 4
    assert rows.notes == ("rows.jsonl: 4 rows without words were left out; the first is line 2",)
    with pytest.raises(DataError, match="line 2: a row must have words under strict"):
        RowFile(file, strict=True)
    assert RowFile(written(tmp_path, *LINES), strict=True).notes == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a"', "line 2, column 13: must be JSON"),
        ('["a"]', "line 2: a row must be an object, got a list"),
        ('{"text": "a", "text": "b"}', "line 2: an object must have each key once"),
        ('{"text": "\\ud800"}', "line 2: must hold whole characters"),
        ({"label": "biased"}, r"must have a text or messages, got \['label'\]"),
        ({"text": "a", "messages": []}, r"got \['text', 'messages'\]"),
        ({"text": 5}, "text must be a text, got 5"),
        ({"id": True, "text": "a"}, "an id must be a text or a whole number, got True"),
        ({"id": " ", "text": "a"}, "an id must be a text or a whole number, got a blank text"),
        ({"id": "a", "text": "again"}, "line 2: an id must be there once, got 'a' also in line 1"),
        ({"text": "a", "label": "Biased"}, r"a label must be one of .*, got 'Biased'"),
        ({"text": "a", "label": 1}, r"a label must be one of .*, got 1"),
        ({"messages": "hello"}, "messages must be a list of objects .* got a text"),
        ({"messages": [{"role": "user"}]}, r"got a dict with \['role'\] as number 0"),
        ({"messages": [{"role": "bot", "content": "a"}]}, "the role of message 0 .* got 'bot'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, problem: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.jsonl.*{problem}"):
        RowFile(written(tmp_path, LINES[0], line))


def test_the_number_of_a_line_may_not_be_an_id_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: an id must be there once, got '2' also in line 1"):
        RowFile(written(tmp_path, {"id": 2, "text": "a"}, {"text": "b"}))


def test_invalid_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, *LINES)
    file.write_bytes(file.read_bytes() + b'{"text": "\xff"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl, line 4: text must be UTF-8, got byte 0xff"):
        RowFile(file)


def test_a_file_of_a_single_endless_line_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_file, "_LONGEST", 40)
    with pytest.raises(DataError, match="line 1: a row must have at most 40 bytes"):
        RowFile(written(tmp_path, LINES[0]))


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": ""}\n'])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(content)
    with pytest.raises(DataError, match="must hold rows with a text"):
        RowFile(file)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.jsonl", "must be the path of a file, or one in a data folder"),
        ("../out/of/it.jsonl", "must be the path of a file"),
        (".", "is a folder; name a file in it"),
    ],
)
def test_a_file_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=problem):
        RowFile(name)


def test_a_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a file of .jsonl, .txt, .tsv, got 'rows.csv'"):
        RowFile(written(tmp_path, "id,text", name="rows.csv"))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, *LINES)
    rows = RowFile(file)
    written(tmp_path, LINES[1])
    with pytest.raises(DataError, match="must stay as it is while its rows are read"):
        rows[0]
    file.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        rows[0]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_file_is_read_and_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    pack: Callable[[bytes], bytes],
) -> None:
    plain = written(tmp_path, *LINES)
    packed = tmp_path / f"rows.jsonl{ending}"
    packed.write_bytes(pack(plain.read_bytes()))
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    rows = RowFile(packed)
    assert list(rows) == list(RowFile(plain))
    del rows
    assert os.listdir(spare) == []
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be unpacked"):
        RowFile(packed)
    assert os.listdir(spare) == []


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.txt", "First.\nSecond.\n\n", {"1": "First.", "2": "Second."}),
        ("a.txt", "First,\r\non.\n\n\nSecond.", {"1": "First,\non.", "5": "Second."}),
        ("a.tsv", "First.\tx\n\nSecond.\ty\n", {"1": "First.", "3": "Second."}),
    ],
)
def test_plain_text_is_cut_into_rows(
    tmp_path: Path, name: str, content: str, rows: dict[str, str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    opened = RowFile(file)
    assert {row.id: row.text for row in opened} == rows
    assert [row.text for row in (opened[0], opened[1])] == list(rows.values())


def test_two_files_are_equal_by_their_content(tmp_path: Path) -> None:
    file = written(tmp_path, *LINES)
    rows, again = RowFile(file), RowFile(file)
    assert rows == again
    assert hash(rows) == hash(again)
    assert rows.use.sha256 in repr(rows)
    assert rows != RowFile(written(tmp_path, *LINES[:2]))
