"""Rows of a table as a pandas DataFrame, its columns and their kinds the same for every study."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import pandas as pd

Row: TypeAlias = dict[str, Any]

#: Whole numbers that may be missing: pandas would make floats of them.
_WHOLE = ("seed", "limit", "n", "clusters", "seeds_averaged", "compared_with_seed", "draws")


def to_frame(rows: Iterable[Row], columns: str) -> pd.DataFrame:
    """The rows with these columns, named in a text; what a row lacks is missing."""
    frame = pd.DataFrame(list(map(_escape_surrogates, rows)), columns=columns.split())
    return frame.astype({name: "Int64" for name in _WHOLE if name in frame})


def _escape_surrogates(row: Row) -> Row:
    """Pandas stores texts as UTF-8, in which half a surrogate pair cannot be written."""
    return {
        name: cell.encode(errors="backslashreplace").decode() if isinstance(cell, str) else cell
        for name, cell in row.items()
    }
