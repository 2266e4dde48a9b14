"""Rows of a file in any usual form: CSV, TSV, JSON, JSON Lines or Parquet.

What people have of their own, and what circulates of official files: their texts stand in columns
whose names and order are the file's. Nothing is unpickled.
"""

import ast
import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pyarrow
import pyarrow.parquet

from equipoise.errors import DataError
from equipoise.files.parsing import decode, parse_json, parse_jsonl
from equipoise.records import JSON

#: Endings of files of rows.
ENDINGS: Final = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_DELIMITERS: Final = (",", ";", "\t", "|")
_PARQUET: Final = b"PAR1"
#: What a table has for a missing cell, beside nothing: pandas writes it so as a text.
_MISSING: Final = frozenset({"nan", "NaN", "<NA>"})
_NEIGHBORS: Final = re.compile(r"""['"]\s+['"]""")
_COLUMNS_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A row by column."""

    place: str  # in the file: "line 3" (the last of several lines), or "row 2", from 1
    where: str  # as errors call it: "mine.csv, line 3"
    cells: Mapping[str, JSON]  # as they are; of a CSV or TSV file all are texts

    def text(self, column: str) -> str:
        """A text with its white space. Raises `DataError` for another value, or a missing text."""
        value = self.cells.get(column)
        if not isinstance(value, str) or _is_missing(value):
            got = "an empty cell" if _is_missing(value) else _describe(value)
            raise DataError(
                f"{self.where}: column '{column}' must have a text, got {got}; correct the row"
            )
        return value

    def label(self, column: str | None) -> str | None:
        """A name or a number as a name, without space at its ends; None for a missing cell.

        A whole number is written without a point, as pandas turns labels with gaps into floats.
        Raises `DataError` for a list or an object.
        """
        value = None if column is None else self.cells.get(column)
        if isinstance(value, list | dict):
            raise DataError(
                f"{self.where}: column '{column}' must have a name or a number, got "
                f"{_describe(value)}; correct the row"
            )
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return None if _is_missing(value) else str(value).strip()

    def structure(self, column: str) -> JSON:
        """A list or an object, also where a table has it spelt out as a text; else the value.

        None for a missing cell.
        """
        value = self.cells.get(column)
        if _is_missing(value):
            return None
        if not (isinstance(value, str) and value.lstrip()[:1] in ("[", "{")):
            return value
        # of JSON, or as Python prints it; Python would join the texts of ['a' 'b'], which is how
        # NumPy prints two
        python = () if _NEIGHBORS.search(value) else (ast.literal_eval,)
        for parse in (json.loads, *python):
            try:
                return cast(JSON, parse(value))
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
        return value


def columns_of(rows: Sequence[FileRow]) -> tuple[str, ...]:
    """Every column that a row has, in the order in which they come up."""
    return tuple(dict.fromkeys(column for row in rows for column in row.cells))


def show_columns(columns: Sequence[str]) -> str:
    """Columns as an error lists them."""
    more = ", …" if len(columns) > _COLUMNS_SHOWN else ""
    return ", ".join(f"'{column[:60]}'" for column in columns[:_COLUMNS_SHOWN]) + more


def holds_rows(content: bytes) -> bool:
    """Whether it is Parquet, a JSON array or JSON Lines, and no JSON document of another form."""
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:4] == _PARQUET or start[:1] == b"[" or _is_lines(start)


def read_rows(content: bytes, name: str) -> list[FileRow]:
    """Unpacked bytes as rows, by the name's ending but for Parquet, which says what it is.

    A JSON file holds a list of objects (alone, or beside what is none in an object), an object of
    columns, or an object a line. Delimiters of a .csv are what its first line has most of. Rows
    of missing cells alone are left out. Raises `DataError` naming the place.
    """
    kind = Path(name.removesuffix(".gz").removesuffix(".xz")).suffix.lower()
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if content[:4] == _PARQUET:
        rows = _numbered(_parquet_rows(content, name), name)
    elif kind in (".csv", ".tsv"):
        rows = _table_rows(decode(content, name), name, tabs=kind == ".tsv")
    elif kind in (".jsonl", ".ndjson", ".json"):
        lines = start[:1] != b"[" and (kind != ".json" or _is_lines(start))
        rows = (
            [_row(value, name, f"line {line}") for line, value in parse_jsonl(content, name)]
            if lines
            else _numbered(_document_rows(parse_json(content, name), name), name)
        )
    else:
        raise DataError(
            f"{name} must be a file of rows ({', '.join(ENDINGS)}), got the ending '{kind}'; "
            "save it in such a form"
        )
    rows = [row for row in rows if not all(map(_is_missing, row.cells.values()))]
    if not rows:
        raise DataError(f"{name} must have rows, got none; replace the file")
    return rows


def _is_lines(start: bytes) -> bool:
    """Whether the first line is a JSON object of its own, with another line after it."""
    first, _, rest = start.partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _row(value: JSON, name: str, place: str) -> FileRow:
    where = f"{name}, {place}"
    if not isinstance(value, dict):
        raise DataError(f"{where} must be an object, got {_describe(value)}; correct it")
    cells = {key.strip(): cell for key, cell in value.items()}
    if len(cells) < len(value):
        twice = Counter(key.strip() for key in value).most_common(1)[0][0]
        raise DataError(
            f"{where}: a column must be there once, got '{twice}' twice, with white space beside "
            "it; rename one"
        )
    return FileRow(place=place, where=where, cells=cells)


def _numbered(values: Sequence[JSON], name: str) -> list[FileRow]:
    return [_row(value, name, f"row {number}") for number, value in enumerate(values, 1)]


def _is_missing(cell: JSON) -> bool:
    if isinstance(cell, str):
        return not cell.strip() or cell.strip() in _MISSING
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _table_rows(text: str, name: str, *, tabs: bool) -> list[FileRow]:
    """The rows below the header of a table."""
    first = text.lstrip().partition("\n")[0]
    fields_by = {mark: len(next(csv.reader([first], delimiter=mark), ())) for mark in _DELIMITERS}
    delimiter = "\t" if tabs else max(fields_by, key=lambda mark: fields_by[mark])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[FileRow] = []
    try:
        header = [column.strip() for column in next(filter(None, reader), [])]
        column, count = Counter(filter(None, header)).most_common(1)[0] if any(header) else ("", 1)
        if count > 1:
            raise DataError(
                f"{name}, line {reader.line_num}: a column must be there once, got '{column}' "
                f"{count} times; rename the others"
            )
        for fields in filter(None, reader):
            if len(fields) != len(header):
                raise DataError(
                    f"{name}, line {reader.line_num}: must have {len(header)} fields, got "
                    f"{len(fields)}; put texts with {delimiter!r} in them in quotation marks"
                )
            place = f"line {reader.line_num}"
            rows.append(_row(dict(zip(header, fields, strict=True)), name, place))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}; replace the file") from None
    return rows


def _document_rows(document: JSON, name: str) -> list[JSON]:
    """The rows of a JSON document, whatever they are."""
    if isinstance(document, list):
        return document
    parts = list(document.values()) if isinstance(document, dict) else []
    lists = [part for part in parts if isinstance(part, list)]
    tables = [part for part in lists if part and all(isinstance(row, dict) for row in part)]
    if len(tables) == 1 == len(lists):
        return tables[0]
    if isinstance(document, dict) and parts and not tables:
        columns = [_column(part) for part in parts]
        # pandas writes a column as an object by row, in no order that must be the same
        labels = list(columns[0] or ())
        if labels and all(column and column.keys() == columns[0].keys() for column in columns):
            return [
                {name: column[label] for name, column in zip(document, columns, strict=True)}
                for label in labels
            ]
    got = sorted(document)[:8] if isinstance(document, dict) else _describe(document)
    raise DataError(
        f"{name} must hold a list of objects, or an object of columns that are equally long, got "
        f"{got}; write an object for each row"
    )


def _column(part: JSON) -> Mapping[str, JSON]:
    """A column by row; of a list by place. Empty for what is neither."""
    if isinstance(part, dict):
        return part
    return {str(place): cell for place, cell in enumerate(part if isinstance(part, list) else ())}


def _parquet_rows(content: bytes, name: str) -> list[JSON]:
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        return cast(list[JSON], table.to_pylist())
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{name} must be whole Parquet, got: {error}; replace the file") from None


def _describe(value: JSON) -> str:
    """A wrong value as an error shows it: a number whole, of anything else its kind alone."""
    plain = value is None or isinstance(value, bool | int | float)
    return repr(value) if plain else f"a {type(value).__name__}"
