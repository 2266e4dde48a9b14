"""One self-contained page of a study: verdicts first, then plots, tables and where from.

No font and no address outside the page: it opens without a network, in light and dark, on a
telephone and in print. Its only script sorts, filters and unfolds; the page's own policy lets
no other run. Everything a model or a data file said is escaped, and what cannot be seen is shown.
"""

import base64
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from equipoise.conclusions import Change, Comparison, Direction
from equipoise.files.atomic import write_file
from equipoise.records import Estimate
from equipoise.report.axis import minus, typeset, whisker
from equipoise.report.overview import Overview, of_comparisons, of_study
from equipoise.report.plots import LONGEST_LABEL
from equipoise.report.provenance import (
    edit_rest,
    flat,
    model_rest,
    options_text,
    plain_json,
    training_end,
)
from equipoise.report.rows import WITHIN, badge_of, cell, estimate_rows, p_cell, plain_cell
from equipoise.report.sanitize import LONGEST, clipped, isolated, short, visible
from equipoise.report.sentences import (
    WORD,
    describe_change,
    group_name,
    headlines,
    interval,
    numbers,
    subject,
)
from equipoise.study.study import Study

_TEMPLATES = "templates"
_TAIL = 8000  # characters of a traceback

#: What each direction says, exactly.
GLOSSARY: Mapping[Direction, str] = {
    "reduced": "nearer the ideal: the interval of the fall in distance excludes 0",
    "reversed": "on the other side of the ideal: the intervals before and after both exclude it",
    "worse": "farther from the ideal, or less able: the interval excludes 0",
    "unclear": "moved, but not shown to be nearer to the ideal or farther from it",
    "better": "more able: the interval of the difference excludes 0",
    "changed": "moved; the metric has neither an ideal nor a direction",
    "unchanged": "the interval of the difference holds 0, or p is above 0.05; no proof of sameness",
    "unknown": "a value or an interval is missing; the reason stands beside it",
}


def study_page(study: Study, *, lead: Sequence[str] = ()) -> str:
    """The page of a study as text; the same study gives the same bytes.

    `lead` comes before all else, one paragraph per sentence.
    """
    return _render(of_study(study, lead=lead))


def write_study_page(file: Path | str, study: Study, *, lead: Sequence[str] = ()) -> Path:
    """Write the `study_page`, whole or not at all; gives the file back. Raises `StoreError`."""
    return write_file(Path(file), study_page(study, lead=lead), what="page")


def page(
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> str:
    """The page of comparisons alone: a chapter per pair of models, a section per benchmark.

    `lead` comes before all else, one paragraph per sentence. `names` gives the chapter of an
    edited model, by its identity, a title that a reader knows it by.
    """
    return _render(of_comparisons(comparisons, title=title, lead=lead, names=names or {}))


def write_page(
    file: Path | str,
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Path:
    """Write a page of comparisons, whole or not at all; gives it back. Raises `StoreError`."""
    text = page(comparisons, title=title, lead=lead, names=names)
    return write_file(Path(file), text, what="page")


def _render(overview: Overview) -> str:
    script = _read_template("page.js")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("equipoise.report", _TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_make_harmless,
    )
    environment.filters |= {
        "common": _find_common_reason,
        "short": lambda value: short(str(value)),
        "tag": lambda name: clipped(name, LONGEST_LABEL, with_length=False),
        "whole": _mark_whole,
        "tail": _clip_traceback,
        "thousands": "{:,}".format,
    }
    functions: tuple[Callable[..., object], ...] = (
        minus, typeset, whisker, cell, plain_cell, p_cell, badge_of, estimate_rows, subject,
        describe_change, group_name, numbers, interval, flat, plain_json, options_text,
        training_end, model_rest, edit_rest,
    )  # fmt: skip
    environment.filters |= {function.__name__: function for function in functions}
    return environment.get_template("page.html").render(
        page=overview,
        # ours, like the script: nothing from outside is in it
        style=Markup(_read_template("page.css")),
        script=Markup(script),
        # as a Content-Security-Policy names a script that may run
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        words=WORD,
        glossary=GLOSSARY,
        within=WITHIN,
        longest=LONGEST,
        headlines=headlines,
        fresh=_count_ids(),
    )


def _read_template(name: str) -> str:
    return files("equipoise.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _make_harmless(value: object) -> object:
    """What the template prints, made harmless: it is escaped after this, never before."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return isolated(visible(clipped(value)))


def _find_common_reason(records: Sequence[Change | Estimate]) -> str | None:
    """The reason that several rows share; None if they differ, or for a single row."""
    reasons = {record.reason for record in records}
    return reasons.pop() if len(records) > 1 and len(reasons) == 1 else None


def _clip_traceback(value: str) -> Markup:
    """The end of a traceback, which says most."""
    cut = f"… (the end of {len(value):,} characters)\n" if len(value) > _TAIL else ""
    return _mark_whole(cut + value[-_TAIL:])


def _mark_whole(value: str) -> Markup:
    """A text that has its own limit, not cut again."""
    return Markup(Markup.escape(visible(value)))


def _count_ids() -> Callable[[str], str]:
    """Ids that no other element of the page has: "g1", "g2", …"""
    counter = itertools.count(1)
    return lambda letter: f"{letter}{next(counter)}"
