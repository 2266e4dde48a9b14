"""A table of methods for a paper, with a caption that says what its numbers rest on.

Methods are rows; columns are metrics, or the groups of a metric, as the papers' tables have them.
What papers leave out is in it: intervals, which change is shown, and a test behind the best.
"""

import math
import re
from collections.abc import Iterator, Sequence

import pandas as pd

from equipoise.conclusions import UNSTATED
from equipoise.export.best_method import BestMethod
from equipoise.export.framing import Row
from equipoise.export.methods import method_rows, methods
from equipoise.markdown import markdown_text
from equipoise.number_text import brackets, numbers
from equipoise.records import Measurement
from equipoise.report.formatting import visible
from equipoise.report.overview import measured_bases
from equipoise.study.study import Study

_SHOWN = "†"
_MINUS = re.compile("-(?=[0-9i])")
_PACKAGES = ("equipoise", "torch", "transformers")


def matrix(study: Study, *, every: bool) -> pd.DataFrame:
    """A row per model and method, a column per metric with its interval: numbers, for a program.

    `every`: all metrics that the study has; else each benchmark's first.
    """
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for row in methods(study, every=every).to_dict("records"):
        line = rows.setdefault((row["model"], row["method"]), {})
        for end, name in (("", "value"), ("_low", "low"), ("_high", "high")):
            line[f"{row['column']}{end}"] = row[name]
    return pd.DataFrame(
        [{"model": model, "method": method, **line} for (model, method), line in rows.items()]
    )


