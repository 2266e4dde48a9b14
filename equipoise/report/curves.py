"""Calibrations for the page: each metric's reading against the strength that was planted."""

import math
from dataclasses import dataclass

from equipoise.report.axis import Axis, Whisker, axis_of, minus, whisker
from equipoise.report.sentences import interval
from equipoise.stats.calibration import Calibration, Curve, Reading


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
    drawn = [curve for curve in calibration.curves if finite_readings(curve)]
    silent = len(calibration.curves) - len(drawn)
    about = (
        f"version {calibration.version}; {len(calibration.strengths)} strengths, "
        f"{len(calibration.seeds)} seeds of the world"
    )
    if silent:
        about += f"; {silent} {'metric has' if silent == 1 else 'metrics have'} no finite reading"
    return Curves(
        benchmark=calibration.benchmark,
        about=about,
        plots=tuple(_curve_plot(curve) for curve in drawn),
    )


def finite_readings(curve: Curve) -> list[Reading]:
    """The readings that can be drawn."""
    return [reading for reading in curve.readings if math.isfinite(reading.estimate.value)]


def line_ends(curve: Curve) -> tuple[tuple[float, float], ...]:
    """Where the least-squares line begins and ends: (strength, reading); nothing without a line."""
    readings = finite_readings(curve)
    if not readings or not math.isfinite(curve.slope):
        return ()
    strengths = [reading.strength for reading in readings]
    x = math.fsum(strengths) / len(readings)
    y = math.fsum(reading.estimate.value for reading in readings) / len(readings)
    return tuple((end, y + curve.slope * (end - x)) for end in (min(strengths), max(strengths)))


def _curve_plot(curve: Curve) -> CurvePlot:
    estimates = [reading.estimate for reading in curve.readings]
    at_zero = [reading.estimate for reading in curve.at_zero()]
    ends = line_ends(curve)
    shown = [x for e in estimates for x in (e.value, e.low, e.high)]
    axis = axis_of((*shown, *(y for _, y in ends)), ideal=curve.ideal)
    across = axis_of((reading.strength for reading in curve.readings), ticks=2)
    placed = [
        (across.at(reading.strength), whisker(e.value, e.low, e.high, axis=axis))
        for reading, e in zip(curve.readings, estimates, strict=True)
    ]
    return CurvePlot(
        metric=curve.metric,
        unit=curve.unit,
        points=tuple((x, whisker_) for x, whisker_ in placed if whisker_ is not None),
        across=across,
        axis=axis,
        line=tuple((across.at(x), axis.at(y)) for x, y in ends),
        slope=minus(interval(curve.slope, curve.slope_low, curve.slope_high)),
        monotone="n/a" if math.isnan(curve.spearman) else minus(f"{curve.spearman:.2f}"),
        at_zero=", ".join(minus(interval(e.value, e.low, e.high)) for e in at_zero) or "n/a",
        reason=curve.reason,
    )
