"""A table whose cells are still numbers: exact for a machine, rounded for a reader."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.report.sentences import interval, probability
from equipoise.report.tables import Table

#: Value and both ends of its interval; nan where there is none.
Span: TypeAlias = tuple[float, float, float]
#: "varied": a reader sees it only where it differs from row to row. "exact": it is for machines
#: alone; "reader": for readers alone.
Seen: TypeAlias = Literal["always", "varied", "exact", "reader"]
Cell: TypeAlias = str | int | float | bool | Span | None

_ONE = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)"
_NUMERIC = re.compile(rf"(?:< )?{_ONE}(?: \[{_ONE}, {_ONE}\])?")
_TRUTH = {True: "yes", False: "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column holds, and who sees it."""

    name: str
    kind: Literal["text", "number", "span", "p"] = "text"
    ends: tuple[str, str] = ("", "")  # exact names of a span's ends; "": name_low, name_high
    level: int = 95  # of a span, in percent
    seen: Seen = "always"
    unknown: str = ""  # what a reader is told of an empty cell
    heading: str = ""  # for a reader; "": the name

    @property
    def exact_names(self) -> tuple[str, ...]:
        """The names of its columns in the exact table: three of a span."""
        if self.kind != "span":
            return (self.name,)
        low, high = self.ends
        return self.name, low or f"{self.name}_low", high or f"{self.name}_high"

    @property
    def title(self) -> str:
        """Its name for a reader."""
        plain = self.heading or self.name.replace("_", " ")
        return f"{plain} ({self.level} %)" if self.kind == "span" else plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Rows of cells, each as long as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def exact(sheet: Sheet) -> Table:
    """Every number as it is: floats by `repr`, which reads back to the same bits; nan is empty.

    A span has three columns. Nothing is left out, so that the header depends on no numbers.
    """
    kept = [k for k, column in enumerate(sheet.columns) if column.seen != "reader"]
    header = [name for k in kept for name in sheet.columns[k].exact_names]
    rows = [[text for k in kept for text in _exactly(row[k])] for row in sheet.rows]
    return Table(header=tuple(header), rows=tuple(map(tuple, rows)))


def rounded(sheet: Sheet) -> Table:
    """Every number as a reader needs it, a span in one cell; columns without anything left out."""
    shown = [[_told(column, cell) for column, cell in zip(sheet.columns, row, strict=True)]
             for row in sheet.rows]  # fmt: skip
    kept = [
        k for k, column in enumerate(sheet.columns) if _is_seen(column, [row[k] for row in shown])
    ]
    return Table(
        header=tuple(sheet.columns[k].title for k in kept),
        rows=tuple(tuple(row[k] for k in kept) for row in shown),
    )


def is_numeric(text: str) -> bool:
    """Whether a cell's text is a number, or one with its interval: "-0.5", "52.4 [49.0, 55.9]"."""
    return _NUMERIC.fullmatch(text) is not None


def _is_seen(column: Column, texts: Sequence[str]) -> bool:
    if column.seen == "exact":
        return False
    if column.seen == "varied":
        return len(set(texts)) > 1
    return not texts or any(texts)


def _exactly(cell: Cell) -> Iterable[str]:
    for one in cell if isinstance(cell, tuple) else (cell,):
        if one is None or (isinstance(one, float) and math.isnan(one)):
            yield ""
        elif isinstance(one, bool):
            yield str(one).lower()
        elif isinstance(one, float):
            yield repr(float(one))  # numpy's float has another repr
        else:
            yield str(one)


def _told(column: Column, cell: Cell) -> str:
    if cell is None:
        return column.unknown
    if isinstance(cell, tuple):
        return interval(*cell)
    if isinstance(cell, bool):
        return _TRUTH[cell]
    if isinstance(cell, float) and column.kind == "p":
        return probability(cell)
    if isinstance(cell, float):
        return "n/a" if math.isnan(cell) else f"{cell:.4g}"
    return str(cell)
