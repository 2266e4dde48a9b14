"""What a page shows of attributions: a table of attributors, curves, profiles and rows.

BiasDiff's figures 3 (overlap by share) and 4 (bias by removed share), with intervals and baselines.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from equipoise.attributions import (
    AttributionQuality,
    LeaveOutScore,
    QualityEstimate,
    RemovalCurve,
    RemovalPoint,
)
from equipoise.number_text import group_name, probability
from equipoise.records import Estimate
from equipoise.report.axis import Axis, Whisker, axis_of, minus, whisker
from equipoise.report.plots import Point
from equipoise.report.rows import Cell, cell
from equipoise.study.study import Attributed, AttributedRow, Study, Validated

_FIRST = ("average_precision", "auc")  # of statistics
_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "precision_at_prevalence": "precision at prevalence",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An attributor's curve."""

    name: str
    color: int  # of the style sheet, 0 to 4
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlot:
    """Curves of several attributors on the same scales."""

    title: str
    across: Axis
    up: Axis
    across_title: str
    lines: tuple[Line, ...]
    marks: tuple[tuple[str, float], ...] = ()  # what a height stands for, and its place


class RowMark(NamedTuple):
    """A value with its interval beside its name."""

    name: str
    value: Cell
    mark: Whisker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlot:
    """Values under each other on the same scale."""

    title: str
    unit: str
    axis: Axis
    rows: tuple[RowMark, ...]
    notes: tuple[str, ...] = ()


class Score(NamedTuple):
    """A statistic of an attributor: its heading, what chance gives and the most, and its cell."""

    heading: str
    bounds: str  # "chance 0.3, at most 0.86"; "" where there are none
    cell: Cell
    p: str  # of random scores; "" where it is not tested


class AttributorRow(NamedTuple):
    """An attributor in the table, with what is said of it below."""

    name: str
    scores: tuple[Score, ...]
    reason: str | None  # why its numbers are missing


