"""Methods as rows, groups or benchmarks as columns: the shape that the papers' tables have."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import pandas as pd

from equipoise.conclusions import Change
from equipoise.errors import RecipeError, nearest
from equipoise.export.framing import Row, to_frame
from equipoise.number_text import brackets, numbers
from equipoise.records import Estimate, Measurement
from equipoise.report.overview import measured_bases
from equipoise.report.provenance import setting_names, setting_of
from equipoise.study.study import Study

Shown: TypeAlias = Estimate | Change

_COLUMNS = (
    "model method column benchmark metric group value low high difference difference_low "
    "difference_high direction p_holm unit ideal higher_is_better n clusters best reason"
)
_NUMBERS = ("difference_low", "difference_high", "difference", "low", "high", "value", "ideal")
_OVERALL = "overall"


class _Entry(NamedTuple):
    """A number of a model, as it is (an estimate) or after a method (a change)."""

    model: str
    method: str
    measurement: Measurement  # says how it was measured
    shown: Shown
    first: bool  # of the benchmark's metrics


def methods(
    study: Study, *, metric: str | None = None, by: str | None = None, every: bool = False
) -> pd.DataFrame:
    """A row per cell: a model as it is, or a method on it, in a column.

    Without `metric` ("stereoset.ss") the columns are each benchmark's first metric, overall, or
    `every` metric. With
    it they are that metric's groups by the key `by` (None: the first that it has), and overall.
    `difference`: from the model as it is, on the same items. `best`: whether the value is the
    nearest to the ideal, or the most able, of the model's in the column; no test stands behind it.
    Raises `RecipeError` for an unknown metric or key.
    """
    rows = method_rows(study, metric=metric, by=by, every=every)
    frame = to_frame(rows, _COLUMNS)
    return frame.astype(dict.fromkeys(_NUMBERS, float))


def method_rows(
    study: Study, *, metric: str | None = None, by: str | None = None, every: bool = False
) -> list[Row]:
    """The rows of `methods`, with what they are of: `setting` (`setting_of`) and `shown`."""
    entries = list(_entries(study))
    names = setting_names(entry.measurement for entry in entries)
    if metric is None and by is not None:
        raise RecipeError(f"groups by '{by}' must be of a metric, got no metric; name one")
    rows: list[Row] = []
    if metric is None:
        for entry in entries:
            if (entry.first or every) and not entry.shown.group:
                setting = names[setting_of(entry.measurement)]
                same = setting == entry.shown.metric
                rows.append(_row(entry, setting if same else f"{setting} {entry.shown.metric}"))
    else:
        key = _check(entries, metric, by)
        chosen = [entry for entry in entries if _is_of(entry, metric, key)]
        many_settings = len({setting_of(entry.measurement) for entry in chosen}) > 1
        for entry in chosen:
            column = entry.shown.group.get(key, _OVERALL)
            setting = names[setting_of(entry.measurement)]
            rows.append(_row(entry, f"{setting}: {column}" if many_settings else column))
    _mark_best(rows)
    return rows


def methods_table(frame: pd.DataFrame, *, marks: Sequence[str] = ()) -> pd.DataFrame:
    """The cells of `methods` as a table of texts: a method a row, "0.65 [0.60, 0.70] (-0.63) *".

    The change stands in parentheses after the value and its interval, the star on the best of each
    column. Groups come before what is overall; models have a column where there are several.
    `marks`: a sign for each row of the frame, before the star.
    """
    rows = [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]
    for row, mark in zip(rows, marks or [""] * len(rows), strict=True):
        row["mark"] = mark
    columns = dict.fromkeys(row["column"] for row in sorted(rows, key=lambda row: not row["group"]))
    many_models = len({row["model"] for row in rows}) > 1
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row["model"], row["method"]), {})[row["column"]] = _cell(row)
    fixed = ["model", "method"] if many_models else ["method"]
    table = [
        [*names[-len(fixed) :], *(cells.get(column, "") for column in columns)]
        for names, cells in lines.items()
    ]
    headings = [f"group {column}" if column in fixed else column for column in columns]
    return pd.DataFrame(table, columns=[*fixed, *headings], dtype=object)


def _entries(study: Study) -> Iterator[_Entry]:
    """Every number, a model as it is before the methods on it."""
    for model, known in measured_bases(study).items():
        for measurement in known.values():
            yield from _of(model, "as it is", measurement, measurement.estimates)
        for chapter in study.chapters:
            if chapter.model == model:
                for comparison in chapter.comparisons:
                    before, changes = comparison.before, comparison.changes
                    yield from _of(model, chapter.mitigation, before, changes)


def _of(
    model: str, method: str, measurement: Measurement, records: Sequence[Shown]
) -> Iterator[_Entry]:
    for shown in records:
        yield _Entry(model, method, measurement, shown, shown.metric == records[0].metric)


def _is_of(entry: _Entry, metric: str, key: str) -> bool:
    name = f"{entry.measurement.benchmark}.{entry.shown.metric}"
    return name == metric and list(entry.shown.group) in ([], [key])


def _check(entries: Sequence[_Entry], metric: str, by: str | None) -> str:
    """The key of the groups; "" where the metric has none. Raises `RecipeError`."""
    keys: dict[str, list[str]] = {}
    for entry in entries:
        known = keys.setdefault(f"{entry.measurement.benchmark}.{entry.shown.metric}", [])
        known += [key for key in entry.shown.group if len(entry.shown.group) == 1]
    if metric not in keys:
        raise RecipeError(f"the study has no metric '{metric}'; {nearest(metric, keys)}")
    if by is not None and by not in keys[metric]:
        raise RecipeError(f"{metric} has no groups by '{by}'; {nearest(by, set(keys[metric]))}")
    return by or next(iter(keys[metric]), "")


def _row(entry: _Entry, column: str) -> Row:
    shown = entry.shown
    if isinstance(shown, Change):
        read = {"value": shown.after, "low": shown.after_low, "high": shown.after_high}
        moved = {"": shown.difference, "_low": shown.low, "_high": shown.high}
        read |= {f"difference{end}": number for end, number in moved.items()}
        tested = {"direction": shown.direction, "p_holm": shown.p_holm}
    else:
        read = {"value": shown.value, "low": shown.low, "high": shown.high}
        tested = {}
    same = ("metric", "unit", "ideal", "higher_is_better", "n", "clusters", "reason")
    return {
        "model": entry.model,
        "method": entry.method,
        "column": column,
        "benchmark": entry.measurement.benchmark,
        "group": "; ".join(f"{key}={name}" for key, name in shown.group.items()),
        "best": False,
        "setting": setting_of(entry.measurement),
        "shown": shown,
        **read,
        **tested,
        **{name: getattr(shown, name) for name in same},
    }


def _mark_best(rows: Sequence[Row]) -> None:
    columns: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        columns.setdefault((row["model"], row["column"]), []).append(row)
    for column in columns.values():
        far = [_distance(row) for row in column]
        finite = [distance for distance in far if math.isfinite(distance)]
        for row, distance in zip(column, far, strict=True):
            row["best"] = len(finite) > 1 and distance == min(finite)


def _distance(row: Row) -> float:
    """How far from the best there could be; nan where nothing is better than something else."""
    if row["higher_is_better"] is not None:
        return float(-row["value"] if row["higher_is_better"] else row["value"])
    return math.nan if row["ideal"] is None else abs(row["value"] - row["ideal"])


def _cell(row: Row) -> str:
    value, low, high, change = numbers(row["value"], row["low"], row["high"], row["difference"])
    sign = "" if change.startswith("-") else "+"
    moved = "" if math.isnan(row["difference"]) else f"({sign}{change})"
    star = f"{row['mark']}{'*' if row['best'] else ''}"
    return " ".join(part for part in (value, brackets(low, high), moved, star) if part)
