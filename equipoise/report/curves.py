"""Calibrations for the page: each metric's reading against the strength that was planted."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from equipoise.report.axis import Axis, Whisker, axis_of, minus, whisker
from equipoise.report.sentences import interval
from equipoise.stats.calibration import Calibration, Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlot:
    """One metric: its readings with intervals, the line through them, its ideal."""

    metric: str
    unit: str
    points: tuple[tuple[float, Whisker], ...]
    across: Axis  # planted strength
    axis: Axis  # reading
    line: tuple[tuple[float, float], ...]  # its two ends, or nothing
    slope: str
    monotone: str
    at_zero: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """One benchmark."""

    benchmark: str
    about: str
    plots: tuple[CurvePlot, ...]


def curves(calibration: Calibration) -> Curves:
    """Every metric that has a finite reading, and how many have none."""
    drawn = [
        curve
        for curve in calibration.curves
        if any(math.isfinite(reading.estimate.value) for reading in curve.readings)
    ]
    silent = len(calibration.curves) - len(drawn)
    worlds = f"{len(calibration.strengths)} strengths, {len(calibration.seeds)} seeds of the world"
    return Curves(
        benchmark=calibration.benchmark,
        about=f"version {calibration.version}; {worlds}" + _silent(silent),
        plots=tuple(_plot(one) for one in drawn),
    )


def _silent(count: int) -> str:
    if not count:
        return ""
    return f"; {count} {'metric has' if count == 1 else 'metrics have'} no finite reading"


def _plot(one: Curve) -> CurvePlot:
    estimates = [reading.estimate for reading in one.readings]
    ends = _ends(one)
    shown = [x for e in estimates for x in (e.value, e.low, e.high)]
    axis = axis_of((*shown, *(y for _, y in ends)), ideal=one.ideal)
    across = axis_of((reading.strength for reading in one.readings), ticks=2)
    placed = [
        (across.at(reading.strength), whisker(e.value, e.low, e.high, axis=axis))
        for reading, e in zip(one.readings, estimates, strict=True)
    ]
    return CurvePlot(
        metric=one.metric,
        unit=one.unit,
        points=tuple((x, found) for x, found in placed if found is not None),
        across=across,
        axis=axis,
        line=tuple((across.at(x), axis.at(y)) for x, y in ends),
        slope=minus(interval(one.slope, one.slope_low, one.slope_high)),
        monotone="n/a" if math.isnan(one.spearman) else minus(f"{one.spearman:.2f}"),
        at_zero=", ".join(_at_zero(one)) or "n/a",
        reason=one.reason,
    )


def _at_zero(one: Curve) -> Iterable[str]:
    for reading in one.at_zero():
        e = reading.estimate
        yield minus(interval(e.value, e.low, e.high))


def _ends(one: Curve) -> tuple[tuple[float, float], ...]:
    """Where the least-squares line begins and ends: (strength, reading); nothing without a line."""
    kept = [r for r in one.readings if math.isfinite(r.estimate.value)]
    if not kept or not math.isfinite(one.slope):
        return ()
    x = math.fsum(r.strength for r in kept) / len(kept)
    y = math.fsum(r.estimate.value for r in kept) / len(kept)
    return tuple(
        (at, y + one.slope * (at - x))
        for at in (min(r.strength for r in kept), max(r.strength for r in kept))
    )