class RowList(NamedTuple):
    """Training rows behind the content warning."""

    title: str
    rows: tuple[AttributedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionView:
    """Attributors of the same rows of a model, as the page shows them."""

    model: str
    facts: str  # rows, labels, probes, in words
    table: tuple[AttributorRow, ...]
    sentences: tuple[str, ...]  # each attributor against each baseline
    curves: tuple[LinePlot, ...]
    profiles: tuple[RowPlot, ...]
    rows: tuple[tuple[str, tuple[RowList, ...]], ...]  # attributor, and its rows
    notes: tuple[str, ...]


def attribution_views(study: Study) -> list[AttributionView]:
    """A view for each model and set of rows, in the study's order."""
    known = {(each.model, each.attributor): each for each in study.attributed}
    views, seen = [], set()
    for validated in study.validated:
        names = [(validated.model, name) for name in validated.attributors]
        seen |= set(names)
        attributed = [known[name] for name in names if name in known]
        if attributed:
            views.append(_view(attributed, validated))
    alone: dict[str, list[Attributed]] = {}
    for name, each in known.items():
        if name not in seen:
            alone.setdefault(each.model, []).append(each)
    for model, attributed in alone.items():
        names_alone = tuple(each.attributor for each in attributed)
        views.append(_view(attributed, Validated(model=model, attributors=names_alone)))
    return views


def _view(attributed: Sequence[Attributed], validated: Validated) -> AttributionView:
    colors = {each.attributor: number % 5 for number, each in enumerate(attributed)}
    baselines = _baselines(validated)
    # the rows of a baseline would bury those of what is studied
    shown = [each for each in attributed if each.attributor not in baselines] or attributed
    curves = [_precision_recall(attributed, colors), *_removal(validated, colors)]
    return AttributionView(
        model=attributed[0].model,
        facts=_facts(attributed),
        table=tuple(_table(attributed, validated)),
        sentences=tuple(_sentences(validated)),
        curves=tuple(curve for curve in curves if curve is not None),
        profiles=(*_leave_out(validated), *map(_profile, shown)),
        rows=tuple((each.attributor, tuple(_row_lists(each))) for each in shown),
        notes=tuple(dict.fromkeys(_notes(attributed, validated))),
    )


def _facts(attributed: Sequence[Attributed]) -> str:
    first = attributed[0].summary
    labels = (
        f"{first.labelled:,} with a label, {first.biased:,} of them biased"
        if first.labelled
        else "none with a label"
    )
    most = max(each.attribution.probes for each in attributed)
    return f"{first.rows:,} training rows, {labels}; {most:,} probes"


# --- the table --------------------------------------------------------------------------------


def _table(attributed: Sequence[Attributed], validated: Validated) -> Iterator[AttributorRow]:
    quality = {each.attributor: each for each in validated.quality}
    leave_out = {each.attributor: each.estimate for each in validated.leave_out}
    for each in attributed:
        scores, reasons = [], []
        judged = quality.get(each.attributor)
        # what is of all rows first
        results = sorted(judged.estimates if judged else (), key=order_of)
        for result in results:
            estimate = result.estimate
            scores.append(
                Score(
                    heading=heading_of(estimate),
                    bounds=f"chance {result.chance:.3g}, at most {result.most:.3g}",
                    cell=cell(estimate.value, estimate.low, estimate.high),
                    p="" if math.isnan(result.p) else probability(result.p),
                )
            )
            reasons.append(estimate.reason)
        if each.attributor in leave_out:
            lds = leave_out[each.attributor]
            shown = cell(lds.value, lds.low, lds.high)
            scores.insert(0, Score("LDS", "chance 0, at most 1", shown, ""))
            reasons.append(lds.reason)
        reason = next((reason for reason in reasons if reason), None)
        yield AttributorRow(each.attributor, tuple(scores), reason)


def order_of(result: QualityEstimate) -> int:
    """Where a statistic stands in tables; those of a place keep their order."""
    metric = result.estimate.metric
    return [*_FIRST, metric].index(metric)


def heading_of(estimate: Estimate) -> str:
    """As in "AUC" or "coverage at 35 %"."""
    share = estimate.group.get("share")
    name = _NAMES.get(estimate.metric, estimate.metric)
    return name if share is None else f"{name} at {100 * float(share):g} %"


def _results(validated: Validated) -> list[AttributionQuality | LeaveOutScore | RemovalCurve]:
    """Everything that is known of each attributor."""
    return [*validated.quality, *validated.leave_out, *validated.removal]


def _baselines(validated: Validated) -> set[str]:
    """Those with which others are compared."""
    return {each.other for result in _results(validated) for each in result.versus}


def _sentences(validated: Validated) -> Iterator[str]:
    """What comparing with baselines shows; baselines among themselves are left out."""
    results, baselines = _results(validated), _baselines(validated)
    for result in results:
        if result.attributor not in baselines:
            yield from (each.sentence for each in result.versus)
    if results and not baselines:
        yield "no baseline was scored beside them: bm25 or tfidf must be beaten for a claim"


def _notes(attributed: Sequence[Attributed], validated: Validated) -> Iterator[str]:
    for each in attributed:
        skipped = each.attribution.skipped
        if skipped:
            reason = next(iter(skipped.values()))
            yield f"{each.attributor}: {len(skipped):,} rows have no score; the first {reason}"
        yield from (f"{each.attributor}: {note}" for note in each.attribution.notes)
    for result in _results(validated):
        yield from (f"{result.attributor}: {note}" for note in result.notes)
    for quality in validated.quality:
        if quality.supporting is not None:
            yield (
                f"{quality.attributor}: {len(quality.supporting):,} rows support the bias beyond "
                "chance, at a false discovery rate of 5 %"
            )
    for score in validated.leave_out[:1]:
        yield (
            f"LDS is over {score.subsets} subsets of {score.fraction:.0%} of the rows with "
            f"{score.seeds} models each; models of two seeds agree by {score.agreement:.2f}"
        )


# --- curves and profiles ------------------------------------------------------------------------


def _precision_recall(
    attributed: Sequence[Attributed], colors: Mapping[str, int]
) -> LinePlot | None:
    drawn = [each for each in attributed if each.summary.curve]
    if not drawn:
        return None
    across, up = axis_of((0.0, 1.0)), axis_of((0.0, 1.0))
    summary = drawn[0].summary
    prevalence = summary.biased / summary.labelled
    return LinePlot(
        title="Precision by recall",
        across=across,
        up=up,
        across_title="share of the biased rows that is selected (recall)",
        lines=tuple(
            Line(
                name=each.attributor,
                color=colors[each.attributor],
                points=tuple(
                    (across.at(recall), Whisker(up.at(value), up.at(value), up.at(value)))
                    for recall, value in each.summary.curve
                ),
            )
            for each in drawn
        ),
        marks=((f"chance, {prevalence:.2g}", up.at(prevalence)),),
    )


def _removal(validated: Validated, colors: Mapping[str, int]) -> Iterator[LinePlot]:
    """Bias, and ability, by the share that is removed; dashed: the model before any training."""
    if not validated.removal:
        return
    first = validated.removal[0]
    shares = [0.0, *(point.share for point in first.points)]
    across = axis_of([100 * share for share in shares])
    for title, name in (("Bias left", "bias"), ("Perplexity of neutral texts", "ability")):
        base = _of(first.base, name)
        points = {
            curve.attributor: [_of(point, name) for point in (curve.full, *curve.points)]
            for curve in validated.removal
        }
        ends = [x for each in points.values() for e in each for x in (e.value, e.low, e.high)]
        up = axis_of([*ends, base.value])
        marks = (("before training", up.at(base.value)),) if math.isfinite(base.value) else ()
        yield LinePlot(
            title=f"{title}, {base.unit}" if base.unit else title,
            across=across,
            up=up,
            across_title="% of the rows removed before training",
            lines=tuple(
                Line(
                    name=attributor,
                    color=colors.get(attributor, 4),
                    points=tuple(_placed(shares, each, across, up)),
                )
                for attributor, each in points.items()
            ),
            marks=marks,
        )


def _of(point: RemovalPoint, name: str) -> Estimate:
    return point.bias if name == "bias" else point.ability


def _placed(
    shares: Sequence[float], estimates: Sequence[Estimate], across: Axis, up: Axis
) -> Iterator[Point]:
    for share, each in zip(shares, estimates, strict=True):
        mark = whisker(each.value, each.low, each.high, axis=up)
        if mark is not None:
            yield across.at(100 * share), mark


def _leave_out(validated: Validated) -> Iterator[RowPlot]:
    if validated.leave_out:
        rows = [(each.attributor, each.estimate) for each in validated.leave_out]
        yield row_plot("Leave-out score (LDS)", "rank correlation", rows)


def _profile(attributed: Attributed) -> RowPlot:
    rows = [(group_name(each.group), each) for each in attributed.summary.profile]
    title = f"{attributed.attributor}: mean score of each kind of row"
    return row_plot(title, attributed.attribution.unit, rows)


def row_plot(title: str, unit: str, named: Iterable[tuple[str, Estimate]]) -> RowPlot:
    """Estimates under each other on a scale with 0."""
    rows = list(named)
    ends = [0.0, *(x for _, each in rows for x in (each.value, each.low, each.high))]
    axis = axis_of(ends, ticks=2)  # the plots are narrow
    return RowPlot(
        title=title,
        unit=unit,
        axis=axis,
        rows=tuple(
            RowMark(
                name,
                cell(each.value, each.low, each.high),
                whisker(each.value, each.low, each.high, axis=axis),
            )
            for name, each in rows
        ),
    )


def _row_lists(attributed: Attributed) -> Iterator[RowList]:
    summary = attributed.summary
    lists = (
        ("support the bias most", summary.most),
        ("support it least", summary.least),
        ("are labelled otherwise and rank among the biased", summary.neutral),
    )
    for title, rows in lists:
        if rows:
            yield RowList(title, rows)


def row_caption(row: AttributedRow) -> str:
    """As in "rank 3, score 0.412; label biased, axis age"."""
    score = minus(f"{row.score:.3g}")
    groups = f"; {group_name(row.groups)}" if row.groups else ""
    return f"rank {row.rank:,}, score {score}{groups}"
