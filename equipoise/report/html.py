"""One self-contained page of a study: verdicts first, then plots, tables and where from.

No font and no address outside the page: it opens without a network, in light and dark, on a
telephone and in print. Its only script sorts, filters and unfolds; the page's own policy lets
no other run. Everything a model or a data file said is escaped, and what cannot be seen is shown.
"""

import base64
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from equipoise import number_text
from equipoise.conclusions import Comparison, Direction, Finding
from equipoise.errors import RecipeError, StoreError
from equipoise.files.atomic import write_file
from equipoise.records import Measurement
from equipoise.report import (
    attribution_plots,
    axis,
    chapters,
    controls,
    costs,
    curve_plots,
    definitions,
    formatting,
    friendlier,
    harm_sentences,
    named_professions,
    overview,
    plots,
    provenance,
    reductions,
    references,
    row_html,
    rows,
    sentences,
    shares,
    summary,
    written,
)
from equipoise.report.compiled_templates import CompiledTemplates, template_folder
from equipoise.report.formatting import LONGEST, LONGEST_NAME, clipped, harmless, visible
from equipoise.report.named_professions import PROFESSIONS
from equipoise.stats import target_parts, verdict
from equipoise.study.study import Study, plain_study

_TEMPLATES = "templates"
_TAIL = 8000  # characters of a traceback
_OPEN = 3  # chapters that are not folded

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
    "not comparable": "settings that move numbers differ between the sides, so that the change may "
    "be theirs; neither p nor a claim is given",
}


def study_page(
    study: Study,
    *,
    lead: Sequence[str] = (),
    full: bool = False,
    professions: Sequence[str] = PROFESSIONS,
) -> str:
    """The page of a study as text; the same study gives the same bytes.

    `lead` comes before all else, a paragraph per sentence. `full`: all is unfolded and printed,
    else a page prints what it says first, on about two sheets. `professions`: after which the
    probabilities of the pronouns are shown one by one.
    """
    return _render(
        study,
        chapters.study_chapters(study),
        lead=lead,
        facts=list(overview.count_facts(study)),
        findings=overview.group_findings(study.findings),
        full=full,
        professions=professions,
    )


def write_study_page(
    file: Path | str,
    study: Study,
    *,
    lead: Sequence[str] = (),
    full: bool = False,
    professions: Sequence[str] = PROFESSIONS,
) -> Path:
    """Write the `study_page`, whole or not at all; gives the file back. Raises `StoreError`."""
    text = study_page(study, lead=lead, full=full, professions=professions)
    return write_file(Path(file), text, what="page")


def measurement_page(
    measurements: Sequence[Measurement], *, findings: Sequence[Finding] = (), full: bool = False
) -> str:
    """The page of measurements of a model, which answers how biased it is.

    Raises `StoreError` where nothing was measured.
    """
    if not any(measurement.estimates for measurement in measurements):
        raise StoreError(
            f"a page needs a measurement with a number, got {len(measurements)} without any; "
            "measure a model on a benchmark first"
        )
    models = list(dict.fromkeys(measurement.model for measurement in measurements))
    whose = models[0] if len(models) == 1 else f"each of {len(models)} models"
    plain = plain_study(f"How biased is {whose}?", measurements=measurements)
    study = replace(plain, findings=tuple(findings))
    return _render(
        study,
        [],
        lead=(),
        facts=list(overview.count_facts(study)),
        findings=overview.group_findings(findings) if findings else None,
        full=full,
    )


def write_measurement_page(
    file: Path | str,
    measurements: Sequence[Measurement],
    *,
    findings: Sequence[Finding] = (),
    full: bool = False,
) -> Path:
    """Write the `measurement_page`, whole or not at all; gives the file back."""
    text = measurement_page(measurements, findings=findings, full=full)
    return write_file(Path(file), text, what="page")


def page(
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    full: bool = True,
) -> str:
    """The page of comparisons alone: a chapter per pair of models, a section per benchmark.

    `lead` comes before all else, a paragraph per sentence. `names` gives the chapter of an
    edited model, by its identity, a title that a reader knows it by. `full`: all is unfolded and
    printed, else the verdicts and the overview are.
    """
    views = chapters.comparison_chapters(comparisons, names or {})
    study = Study(title=title, recipe={})
    return _render(study, views, lead=lead, facts=(), findings=None, full=full)


def write_page(
    file: Path | str,
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    full: bool = True,
) -> Path:
    """Write a page of comparisons, whole or not at all; gives it back. The arguments: `page`.

    Raises `RecipeError` for something else than comparisons, `StoreError` for a place that cannot
    be written to.
    """
    if not comparisons:
        raise RecipeError(
            f"a page must have a comparison to show, got {len(comparisons)}; compare two "
            "measurements first"
        )
    for each in comparisons:
        if not isinstance(each, Comparison):
            raise RecipeError(
                f"this page is of comparisons, got a {type(each).__name__}; compare two "
                "measurements first, or keep them with eq.write_results and ask `equipoise report`"
            )
    text = page(comparisons, title=title, lead=lead, names=names, full=full)
    return write_file(Path(file), text, what="page")


