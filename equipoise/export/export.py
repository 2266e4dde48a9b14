"""A table of a study as text: CSV for machines, Markdown and LaTeX for readers.

CSV and JSON hold every number exactly; Markdown and LaTeX round it and put its interval into the
same cell.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from equipoise.errors import RecipeError, nearest
from equipoise.export.choosing import choose
from equipoise.export.methods import methods, methods_table
from equipoise.export.paper import (
    caption_of,
    matrix,
    paper_cells,
    paper_rows,
    paper_text,
    with_caption,
)
from equipoise.export.tables import TABLES
from equipoise.markdown import markdown_text
from equipoise.number_text import interval, probability
from equipoise.report.formatting import visible
from equipoise.study.study import Study

LONGEST = 40  # rows of a LaTeX table on one page; a longer table breaks over pages

LAYOUTS = ("long", "matrix", "paper")

#: Columns for machines alone; `setting` replaces `benchmark` to `limit` where a table has it.
_EXACT = (
    "nearer effect higher_is_better clusters p claim_kind claim_margin claim_margin_relative "
    "claim_value claim_p claim_shown seeds_averaged seed_spread before_identity after_identities "
    "compared_with_seed model_identity measured_with_seed draws spearman_low examples_sha256 data "
    "data_sha256 data_licence data_official traceback"
)
_SETTING = "benchmark version split options limit"
#: Columns that a reader sees only where they differ from row to row, by table.
_VARIED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("changes", "groups", "seeds", "verdicts"), frozenset({"seeds"})),
        "rankings": frozenset({"prompts", "spearman"}),
        "calibrations": frozenset({"version", "options"}),
    }
)
_HEADINGS = {"setting": "benchmark", "p_holm": "p (Holm)"}

_NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)"
_NUMERIC = re.compile(
    rf"(?:< )?{_NUMBER}(?: \[{_NUMBER}, {_NUMBER}\])?(?: \(\+?{_NUMBER}\))?(?: (?:\*|†\*?))?"
)
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # what a spreadsheet computes instead of showing


def export(  # noqa: PLR0913
    study: Study,
    table: str,
    fmt: str,
    *,
    metric: str | None = None,
    by: str | None = None,
    metrics: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    layout: str = "long",
) -> str:
    """A table of the study as text, ending with a line end.

    `metric`, `by`: of the table "methods", as `methods.methods` takes them. `metrics`,
    `benchmarks`: of these alone (`choosing.choose`). `layout`: "long": the table as it is;
    "matrix", of the table "methods": a row per method, a column per metric; "paper": that, or a
    column per group of `metric`, with what is tested and, for readers, a caption that says what
    the numbers rest on.
    Raises `RecipeError` with the nearest names for an unknown table, format, layout, metric or key.
    """
    for what, name, known in (
        ("table", table, TABLES), ("format", fmt, FORMATS), ("layout", layout, LAYOUTS),
    ):  # fmt: skip
        if name not in known:
            raise RecipeError(f"{what} '{name}' is not known; {nearest(name, known)}")
    study = choose(study, benchmarks=benchmarks, metrics=metrics)
    if layout != "long":
        return _export_layout(study, table, fmt, layout, metric=metric, by=by, every=bool(metrics))
    if table == "methods":
        frame = methods(study, metric=metric, by=by, every=bool(metrics))
    elif metric is None and by is None:
        frame = TABLES[table](study)
    else:
        raise RecipeError(
            f"a metric and a key of groups can be chosen for the table methods, got {table}; "
            "name that table, or leave --metric and --by out"
        )
    return FORMATS[fmt](frame if fmt in ("csv", "json") else reader_table(frame, table))


def _export_layout(
    study: Study,
    table: str,
    fmt: str,
    layout: str,
    *,
    metric: str | None,
    by: str | None,
    every: bool,
) -> str:
    """The table of methods in a layout of its own."""
    if table != "methods":
        raise RecipeError(
            f"the layout {layout} is of the table methods, got the table {table}; leave --table "
            "out, or take the layout long"
        )
    if layout == "paper":
        if fmt in ("csv", "json"):
            return FORMATS[fmt](paper_cells(study, metric=metric, by=by, every=every))
        rows = paper_rows(study, metric=metric, by=by, every=every)
        return with_caption(paper_text(rows, fmt), caption_of(study, rows), fmt)
    if metric is not None or by is not None:
        raise RecipeError(
            f"the layout {layout} has a metric a column, got '{metric or by}' of --metric or --by; "
            "choose with --metrics and --benchmarks alone, or take the layout paper or long"
        )
    if fmt in ("csv", "json"):
        return FORMATS[fmt](matrix(study, every=every))
    return FORMATS[fmt](methods_table(methods(study, every=every)))


def reader_table(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table of `TABLES` for a reader: texts alone, rounded, without columns that say nothing."""
    if table == "methods":
        return methods_table(frame)
    hidden = {*_EXACT.split(), *(_SETTING.split() if "setting" in frame else ())}
    columns: dict[str, list[str]] = {}
    for name in map(str, frame.columns):
        if name in hidden or re.fullmatch(r"(.*_)?(low|high)", name):
            continue
        prefix = "" if name in ("value", "score") else f"{name}_"
        if f"{prefix}high" in frame:
            ends = frame[f"{prefix}low"], frame[f"{prefix}high"]
            cells = [interval(*span) for span in zip(frame[name], *ends, strict=True)]
            heading = f"{name} (95 %)"
        else:
            cells = [_format_cell(name, cell) for cell in frame[name].astype(object)]
            heading = _HEADINGS.get(name, name)
        varied = name in _VARIED.get(table, ())
        if len(set(cells)) > 1 if varied else any(cells) or not cells:
            columns[heading.replace("_", " ")] = cells
    return pd.DataFrame(columns, dtype=object)


