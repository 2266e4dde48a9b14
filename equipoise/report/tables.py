"""Tables and sentences of measurements and comparisons as plain text and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.conclusions import Comparison, model_title
from equipoise.number_text import interval
from equipoise.records import Measurement
from equipoise.report.formatting import form_text, group_name, probability, start_text, visible
from equipoise.report.friendlier import friendlier_sentence
from equipoise.report.harm_sentences import harm_sentence
from equipoise.report.nulls import null_span
from equipoise.report.sentences import describe_settings, headlines, sentence
from equipoise.report.written import harms_of
from equipoise.stats.verdict import halves_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text; every row is as long as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def measurement_table(measurement: Measurement, *, groups: bool = True) -> Table:
    """A row per estimate: metric, group, value with interval, ideal, n, clusters.

    Where there are nulls, beside the ideal what rules without bias get, the lowest to the highest.
    """
    spans = [null_span(measurement, e) for e in measurement.estimates]
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
        for e, span in zip(measurement.estimates, spans, strict=True)
        if groups or not e.group
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
    title = f"{measurement.benchmark} ({measurement.split}) on {model_title(measurement)}"
    table = measurement_table(measurement, groups=groups)
    info = measurement.model_info
    asked = {"start": start_text(info), "form": form_text(info)}
    head = [title, *(f"{name}: {text}" for name, text in asked.items() if text), ""]
    return _to_text(head, table, len(measurement.estimates), measurement.notes)


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