def paper_cells(
    study: Study, *, metric: str | None = None, by: str | None = None, every: bool = False
) -> pd.DataFrame:
    """A row per model and method, in each column its numbers: for a program, and what is tested.

    COLUMN, COLUMN_low, COLUMN_high: value and interval; COLUMN_difference, with its own _low and
    _high: from the model as it is; COLUMN_n: items; COLUMN_shown: the change is shown;
    COLUMN_best: shown to be better than each other row. `metric`, `by`, `every`: as of
    `methods.methods`; its groups come before what is overall.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for row in paper_rows(study, metric=metric, by=by, every=every):
        line = lines.setdefault((row["model"], row["method"]), {})
        names = {"": "value", "_low": "low", "_high": "high"} | {
            f"_{name}": name
            for name in ("difference", "difference_low", "difference_high", "n", "moved", "best")
        }
        line |= {f"{row['column']}{end}": row.get(name) for end, name in names.items()}
    return pd.DataFrame(
        [{"model": model, "method": method, **line} for (model, method), line in lines.items()]
    )


def paper_rows(
    study: Study, *, metric: str | None = None, by: str | None = None, every: bool = False
) -> list[Row]:
    """The cells of the table, groups before what is overall: `best` is tested, `moved` says †."""
    rows = method_rows(study, metric=metric, by=by, every=every)
    rows.sort(key=lambda row: not row["group"])
    columns: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        direction = row.get("direction")
        row["moved"] = direction is not None and direction not in ("unchanged", *UNSTATED)
        columns.setdefault((row["model"], row["column"]), []).append(row)
    tests = BestMethod(study)
    for column in columns.values():
        # of equal values none is the best
        best = [row for row in column if row["best"]]
        leads = len(best) == 1 and tests.is_shown(best[0], column)
        for row in best:
            row["best"] = leads
    return rows


def paper_text(rows: Sequence[Row], fmt: str) -> str:
    """The table for a reader, "**50.0** [48.0, 52.0] (-40.0) †" with the interval set small."""
    text, write = (latex_text, _latex_cell) if fmt == "latex" else (markdown_text, _markdown_cell)
    columns = list(dict.fromkeys(row["column"] for row in rows))
    many_models = len({row["model"] for row in rows}) > 1
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row["model"], row["method"]), {})[row["column"]] = write(row)
    names = ["model", "method"] if many_models else ["method"]
    frame = pd.DataFrame(
        [
            [*map(text, map(visible, key[-len(names) :])), *(line.get(c, "") for c in columns)]
            for key, line in lines.items()
        ],
        columns=[*names, *map(text, map(visible, columns))],
        dtype=object,
    )
    if fmt == "markdown":
        return f"{frame.to_markdown(index=False, tablefmt='github', disable_numparse=True)}\n"
    layout = "l" * len(names) + "r" * len(columns)
    return "% \\usepackage{booktabs}\n" + frame.to_latex(
        index=False, escape=False, column_format=layout
    )


def _parts(row: Row) -> tuple[str, str, str, str]:
    """Value, interval, change in parentheses, and the dagger; "" for what there is not."""
    value, low, high, change = numbers(row["value"], row["low"], row["high"], _difference(row))
    sign = "" if change.startswith("-") else "+"
    moved = "" if math.isnan(_difference(row)) else f"({sign}{change})"
    return value, brackets(low, high), moved, _SHOWN if row["moved"] else ""


def _difference(row: Row) -> float:
    return float(row.get("difference", math.nan))


def _markdown_cell(row: Row) -> str:
    value, ends, moved, mark = _parts(row)
    value = f"**{value}**" if row["best"] else value
    small = f"<sub>{ends}</sub>" if ends else ""
    return " ".join(part for part in (value, small, moved, mark) if part)


def _latex_cell(row: Row) -> str:
    value, ends, moved, mark = _parts(row)
    value, moved = (_MINUS.sub("$-$", part) for part in (value, moved))
    value = rf"\textbf{{{value}}}" if row["best"] else value
    small = rf"{{\scriptsize {_MINUS.sub('$-$', ends)}}}" if ends else ""
    return " ".join(part for part in (value, small, moved, r"\dag{}" if mark else "") if part)


def caption_of(study: Study, rows: Sequence[Row] = ()) -> str:
    """What the marks mean, and how, on what, with what and how often was measured; a sentence each.

    `rows`: of the table, of which the items of each group are counted.

    Foreign names in it are made visible, and nothing else.
    """
    parts = [
        f"{study.title}: value [95 % interval] (change from the model as it is, on the same items)",
        f"{_SHOWN} the change is shown by its interval and a paired permutation test; bold: "
        "nearest to the ideal, or the most able, and shown to be better than each other row of its "
        "model, paired on the same items, after Holm's correction",
        *_describe_counts(rows),
        *_describe_benchmarks(study),
        *_describe_seeds(study),
        *_describe_versions(study),
    ]
    return visible(" ".join(f"{part.rstrip('.')}." for part in parts))


def _describe_counts(rows: Sequence[Row]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for row in rows:
        if row["group"]:
            counts[row["column"]] = max(counts.get(row["column"], 0), row["n"])
    if counts:
        named = ", ".join(f"{column} {count:,}" for column, count in counts.items())
        yield f"n of groups: {named}"


def _measurements(study: Study) -> list[Measurement]:
    return [each for known in measured_bases(study).values() for each in known.values()]


def _describe_benchmarks(study: Study) -> Iterator[str]:
    by_name = {measurement.benchmark: measurement for measurement in _measurements(study)}
    for name, measurement in by_name.items():
        overall = [row for row in measurement.estimates if not row.group]
        ideals = [f"{row.metric} {row.ideal:g}" for row in overall if row.ideal is not None]
        data = [f"{use.name} ({use.licence or 'own file'})" for use in measurement.data]
        limit = "" if measurement.limit is None else f", {measurement.limit} drawn examples"
        parts = [
            f"version {measurement.version}, {measurement.split}{limit}",
            *([f"n = {max(row.n for row in overall):,}"] if overall else []),
            *([f"ideal {', '.join(ideals)}"] if ideals else []),
            f"{measurement.draws:,} draws",
            f"examples {measurement.examples_sha256[:12]}",
            *([f"data {', '.join(data)}"] if data else []),
        ]
        yield f"{name}: {'; '.join(parts)}"


def _describe_seeds(study: Study) -> Iterator[str]:
    counts = {
        len(comparison.afters) for chapter in study.chapters for comparison in chapter.comparisons
    }
    if counts:
        most = max(counts)
        yield (
            f"Means over {min(counts)} to {most} seeds"
            if len(counts) > 1
            else (
                f"Means over {most} seeds of each method, whose scatter the intervals hold"
                if most > 1
                else "A single seed of each method"
            )
        )


def _describe_versions(study: Study) -> Iterator[str]:
    known = {
        f"{name} {measurement.environment[name]}": None
        for measurement in _measurements(study)
        for name in _PACKAGES
        if name in measurement.environment
    }
    if known:
        yield f"Measured with {', '.join(known)}"


def with_caption(text: str, caption: str, fmt: str) -> str:
    """A Markdown or LaTeX table with its caption, in LaTeX as a floating `table`."""
    if fmt == "markdown":
        return f"{text}\n{markdown_text(caption)}\n"
    first, _, tabular = text.partition("\n")
    if "longtable" in first:  # which floats nowhere
        return f"{text}% {caption}\n"
    return (
        f"{first}\n\\begin{{table}}\n\\centering\n{tabular}\\caption{{{latex_text(caption)}}}\n"
        "\\end{table}\n"
    )


def latex_text(text: str) -> str:
    """The text as LaTeX that prints it."""
    frame = pd.DataFrame([[text]], columns=["x"], dtype=object)
    lines = frame.to_latex(index=False, header=False, escape=True).splitlines()
    inner = next(line for line in lines if line.endswith(r"\\")).removesuffix(r"\\").strip()
    return inner.replace("†", r"\dag{}").replace("--", "-{}-")
