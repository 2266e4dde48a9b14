"""Calibration: a metric's reading against the strength of the bias that was planted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.records import JSON, Column, Estimate

_LEVEL = 0.95
_FEWEST = 3  # points for a slope with an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a metric said of a planted model."""

    strength: float  # of the planted bias, in [0, 1]
    seed: int  # of the world
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric over all strengths."""

    metric: str
    unit: str
    ideal: float | None
    readings: tuple[Reading, ...]  # by strength, then seed
    slope: float  # change of the reading from strength 0 to 1, by least squares
    slope_low: float  # 95 % interval (Student's t of the residuals)
    slope_high: float
    spearman: float  # rank correlation of strength and reading in [-1, 1]; 1: rises throughout
    reason: str | None = None  # why a number is nan

    def at_zero(self) -> tuple[Reading, ...]:
        """The readings without any planted bias, each with its interval."""
        return tuple(reading for reading in self.readings if reading.strength == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Every metric of a benchmark against planted strength."""

    benchmark: str
    version: str
    options: Mapping[str, JSON]  # but for the world, which changes from point to point
    strengths: tuple[float, ...]
    seeds: tuple[int, ...]
    models: tuple[str, ...]  # identities, by strength, then seed
    curves: tuple[Curve, ...]


def curve(readings: Sequence[Reading]) -> Curve:
    """The curve of a metric through its readings, of which there must be at least 1.

    Slope and its interval by least squares over all finite readings, seeds taken as independent:
    the interval holds what the straight line leaves unexplained, noise and curvature alike. nan
    with fewer than three finite readings, or at reading strength alone; `spearman` also when every
    reading is the same.
    """
    from scipy import stats  # where it is used: results are read without it

    ordered = tuple(sorted(readings, key=lambda reading: (reading.strength, reading.seed)))
    first = ordered[0].estimate
    finite = [reading for reading in ordered if math.isfinite(reading.estimate.value)]
    x = np.array([reading.strength for reading in finite])
    y = np.array([reading.estimate.value for reading in finite])
    strengths, reason = len(np.unique(x)), None
    slope, half = math.nan, math.nan
    if len(x) < _FEWEST or strengths < 2:
        reason = f"{len(x)} finite readings at {strengths} strengths, a slope needs 3 at 2"
    else:
        slope, half = _slope(x, y)
        if len(np.unique(y)) < 2:
            reason = "every reading is the same, so that ranks say nothing"
    return Curve(
        metric=first.metric,
        unit=first.unit,
        ideal=first.ideal,
        readings=ordered,
        slope=slope,
        slope_low=slope - half,
        slope_high=slope + half,
        spearman=math.nan if reason else float(stats.spearmanr(x, y).statistic),
        reason=reason,
    )


def _slope(x: Column, y: Column) -> tuple[float, float]:
    """Least-squares slope and half the width of its interval."""
    from scipy import stats  # where it is used: results are read without it

    around = x - x.mean()
    width = float((around**2).sum())
    slope = float((around * y).sum()) / width
    unexplained = float(((y - y.mean() - slope * around) ** 2).sum())
    free = len(x) - 2
    quantile = float(stats.t.ppf(0.5 + _LEVEL / 2, free))
    return slope, quantile * math.sqrt(unexplained / free / width)