def _render(
    study: Study,
    views: Sequence[chapters.ChapterView],
    *,
    lead: Sequence[str],
    facts: Sequence[tuple[str, str]],
    findings: Mapping[Finding, Sequence[str]] | None,
    full: bool = False,
    professions: Sequence[str] = PROFESSIONS,
) -> str:
    """The page; `findings`: each with its places, None where checks are no part of it."""
    script, counter = read_template("page.js"), itertools.count(1)
    # corrected in all parts of the page: the overview must not deny what a chapter says
    study = replace(study, chapters=tuple(view.chapter for view in views))
    columns, matrix_rows = overview.matrix(study)
    answers = [] if views else summary.answer_views(study)
    content = {
        "full": full,
        "professions": professions,
        "answers": answers,
        "study": study,
        "lead": lead,
        "facts": facts,
        "findings": findings,
        "chapters": views,
        "folded": len(views) > _OPEN,
        "limits": overview.limit_rows(study),
        "seeds": {
            measured.measurement.model: measured.seed
            for measured in study.measured
            if measured.seed is not None
        },
        "columns": columns,
        "rows": matrix_rows,
        "without": list(references.without_views(study)),
        "baselines": list(overview.measured_alone(study)),
        "shares": shares.share_rows(study),
        "attributions": attribution_plots.attribution_views(study),
        "blocks": plots.panels(study.located),
        "costs": costs.cost_rows(study),
        "curves": curve_plots.curve_pictures(study),
        "calibrations": [(each, plots.curve_plots(each)) for each in study.calibrations],
        "provenance": provenance.provenance(study),
    }
    alone = [measurement for _, measurement in overview.measured_alone(study)]
    bases = [each for known in overview.measured_bases(study).values() for each in known.values()]
    content["has_slices"] = any(measurement.slices for measurement in alone)
    content["has_nulls"] = any(
        reference.kind == "null" for measurement in bases for reference in measurement.references
    )
    return (
        page_templates()
        .get_template("page.html")
        .render(
            page=content,
            # ours, like the script: nothing from outside is in it
            style=Markup(read_template("page.css")),
            script=Markup(script),
            # as a Content-Security-Policy names a script that may run
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            words={
                direction: word
                for direction, word in sentences.WORD.items()
                if direction in overview.directions_of(study)
            },
            glossary=GLOSSARY,
            terms=definitions.Terms(),
            said=summary.said_on(answers, alone),
            within=rows.WITHIN,
            longest=LONGEST,
            headlines=sentences.headlines,
            # ids that no other element of the page has: "g1", "g2", …
            fresh=lambda letter: f"{letter}{next(counter)}",
        )
    )


@cache
def page_templates() -> jinja2.Environment:
    """The templates, compiled once, and what they may call."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("equipoise.report", _TEMPLATES),
        bytecode_cache=CompiledTemplates(template_folder("equipoise.report", _TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_make_harmless,
    )
    environment.filters |= {
        "common": row_html.common_reason,
        "short": lambda value: clipped(str(value), LONGEST_NAME),
        "tag": lambda name: clipped(name, plots.LONGEST_LABEL, with_length=False),
        "whole": _mark_whole,
        "tail": _clip_traceback,
        "thousands": "{:,}".format,
    }
    functions: tuple[Callable[..., object], ...] = (
        attribution_plots.row_caption, axis.minus, axis.typeset, axis.whisker, rows.cell,
        rows.plain_cell, rows.p_cell,
        rows.matrix_cell, rows.badge_of, rows.shared_axis, rows.gravest,
        row_html.headline_rows, row_html.named_changes, row_html.named_estimates,
        row_html.change_rows, row_html.forest_rows, row_html.axis_under,
        row_html.estimate_rows, row_html.badge_html, summary.slice_views, summary.slice_rows,
        summary.shown_slices, chapters.verdict_badges,
        chapters.verdict_tone, chapters.leads, chapters.seed_texts, plots.scatter,
        curve_plots.svg_points, costs.peak_names, named_professions.named_professions,
        provenance.setting_of, provenance.setting_names, provenance.flat, provenance.plain_json,
        provenance.options_text, provenance.training_end, provenance.model_rest,
        provenance.edit_rest, controls.control_sentences, reductions.reduction_sentences,
        sentences.verdict_sentence,
        sentences.subject, sentences.describe_change, sentences.describe_settings,
        number_text.group_name, number_text.numbers, number_text.interval, formatting.form_text,
        friendlier.friendlier_sentence, verdict.halves_of,
        harm_sentences.harm_sentence, harm_sentences.harm_tone, written.harms_of,
        written.disparities_of, written.scores_of, written.groups_of,
        written.lengths_of, written.length_estimates,
        target_parts.part_sentences,
    )  # fmt: skip
    environment.filters |= {function.__name__: function for function in functions}
    return environment


def read_template(name: str) -> str:
    """A file of the templates' folder as text."""
    return files("equipoise.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _make_harmless(value: object) -> object:
    """What the template prints, made harmless: it is escaped after this, never before."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return harmless(clipped(value))


def _clip_traceback(value: str) -> Markup:
    """The end of a traceback, which says most."""
    cut = f"… (the end of {len(value):,} characters)\n" if len(value) > _TAIL else ""
    return _mark_whole(cut + value[-_TAIL:])


def _mark_whole(value: str) -> Markup:
    """A text that has its own limit, not cut again; for between tags, where quotes are harmless."""
    return Markup(escape(visible(value), quote=False))
