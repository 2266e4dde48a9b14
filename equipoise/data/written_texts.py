"""Texts that a model wrote elsewhere: a file of rows with the id of a prompt and a text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from equipoise.errors import DataError
from equipoise.files.parsing import unpack
from equipoise.files.rows import read_rows

_IDS: Final = ("example", "id")


def read_texts(file: Path, column: str) -> Mapping[str, str]:
    """Texts of a column by what the column "example" (or "id") says; empty texts count, too.

    Rows as of `files.rows.read_rows`. Raises `DataError` naming the file and the row that lacks
    either or repeats an id.
    """
    texts: dict[str, str] = {}
    for row in read_rows(unpack(file.read_bytes(), file.name), file.name):
        id = next(filter(None, map(row.label, _IDS)), None)
        if id is None or id in texts:
            got = "none" if id is None else f"'{id}' a second time"
            raise DataError(
                f"{row.where} must have an id of its own in the column 'example', got {got}; give "
                "each text the id of its prompt"
            )
        text = row.cells.get(column)
        texts[id] = text if isinstance(text, str) else row.text(column)
    return texts
