"""What a page of measurements says first: the answer, the headline numbers, the groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from markupsafe import Markup

from equipoise.answer import Reading, State, answer, readings
from equipoise.number_text import brackets, numbers
from equipoise.records import Measurement
from equipoise.report.axis import Axis, axis_of, minus, whisker
from equipoise.report.nulls import null_span
from equipoise.report.overview import measured_bases
from equipoise.report.row_html import badge_html, text_of
from equipoise.report.rows import Badge, Cell, cell
from equipoise.slices import Evidence, Slice, SliceTable
from equipoise.study.study import Study

_MOST_NAMED: Final = 100  # groups without a value

#: What a headline number says, in a word or two with a color.
STATES: Mapping[State, tuple[Badge, str]] = {
    "biased": (
        Badge("worse", "bias shown"),
        "its interval holds neither the ideal nor what any rule without bias gets",
    ),
    "even": (Badge("unchanged", "no bias shown"), "its interval holds the ideal"),
    "null": (
        Badge("unclear", "as a rule gets"),
        "its interval meets what a rule gets that knows of no bias, or understands nothing",
    ),
    "few": (Badge("unknown", "insufficient"), "too few independent items to show anything"),
    "bare": (Badge("unknown", "no interval"), "without an interval a number shows nothing"),
    "lost": (Badge("unknown", "not measured"), "it could not be measured; the reason is beside it"),
    "able": (Badge("better", "able"), "more than any rule gets that understands nothing"),
    "plain": (Badge("unchanged", "a number"), "it has neither an ideal nor a direction"),
}
#: Likewise of a group.
EVIDENCE: Mapping[Evidence, tuple[Badge, str]] = {
    "apart": (
        Badge("worse", "apart"),
        "its interval excludes the ideal, or the value of all items",
    ),
    "not apart": (Badge("unchanged", "not apart"), "its interval holds it"),
    "insufficient": (
        Badge("unknown", "insufficient evidence"),
        "fewer than 6 independent units, or even half of the largest possible effect would have "
        "been missed",
    ),
}


class AnswerView(NamedTuple):
    """The answer of a model as it is."""

    model: str
    sentences: tuple[str, ...]
    rows: tuple["ReadingRow", ...]


class ReadingRow(NamedTuple):
    """A headline number."""

    benchmark: str  # what it is called, with what tells it apart
    reading: Reading
    measurement: Measurement
    value: Cell
    nulls: str  # what rules without bias get, the lowest to the highest
    badge: Badge


def answer_views(study: Study) -> list[AnswerView]:
    """The answer of each model as it is, in the study's order."""
    views = []
    for model, known in measured_bases(study).items():
        measurements = list(known.values())
        if measurements:
            views.append(
                AnswerView(model, answer(measurements), tuple(_reading_rows(measurements)))
            )
    return views


def _reading_rows(measurements: Sequence[Measurement]) -> Iterator[ReadingRow]:
    every = iter(readings(measurements))
    for measurement in measurements:
        for reading in (next(every) for _ in readings([measurement])):
            estimate = reading.estimate
            yield ReadingRow(
                benchmark=reading.name.removesuffix(f" {estimate.metric}"),
                reading=reading,
                measurement=measurement,
                value=cell(estimate.value, estimate.low, estimate.high),
                nulls=minus(null_span(measurement, estimate)),
                badge=state_badge(reading.state),
            )


def state_badge(state: State) -> Badge:
    """The word for what a number says."""
    return STATES[state][0]


def said_on(
    views: Sequence[AnswerView], measurements: Sequence[Measurement]
) -> list[tuple[Badge, str]]:
    """The badges of numbers and groups that a page shows, each with what it says."""
    states = {row.reading.state for view in views for row in view.rows}
    tables = [table for measurement in measurements for table in measurement.slices]
    evidence = {each.evidence for table in tables for each in table.slices}
    return [STATES[state] for state in STATES if state in states] + [
        EVIDENCE[kind] for kind in EVIDENCE if kind in evidence
    ]


# --- groups -----------------------------------------------------------------------------------


