"""Rows of changes and of estimates as HTML: in Python, since a page has thousands of them.

What the style sheet can say once (where a whisker lies below its row's top) no row repeats.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from equipoise.conclusions import Change, title_of
from equipoise.number_text import group_name
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import Axis, minus, whisker
from equipoise.report.definitions import Terms
from equipoise.report.formatting import LONGEST_NAME, clipped, harmless
from equipoise.report.nulls import null_spans
from equipoise.report.rows import (
    Badge,
    Cell,
    badge_of,
    cell,
    estimate_axis,
    p_cell,
    plain_cell,
    shared_axis,
)
from equipoise.report.sentences import subject
from equipoise.study.study import Chapter

_BEGIN, _END = 14, 86  # percent: nearer to an end, an ideal's label begins or ends at its line
_CHANGE_COLUMNS, _READING_COLUMNS = 9, 4


def change_rows(
    rows: Iterable[tuple[Markup, Change]], measurement: Measurement | None, *, plots: bool = True
) -> Markup:
    """A row per named change, each on a scale of its own; reasons below unless all share them."""
    rows = list(rows)
    plot: Callable[[Change, str], str] = _own_plot if plots else lambda *_: ""
    return _join_changes(rows, measurement, plot, units=True)


def forest_rows(
    changes: Sequence[Change], measurement: Measurement | None, axis: Axis, grid: str
) -> Markup:
    """A row per change of a group, all on the scale whose grid has that id."""

    def plot(change: Change, sides: str) -> str:
        drawn = _marks(change, axis, "50%")
        return f'<svg class="w" role="img" aria-label="{sides}"><use href="#{grid}"/>{drawn}</svg>'

    named = [(text_of(group_name(change.group)), change) for change in changes]
    return _join_changes(named, measurement, plot, units=False)


def estimate_rows(rows: Iterable[tuple[Markup, Estimate]], measurement: Measurement) -> Markup:
    """A row per named estimate, each on a scale of its own."""
    rows, spans = list(rows), null_spans(measurement)
    notes = common_reason([estimate for _, estimate in rows]) is None
    lines = []
    for name, estimate in rows:
        value = cell(estimate.value, estimate.low, estimate.high)
        unit = f' <span class="unit">{text_of(estimate.unit)}</span>' if estimate.unit else ""
        noted = ' class="noted"' if estimate.reason and notes else ""
        lines.append(
            f'<tr{noted}><th scope="row" dir="auto">{name}{unit}</th>'
            f"{_number(value, _span(spans, estimate))}"
            f'<td class="plot">{_point_plot(estimate, value)}</td>{_count(estimate)}</tr>'
        )
        lines.append(_note(estimate.reason, _READING_COLUMNS) if notes else "")
    return Markup("\n".join(filter(None, lines)))


def named_changes(
    changes: Iterable[Change], measurement: Measurement | None = None, terms: Terms | None = None
) -> list[tuple[Markup, Change]]:
    """Each change under its metric, explained by `terms`, and group."""
    name = Terms().name if terms is None else terms.name
    return [(name(measurement, change), change) for change in changes]


def named_estimates(
    estimates: Iterable[Estimate],
    measurement: Measurement | None = None,
    terms: Terms | None = None,
) -> list[tuple[Markup, Estimate]]:
    """Each estimate likewise."""
    name = Terms().name if terms is None else terms.name
    return [(name(measurement, estimate), estimate) for estimate in estimates]


def headline_rows(chapter: Chapter, terms: Terms) -> list[tuple[Markup, Change]]:
    """What a verdict rests on, each change under what a sentence calls it."""
    measured = {title_of(each.before): each.before for each in chapter.comparisons}
    rows = []
    for headline in (*chapter.verdict.bias, *chapter.verdict.ability):
        text, before = (
            subject(headline.change, headline.benchmark),
            measured.get(headline.benchmark),
        )
        name = text_of(text) if before is None else terms.button(before, headline.change, text)
        rows.append((name, headline.change))
    return rows


def text_of(text: str) -> Markup:
    """A name as it stands in a cell."""
    return Markup(escape(harmless(clipped(text, LONGEST_NAME))))


def common_reason(records: Sequence[Change | Estimate]) -> str | None:
    """The reason that several rows share; None if they differ, or for a single row."""
    reasons = {record.reason for record in records}
    return reasons.pop() if len(records) > 1 and len(reasons) == 1 else None


def _join_changes(
    rows: Sequence[tuple[Markup, Change]],
    measurement: Measurement | None,
    plot: Callable[[Change, str], str],
    *,
    units: bool,
) -> Markup:
    spans = {} if measurement is None else null_spans(measurement)
    notes = common_reason([change for _, change in rows]) is None
    lines = []
    for name, change in rows:
        unit = f' <span class="unit">{text_of(change.unit)}</span>' if units and change.unit else ""
        state = badge_of(change)
        noted = ' class="noted"' if change.reason and notes else ""
        before = cell(change.before, change.before_low, change.before_high)
        after = cell(change.after, change.after_low, change.after_high)
        sides = f"{before.value} → {after.value}"
        lines.append(
            f'<tr{noted} data-tone="{state.tone}"><th scope="row" dir="auto">{name}{unit}</th>'
            f"{_number(before, _span(spans, change))}{_number(after)}"
            f'<td class="plot">{plot(change, sides)}</td>'
            f"{_number(cell(change.difference, change.low, change.high))}"
            f"<td>{badge_html(state)}</td>{_number(plain_cell(change.effect))}"
            f"{_number(p_cell(change.p_holm))}{_count(change)}</tr>"
        )
        lines.append(_note(change.reason, _CHANGE_COLUMNS) if notes else "")
    return Markup("\n".join(filter(None, lines)))


def badge_html(state: Badge) -> Markup:
    """A direction as a word with its color."""
    return Markup(f'<b class="badge {state.tone}">{state.word}</b>')


def _number(shown: Cell, span: str = "") -> str:
    interval = f" <small>{shown.interval}</small>" if shown.interval else ""
    nulls = f' <span class="quiet nulls">without bias {minus(span)}</span>' if span else ""
    return f"<td>{shown.value}{interval}{nulls}</td>"


def _count(shown: Change | Estimate) -> str:
    return f'<td>{shown.n}<span class="quiet"> / {shown.clusters}</span></td>'


def _note(reason: str | None, columns: int) -> str:
    if not reason:
        return ""
    return f'<tr class="note"><td colspan="{columns}" dir="auto">{text_of(reason)}</td></tr>'


def _span(
    spans: Mapping[tuple[str, frozenset[tuple[str, str]]], str], shown: Change | Estimate
) -> str:
    return spans.get((shown.metric, frozenset(shown.group.items())), "") if spans else ""


# --- plots in rows ----------------------------------------------------------------------------


def _marks(change: Change, axis: Axis, middle: str) -> str:
    """Before above `middle`, after below."""
    parts = []
    for side, values in (
        ("b", (change.before, change.before_low, change.before_high)),
        ("a", (change.after, change.after_low, change.after_high)),
    ):
        mark = whisker(*values, axis=axis)
        if mark is not None:
            parts.append(
                f'<line class="{side}" x1="{mark.low}%" x2="{mark.high}%"/>'
                f'<circle class="{side}" cx="{mark.value}%" r="4"/>'
            )
    return f'<svg y="{middle}">{"".join(parts)}</svg>'


def axis_under(axis: Axis) -> Markup:
    """The scale below a row's marks."""
    parts = ['<line class="t" x2="100%"/>']
    parts += [
        f'<line class="k" x1="{tick.place}%" x2="{tick.place}%" y2="6"/>'
        f'<text{_side(tick.place, 10, 90)} x="{tick.place}%">{tick.text}</text>'
        for tick in axis.free_ticks
    ]
    if axis.ideal:
        place = axis.ideal.place
        parts.append(
            f'<line class="i" x1="{place}%" x2="{place}%" y2="34"/>'
            f'<text{_side(place, _BEGIN, _END, "ideal")} x="{place}%">'
            f"ideal {axis.ideal.text}</text>"
        )
    return Markup("".join(parts))


def _side(place: float, begin: float, end: float, name: str = "") -> str:
    """The classes of a label: nearer to an end it begins or ends at its place."""
    names = [name, "begin" if place < begin else "end" if place > end else ""]
    text = " ".join(filter(None, names))
    return f' class="{text}"' if text else ""


def _own_plot(change: Change, sides: str) -> str:
    axis = shared_axis([change])
    return (
        f'<svg class="own" role="img" aria-label="{sides}">{axis_under(axis)}'
        f"{_marks(change, axis, '14')}</svg>"
    )


def _point_plot(estimate: Estimate, value: Cell) -> str:
    axis = estimate_axis(estimate)
    dot = whisker(estimate.value, estimate.low, estimate.high, axis=axis)
    ideal = f", ideal {axis.ideal.text}" if axis.ideal else ""
    mark = ""
    if dot is not None:
        mark = (
            f'<line class="p" x1="{dot.low}%" x2="{dot.high}%"/>'
            f'<circle class="p" cx="{dot.value}%" r="4"/>'
        )
    return (
        f'<svg class="own" role="img" aria-label="{value.text}{ideal}">{axis_under(axis)}{mark}'
        "</svg>"
    )
