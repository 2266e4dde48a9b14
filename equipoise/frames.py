"""Results as tables: pandas data frames, and HTML for a notebook.

A group key `k` is the column "@k", as in the columns of a metric: a key may be called as a number
is. pandas is imported when a table is made, so that results are read without it.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


def as_frame(rows: Iterable[Mapping[str, object]]) -> "DataFrame":
    """Rows as a table, each key a column; missing (`pandas.isna`) where a row lacks it."""
    from pandas import DataFrame

    return DataFrame([*rows])


def group_columns(groups: Mapping[str, str]) -> dict[str, str]:
    """Groups of a row under the names of their columns."""
    return {f"@{key}": group for key, group in groups.items()}


def table_of(results: Sequence[Any]) -> "DataFrame":
    """A row per estimate or change: its metric, its groups, then its other fields."""
    keys = dict.fromkeys(key for result in results for key in result.group)
    rows = []
    for result in results:
        groups = group_columns({key: result.group.get(key) for key in keys})
        names = [field.name for field in fields(result) if field.name not in ("metric", "group")]
        values = {name: getattr(result, name) for name in names}
        rows.append({"metric": result.metric, **groups, **values})
    return as_frame(rows)


def html_table(caption: str, frame: "DataFrame") -> str:
    """A table for a notebook: texts escaped, numbers to four digits, nothing for nan."""
    table: str = frame.to_html(index=False, na_rep="", float_format="{:.4g}".format, border=0)
    return f"<p>{html.escape(caption)}</p>{table}"
