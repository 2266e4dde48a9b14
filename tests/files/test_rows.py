"""Every usual form of a table gives the same rows, and a fault names its place."""

import gzip
import json
import pickle
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from equipoise.errors import DataError
from equipoise.files.rows import columns_of, read_rows

ROWS = [{"a": "one, or 1", "b": "x"}, {"a": "two\nlines", "b": "y"}, {"a": "„three“", "b": "z"}]
QUOTED = 'a{0}b\n"one, or 1"{0}x\n"two\nlines"{0}y\n„three“{0}z\n'
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def parquet(rows: list[Any]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"a{index}.csv", QUOTED.format(mark)) for index, mark in enumerate(",;\t|")),
        ("a.tsv", QUOTED.format("\t")),
        ("a.CSV", QUOTED.format(",")),
        ("bom.csv", "\ufeff" + QUOTED.format(",")),
        ("first.csv", "\n\n" + QUOTED.format(",")),
        ("blank.csv", QUOTED.format(",").replace("z\n", "z\n\n,\n")),
        ("a.json", json.dumps(ROWS)),
        ("data.json", json.dumps({"version": "1", "data": ROWS})),
        ("columns.json", json.dumps({key: [row[key] for row in ROWS] for key in "ab"})),
        (
            "pandas.json",
            json.dumps({key: {str(i): row[key] for i, row in enumerate(ROWS)} for key in "ab"}),
        ),
        (
            "order.json",
            json.dumps(
                {
                    "a": {i: ROWS[i]["a"] for i in range(3)},
                    "b": {i: ROWS[i]["b"] for i in (2, 0, 1)},
                }
            ),
        ),
        ("lines.json", LINES),
        ("a.jsonl", LINES),
        ("a.ndjson", LINES),
        ("array.jsonl", json.dumps(ROWS)),
        ("a.parquet", parquet(ROWS)),
        ("parquet.csv", parquet(ROWS)),
        ("a.csv.gz", QUOTED.format(",")),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 15 else "",
)
def test_forms(name: str, content: str | bytes) -> None:
    read = read_rows(content.encode() if isinstance(content, str) else content, name)
    assert [dict(row.cells) for row in read] == ROWS
    assert columns_of(read) == ("a", "b")


def test_line_ends_of_windows() -> None:
    read = read_rows(b"a,b\r\n1,2\r\n\r\n3,\r\n", "a.csv")
    assert [dict(row.cells) for row in read] == [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]
    assert [row.place for row in read] == ["line 2", "line 4"]


def test_missing_cells_and_numbers() -> None:
    content = (
        b'{"t": "x", "n": 1.0}\n{"t": "  ", "n": NaN, "x": 1}\n{"t": null, "n": 2.5}\n{"t": 3}\n'
    )
    read = read_rows(content, "a.jsonl")
    assert [row.label("n") for row in read] == ["1", None, "2.5", None]
    assert read[0].text("t") == "x"
    for row, got in zip(read[1:], ("an empty cell", "an empty cell", "3"), strict=True):
        with pytest.raises(DataError, match=rf"a\.jsonl, line \d: column 't' must .*got {got}"):
            row.text("t")
    (table,) = read_rows(b"t,n\nnan,<NA>\nx,y\n", "a.csv")
    assert table.label("t") == "x"


def test_lists_in_a_table() -> None:
    row, other = read_rows(b"a\n\"['x', 'y']\"\n\"['x' 'y']\"\n", "a.csv")
    assert row.structure("a") == ["x", "y"]
    assert other.structure("a") == "['x' 'y']"  # which Python would join


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", pickle.dumps(ROWS), r"a\.pkl must be a file of rows .*got the ending '\.pkl'"),
        ("a.xlsx", b"PK\3\4", "got the ending '.xlsx'"),
        ("noending", b"a,b\n1,2\n", "got the ending ''"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3: must have 2 fields, got 3"),
        ("a.csv", b"a,b,a\n1,2,3\n", "line 1: a column must be there once, got 'a' 2 times"),
        ("a.csv", b"a,b\n", "must have rows, got none"),
        ("a.csv", b"a,b\n,\n", "must have rows, got none"),
        ("a.csv", b'a,b\n"1,2\n', "line 2"),
        ("a.csv", "a,b\n1,é\n".encode("latin-1"), "line 2: text must be UTF-8, got byte 0xe9"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "line 1: text must be UTF-8"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "line 2 must be an object, got a list"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"line 2, column \d+: must be JSON"),
        ("a.json", b'[{"a": 1}, 3]', "row 2 must be an object, got 3"),
        ("a.json", b'{"a": [1], "b": [1, 2]}', "must hold a list of objects"),
        ("a.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "must hold a list of objects"),
        ("a.json", b'{"a": {"0": 1}, "b": {"1": 1}}', "must hold a list of objects"),
        ("a.json", b'{"a": "x", "b": "y"}', r"must hold a list of objects.*got \['a', 'b'\]"),
        ("a.json", b'[{"a": 1, "a": 2}]', "must have each key once, got 'a' twice"),
        ("a.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}\n', "line 2: an object must have each key once"),
        ("a.json", b'[{"a": 1, "a ": 2}]', "row 1: a column must be there once, got 'a' twice"),
        ("a.json", b"[" * 100_000, "without so many brackets in brackets"),
        ("a.json", b"3", "must hold a list of objects"),
        ("a.parquet", parquet(ROWS)[:-20], "must be whole Parquet"),
        ("a.parquet", gzip.compress(b"x", mtime=0), "got the ending '.parquet'"),
    ],
)  # fmt: skip
def test_faults_name_the_place(name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(content, name)
