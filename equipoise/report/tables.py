"""Tables and sentences of measurements and comparisons as plain text and as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Change, Comparison
from equipoise.records import Estimate, Measurement
from equipoise.report.sanitize import visible
from equipoise.report.sentences import group_name as group_name
from equipoise.report.sentences import headlines as headlines
from equipoise.report.sentences import interval as interval
from equipoise.report.sentences import numbers as numbers
from equipoise.report.sentences import probability as probability
from equipoise.report.sentences import sentence as sentence
from equipoise.report.sentences import verdict_sentence as verdict_sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text; every row is as long as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def measurement_table(measurement: Measurement, *, groups: bool = True) -> Table:
    """One row per estimate: metric, group, value with interval, ideal, n, clusters."""
    header = ("metric", "group", "value [95 % interval]", "unit", "ideal", "n", "clusters")
    shown = [estimate for estimate in measurement.estimates if groups or not estimate.group]
    return Table(header=header, rows=tuple(_estimate_row(estimate) for estimate in shown))


def comparison_table(comparison: Comparison, *, groups: bool = True) -> Table:
    """One row per change: metric, group, before, after, difference, ideal, p (Holm), direction."""
    header = ("metric", "group", "before", "after", "difference", "ideal", "p", "n", "direction")
    shown = [change for change in comparison.changes if groups or not change.group]
    return Table(header=header, rows=tuple(_change_row(change) for change in shown))


def measurement_text(measurement: Measurement, *, groups: bool = True) -> str:
    """A measurement for a terminal: what was measured, its table, its notes.

    Without `groups` the overall rows alone, and a note of how many others there are.
    """
    title = f"{measurement.benchmark} ({measurement.split}) on {measurement.model}"
    table = measurement_table(measurement, groups=groups)
    left = _left_out(len(measurement.estimates) - len(table.rows))
    return _text([title, ""], table, (*left, *measurement.notes))


def comparison_text(comparison: Comparison, *, groups: bool = True) -> str:
    """A comparison for a terminal: the verdict in sentences, its table, its notes.

    Without `groups` as `measurement_text`.
    """
    before, after = comparison.before, comparison.after
    said = [sentence(headline, before.benchmark) for headline in headlines(comparison)]
    title = f"{before.benchmark} ({before.split}): {before.model} → {after.model}"
    table = comparison_table(comparison, groups=groups)
    left = _left_out(len(comparison.changes) - len(table.rows))
    return _text([title, "", *said, ""], table, (*left, *comparison.notes))


def _left_out(rows: int) -> tuple[str, ...]:
    return (f"{rows} rows of groups are not shown, --groups shows them",) if rows else ()


def _text(lead: Sequence[str], table: Table, notes: Sequence[str]) -> str:
    lines = [*lead, plain(table), *(f"note: {note}" for note in notes)]
    return visible("\n".join(lines))  # a terminal obeys control characters, too


def plain(table: Table) -> str:
    """The table in columns of equal width, as plain text and as Markdown."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(table.header))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_pad_line(line, widths) for line in (table.header, rule, *table.rows))


def markdown(table: Table) -> str:
    """The table in Markdown; a bar inside a cell is escaped."""
    rule = ["---"] * len(table.header)
    return "\n".join(_join_bars(line) for line in (table.header, rule, *table.rows))


def _pad_line(line: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _join_bars(line: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in line)
    return "| " + " | ".join(escaped) + " |"


def _estimate_row(estimate: Estimate) -> tuple[str, ...]:
    value = interval(estimate.value, estimate.low, estimate.high)
    if estimate.reason:
        value += f" ({estimate.reason})"
    ideal = "" if estimate.ideal is None else f"{estimate.ideal:g}"
    return (
        estimate.metric,
        group_name(estimate.group),
        value,
        estimate.unit,
        ideal,
        str(estimate.n),
        str(estimate.clusters),
    )


def _change_row(change: Change) -> tuple[str, ...]:
    return (
        change.metric,
        group_name(change.group),
        interval(change.before, change.before_low, change.before_high),
        interval(change.after, change.after_low, change.after_high),
        interval(change.difference, change.low, change.high),
        "" if change.ideal is None else f"{change.ideal:g}",
        probability(change.p_holm),
        str(change.n),
        change.direction,
    )