class SliceView(NamedTuple):
    """A table of groups on a scale of its own."""

    title: str  # "axis", "axis × polarity"
    table: SliceTable  # of the groups that have a value
    axis: Axis
    sentences: tuple[str, ...]  # worst group, difference, ratio, groups without a value


def slice_views(measurement: Measurement) -> list[SliceView]:
    """The tables of a measurement's groups."""
    views = []
    for table in measurement.slices:
        valued = tuple(each for each in table.slices if math.isfinite(each.value))
        sentences = tuple(slice_sentences(table))
        shown = replace(table, slices=valued)
        views.append(SliceView(" × ".join(table.by), shown, _axis(shown), sentences))
    return views


def _axis(table: SliceTable) -> Axis:
    ends = [end for each in table.slices for end in (each.value, each.low, each.high)]
    return axis_of(ends, ideal=table.reference)


def slice_sentences(table: SliceTable) -> Iterator[str]:
    """The worst group, the largest difference and the ratio, each with its interval.

    Last the groups that have no value, which are no rows.
    """
    yield from _say_compared(table)
    without = [slice_name(each) for each in table.slices if not math.isfinite(each.value)]
    if without:
        more = f" and {len(without) - _MOST_NAMED} more" if len(without) > _MOST_NAMED else ""
        yield f"Without a value: {', '.join(without[:_MOST_NAMED])}{more}."


def _say_compared(table: SliceTable) -> Iterator[str]:
    worst = table.worst
    if worst is None:
        yield "No group has enough items to be compared: insufficient evidence."
        return
    value, low, high = numbers(worst.value, worst.low, worst.high)
    yield (
        f"Worst: {slice_name(worst)}, {value} {brackets(low, high)}, corrected for its choice out "
        f"of {len(table.compared)}."
    )
    if math.isfinite(table.difference[0]):
        value, low, high = numbers(*table.difference)
        shown = "shown" if table.differs else "not shown to be above 0"
        yield f"Largest difference: {value} {brackets(low, high)}, {shown}.".replace(" ,", ",")
    if math.isfinite(table.ratio[0]):
        value, low, high = numbers(*table.ratio)
        yield f"Ratio of the smallest to the largest: {value} {brackets(low, high)}.".replace(
            " .", "."
        )


def slice_name(shown: Slice) -> str:
    """What a group is called."""
    return " × ".join(shown.group.values())


def slice_rows(view: SliceView, grid: str, most: int) -> Markup:
    """A row per group on the scale whose grid has that id, those apart first, at most so many."""
    lines = []
    for each in shown_slices(view.table, most):
        value = cell(each.value, each.low, each.high)
        dot = whisker(each.value, each.low, each.high, axis=view.axis)
        mark = ""
        if dot is not None:
            mark = (
                f'<svg y="50%"><line class="p" x1="{dot.low}%" x2="{dot.high}%"/>'
                f'<circle class="p" cx="{dot.value}%" r="4"/></svg>'
            )
        interval = f" <small>{value.interval}</small>" if value.interval else ""
        seen = "none" if math.isnan(each.detectable) else minus(numbers(each.detectable)[0])
        lines.append(
            f'<tr><th scope="row" dir="auto">{text_of(slice_name(each))}</th>'
            f'<td class="n" data-label="value">{value.value}{interval}</td>'
            f'<td class="plot"><svg class="w" role="img" aria-label="{value.text}">'
            f'<use href="#{grid}"/>{mark}</svg></td>'
            f'<td class="n" data-label="items / units">{each.n}<span class="quiet"> / {each.units}'
            f'</span></td><td class="n" data-label="could have been seen">{seen}</td>'
            f"<td>{badge_html(EVIDENCE[each.evidence][0])}</td></tr>"
        )
    return Markup("\n".join(lines))


def shown_slices(table: SliceTable, most: int) -> list[Slice]:
    """The groups in their order; of more than `most` those apart, then the farthest."""
    if len(table.slices) <= most:
        return [*table.slices]
    order = ("apart", "not apart", "insufficient")
    return sorted(
        table.slices,
        key=lambda each: (order.index(each.evidence), -abs(each.value - table.reference)),
    )[:most]