#: Columns of numbers in which a missing number is shown as such.
_SAID = ("p_holm", "spearman")


def _format_cell(name: str, cell: Any) -> str:
    if pd.isna(cell):
        return "not shown" if name == "kept" else "n/a" if name in _SAID else ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return probability(cell) if name == "p_holm" else f"{cell:.4g}"
    return str(cell)


def csv_text(frame: pd.DataFrame) -> str:
    """The table as CSV; floats by `repr`, which reads back to the same bits, and nan is empty.

    A text that a spreadsheet would take for a formula has an apostrophe before it. What cannot be
    seen is shown as `visible` shows it.
    """
    return str(frame.astype(object).map(_guard).to_csv(index=False, lineterminator="\n"))


def json_text(frame: pd.DataFrame) -> str:
    """The table as JSON, an object a row; nan is null, and a number reads back to the same bits."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return json.dumps(rows, ensure_ascii=False) + "\n"


def _guard(cell: Any) -> Any:
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str):
        return cell
    shown = visible(cell)
    # a negative number begins as a formula does
    harmless = re.fullmatch(_NUMBER, shown) or not _FORMULA.match(shown)
    return shown if harmless else f"'{shown}"


def markdown_table(frame: pd.DataFrame) -> str:
    """The table in Markdown, whatever is in its cells, ending with a line end."""
    harmless = frame.map(_to_markdown).rename(columns=_to_markdown)
    # without disable_numparse tabulate would make 0.05 of "0.050", which was rounded on purpose
    text = harmless.to_markdown(index=False, tablefmt="github", disable_numparse=True)
    return f"{text}\n"


def _to_markdown(cell: str) -> str:
    return cell if _NUMERIC.fullmatch(cell) else markdown_text(visible(cell))


_SIGNS = {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_UNSET = re.compile("[^\n -~\u00a1-\u017f±×–—‘’“”…]")  # what pdflatex cannot set


def latex_table(frame: pd.DataFrame) -> str:
    """The table as a `tabular` with booktabs' rules; a `longtable` from 41 rows on.

    Numbers stand to the right. The first line names the packages that it needs. A character that
    pdflatex cannot set without further packages is shown by its number, "U+4E2D".
    """
    plain = frame.map(lambda cell: " ".join(cell.split()))
    long = len(plain) > LONGEST
    layout = "".join(
        "r" if all(_NUMERIC.fullmatch(cell) or cell in ("", "n/a") for cell in plain[name]) else "l"
        for name in plain
    )
    text = plain.to_latex(index=False, escape=True, longtable=long, column_format=layout)
    # what pandas leaves: the row end before a star or a bracket would take it for its own option,
    # old fonts have other signs in the place of these three, and two hyphens would be a dash
    text = re.sub(r"^(?=[*\[])", "{}", text, flags=re.MULTILINE)
    text = re.sub(r"[<>|]", lambda match: _SIGNS[match[0]], text)
    text = re.sub(r"-(?=-)", "-{}", text).replace("†", r"\dag{}")
    text = _UNSET.sub(lambda match: rf"\texttt{{U+{ord(match[0]):04X}}}", text)
    return r"% \usepackage{booktabs}" + (r" \usepackage{longtable}" if long else "") + f"\n{text}"


#: Every format, by name: CSV and JSON of a table of `TABLES`, the others of its `reader_table`.
FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = MappingProxyType(
    {"csv": csv_text, "json": json_text, "markdown": markdown_table, "latex": latex_table}
)
