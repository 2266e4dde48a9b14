"""Tables and sentences of measurements and comparisons as plain text and as Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.answer import headline_estimates
from equipoise.conclusions import Comparison, model_title, title_of
from equipoise.number_text import group_name, interval, numbers, probability
from equipoise.records import Measurement
from equipoise.report.formatting import form_text, start_text, visible
from equipoise.report.friendlier import friendlier_sentence
from equipoise.report.harm_sentences import harm_sentence
from equipoise.report.nulls import null_span
from equipoise.report.sentences import describe_settings, headlines, sentence
from equipoise.report.summary import EVIDENCE, shown_slices, slice_name, slice_views
from equipoise.report.written import harms_of
from equipoise.slices import Slice, SliceTable
from equipoise.stats.verdict import halves_of

_MOST_SLICES = 16  # groups of a table in a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text; every row is as long as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def measurement_table(
    measurement: Measurement, *, groups: bool = True, metrics: Sequence[str] | None = None
) -> Table:
    """A row per estimate: metric, group, value with interval, ideal, n, clusters.

    Where there are nulls, beside the ideal what rules without bias get, the lowest to the highest.
    `metrics`: their names, in their order; None for all.
    """
    estimates = [e for e in measurement.estimates if groups or not e.group]
    if metrics is not None:
        estimates = [e for metric in metrics for e in estimates if e.metric == metric]
    spans = [null_span(measurement, e) for e in estimates]
    nulls = any(spans)
    header = (
        *("metric", "group", "value [95 % interval]", "unit", "ideal"),
        *(("without bias",) if nulls else ()),
        *("n", "clusters"),
    )
    rows = tuple(
        (
            e.metric,
            group_name(e.group),
            interval(e.value, e.low, e.high) + (f" ({e.reason})" if e.reason else ""),
            e.unit,
            _format_ideal(e.ideal),
            *((span,) if nulls else ()),
            str(e.n),
            str(e.clusters),
        )
        for e, span in zip(estimates, spans, strict=True)
    )
    return Table(header=header, rows=rows)


def comparison_table(comparison: Comparison, *, groups: bool = True) -> Table:
    """A row per change: metric, group, before, after, difference, ideal, p (Holm), direction."""
    header = ("metric", "group", "before", "after", "difference", "ideal", "p", "n", "direction")
    rows = tuple(
        (
            change.metric,
            group_name(change.group),
            interval(change.before, change.before_low, change.before_high),
            interval(change.after, change.after_low, change.after_high),
            interval(change.difference, change.low, change.high),
            _format_ideal(change.ideal),
            probability(change.p_holm),
            str(change.n),
            change.direction,
        )
        for change in comparison.changes
        if groups or not change.group
    )
    return Table(header=header, rows=rows)


def _format_ideal(ideal: float | None) -> str:
    return "" if ideal is None else f"{ideal:g}"


def measurement_text(measurement: Measurement, *, groups: bool = True) -> str:
    """A measurement for a terminal: what was measured, its table, its notes.

    Without `groups` the overall rows alone, and a note of how many others there are.
    """
    table = measurement_table(measurement, groups=groups)
    head = [*_head_lines(measurement), ""]
    return _to_text(head, table, len(measurement.estimates), measurement.notes)


def _head_lines(measurement: Measurement) -> list[str]:
    """What was measured on what, and how it was asked."""
    title = f"{measurement.benchmark} ({measurement.split}) on {model_title(measurement)}"
    info = measurement.model_info
    asked = {"start": start_text(info), "form": form_text(info)}
    return [title, *(f"{name}: {text}" for name, text in asked.items() if text)]


def headline_text(measurement: Measurement, *, groups: bool = False) -> str:
    """A measurement for a terminal in short: its headline numbers, without notes.

    `groups`: the tables of its groups (`Measurement.slices`), too.
    """
    names = [estimate.metric for estimate in headline_estimates(measurement)]
    parts = ["\n".join(_head_lines(measurement))]
    parts += [plain(measurement_table(measurement, groups=False, metrics=names))]
    for view in slice_views(measurement) if groups else ():
        title = f"{view.table.metric} by {view.title}:"
        shown = shown_slices(view.table, _MOST_SLICES)
        left_out = len(view.table.slices) - len(shown)
        more = [f"{left_out} further groups show less; the stored results hold them"]
        table = plain(slice_table(view.table, shown))
        parts += ["\n".join((title, table, *view.sentences, *(more if left_out else [])))]
    return visible("\n\n".join(parts))


def slice_table(table: SliceTable, slices: Sequence[Slice]) -> Table:
    """A row per group: value, with an interval that holds for all, and what it could have shown."""
    header = (
        *(" × ".join(table.by), "value [95 % interval of all]", "n"),
        *("units" if table.units == "item" else table.units, "could have been seen", "evidence"),
    )
    rows = tuple(
        (
            slice_name(each),
            interval(each.value, each.low, each.high),
            str(each.n),
            str(each.units),
            "none" if math.isnan(each.detectable) else numbers(each.detectable)[0],
            EVIDENCE[each.evidence][0].word,
        )
        for each in slices
    )
    return Table(header=header, rows=rows)


def notes_text(measurements: Sequence[Measurement]) -> str:
    """The notes of measurements for a terminal, each once, under the benchmarks that have it."""
    notes: dict[str, list[str]] = {}
    for measurement in measurements:
        for note in measurement.notes:
            notes.setdefault(note, []).append(title_of(measurement))
    titled = len({title for titles in notes.values() for title in titles}) > 1
    lines = [
        f"note ({', '.join(dict.fromkeys(titles))}): {note}" if titled else f"note: {note}"
        for note, titles in notes.items()
    ]
    return visible("\n".join(lines))


def comparison_text(comparison: Comparison, *, groups: bool = True) -> str:
    """A comparison for a terminal: the verdict in sentences, its table, its notes.

    Without `groups` as `measurement_text`.
    """
    before, after = comparison.before, comparison.after
    lead = [f"{before.benchmark} ({before.split}): {model_title(before)} → {model_title(after)}"]
    lead += [*describe_settings(comparison), ""]
    first = headlines(comparison)
    lead += [sentence(each, before.benchmark, comparison.differences) for each in first]
    lead += [f"{harm.rate.metric}: {harm_sentence(harm)}" for harm in harms_of(comparison)]
    lead += [f"{before.benchmark} {friendlier_sentence(each)}" for each in halves_of(comparison)]
    lead += [""]
    table = comparison_table(comparison, groups=groups)
    return _to_text(lead, table, len(comparison.changes), comparison.notes)


def _to_text(lead: Sequence[str], table: Table, rows: int, notes: Sequence[str]) -> str:
    hidden = rows - len(table.rows)
    left_out = [f"{hidden} rows of groups are not shown, --groups shows them"] if hidden else []
    lines = [*lead, plain(table), *(f"note: {note}" for note in (*left_out, *notes))]
    return visible("\n".join(lines))  # a terminal obeys control characters, too


def plain(table: Table) -> str:
    """The table as plain text, in columns that line up."""
    columns = zip(table.header, *table.rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (table.header, rule, *table.rows)
    )


def markdown(table: Table) -> str:
    """The table in Markdown; a bar inside a cell is escaped."""
    rows = (table.header, ["---"] * len(table.header), *table.rows)
    escaped = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
