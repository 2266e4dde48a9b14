"""How strength falls with the number of removed heads: the curve that an edit's report stores.

BiasGym, figure 9, with what it lacks: intervals, the chosen number, and random heads beside it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from equipoise.number_text import interval
from equipoise.records import JSON
from equipoise.report.axis import Axis, Tick, axis_of, minus, whisker
from equipoise.report.plots import Point

#: Each kind of random heads in words, by its name in a report.
CONTROLS: Mapping[str, str] = {"layer": "of the same blocks", "norm": "of similar output"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    strength: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried(_Mean):
    k: int
    perplexity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elbow:
    k: int
    low: float | None
    high: float | None
    start: float
    slope: float | None
    floor: float
    breakpoint: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    points: tuple[_Tried, ...]
    examples: int
    elbow: _Elbow | None
    cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strength:
    of: str
    unit: str
    before: _Mean
    after: _Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class _Control:
    strengths: tuple[float, ...]
    mean: float | None
    p: float | None
    reason: str = ""  # why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What is read of the report of a `head_steering` edit; there is more in it."""

    k: int
    curve: _Curve
    strength: _Strength
    controls: Mapping[str, _Control] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


_REPORT = TypeAdapter(_Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElbowPlot:
    """The curve of an edit; places in percent of the plot."""

    seed: str
    unit: str
    points: list[Point]  # strength with its interval
    line: list[tuple[float, float]]  # the fit: from the left to the breakpoint, to the right
    chosen: Tick  # where the number of heads stands
    dots: dict[str, list[tuple[float, float]]]  # random heads by kind in words, a little aside
    beyond: float | None  # from here on perplexity rises too much
    across: Axis  # number of heads
    axis: Axis  # strength
    sentences: list[str]
    notes: tuple[str, ...]


def elbow_plots(edits: Sequence[Mapping[str, JSON]]) -> list[ElbowPlot]:
    """A plot for each edit whose report has a curve; none for others, or a damaged report."""
    plots = []
    for edit in edits:
        try:
            report = _REPORT.validate_python(edit.get("report"))
        except ValidationError:
            continue
        if report.curve.points:
            plots.append(_plot(report, seed=str(edit.get("seed"))))
    return plots


def _plot(report: _Report, *, seed: str) -> ElbowPlot:
    curve, elbow = report.curve, report.curve.elbow
    last = max(point.k for point in curve.points)
    spans = [(point.k, _span(point)) for point in curve.points]
    controls = {CONTROLS.get(kind, kind): value for kind, value in report.controls.items()}
    fit: list[tuple[float, float]] = []
    if elbow is not None and elbow.breakpoint is not None:
        fit = [(0, elbow.start), (elbow.breakpoint, elbow.floor), (max(last, 1), elbow.floor)]
    values = [x for _, span in spans for x in span] + [y for _, y in fit]
    values += [x for control in controls.values() for x in control.strengths]
    across, axis = axis_of([0.0, float(last)]), axis_of([0.0, *values])
    marks = [(across.at(k), whisker(*span, axis=axis)) for k, span in spans]
    exceeded = [point.k for point in curve.points if point.k > curve.cap]
    return ElbowPlot(
        seed=seed,
        unit=report.strength.unit,
        points=[(x, mark) for x, mark in marks if mark is not None],
        line=[(across.at(x), axis.at(y)) for x, y in fit],
        chosen=Tick(across.at(report.k), str(report.k)),
        dots={
            kind: [(across.at(report.k), axis.at(value)) for value in control.strengths]
            for kind, control in controls.items()
        },
        beyond=across.at(min(exceeded)) if exceeded else None,
        across=across,
        axis=axis,
        sentences=list(_sentences(report, controls)),
        notes=report.notes,
    )


def _sentences(report: _Report, controls: Mapping[str, _Control]) -> Iterator[str]:
    """What the plot shows, in words."""
    strength, elbow = report.strength, report.curve.elbow
    before, after = (_span(side) for side in (strength.before, strength.after))
    heads = "head" if report.k == 1 else "heads"
    yield (
        f"{report.k} {heads}: strength {minus(interval(*before))} before, "
        f"{minus(interval(*after))} after ({strength.unit}; {report.curve.examples} examples "
        "that no head was located on)"
    )
    if elbow is not None and elbow.k:
        known = elbow.low is not None and elbow.high is not None
        ends = f" [{elbow.low:.3g}, {elbow.high:.3g}]" if known else ""
        yield f"elbow at {elbow.k}{ends} heads"
    for kind, control in controls.items():
        if control.mean is None or control.p is None:
            yield f"no random heads {kind} to compare with: {control.reason}"
            continue
        yield (
            f"as many random heads {kind} leave {minus(f'{control.mean:.3g}')} on average, "
            f"p = {control.p:.2g} of {len(control.strengths)} draws"
        )
    ratios = [point.perplexity for point in report.curve.points if point.k <= report.k]
    yield f"perplexity on neutral texts changes by {minus(f'{100 * (ratios[-1] - 1):+.2g}')} %"


def _span(mean: _Mean) -> tuple[float, float, float]:
    """Value, low and high; nan for what there is not."""
    values = (mean.strength, mean.low, mean.high)
    first, second, third = (math.nan if value is None else value for value in values)
    return first, second, third
