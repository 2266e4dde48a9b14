"""Professions: the mean log-odds of the two pronouns before against after, and their stereotype.

Drawn for every benchmark whose outcomes have `lo` (nats, positive: " he"), `s` (the human
stereotype score in [-1, 1], negative: female) and a profession.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from equipoise.conclusions import Comparison
from equipoise.records import Measurement, Outcome
from equipoise.report.axis import Axis, axis_of, minus
from equipoise.report.sentences import interval, numbers

STEPS = 7  # of the color scale, an odd number: the middle is a score of 0
_LABELS = 8  # professions named in the plot
_FEWEST = 3  # for a line with an interval
LONGEST_LABEL = 20  # letters of a name in the plot
_NEAR = 7.0  # percent of the plot's height: labels closer than that would cover one another
_WIDE = 2.4  # percent of its width that a letter may need


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One profession; places in percent from the left and from the bottom."""

    name: str
    before: float  # nats
    after: float
    score: float  # [-1, 1]; nan where the benchmark has none
    x: float
    y: float
    step: int | None  # of the color scale, 0 (most female) to STEPS - 1; None without a score
    label_x: float | None = None  # middle of its name, in percent; None: the plot does not name it

    @property
    def cells(self) -> tuple[tuple[str, float], ...]:
        """Before, after and score, each as text and as a number."""
        before, after = (minus(number) for number in numbers(self.before, self.after))
        score = minus(numbers(self.score)[0])
        return (before, self.before), (after, self.after), (score, self.score)

    @property
    def told(self) -> str:
        """Both values and the score, as the pointer reads them."""
        before, after, score = (text for text, _ in self.cells)
        return f"{before} → {after} nats, stereotype score {score}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """One number about all professions before and after, each with its 95 % interval."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """The figure: dots, one scale for both axes, and what is said of all of them."""

    dots: tuple[Dot, ...]
    axis: Axis
    zero: float  # percent
    listed: tuple[Dot, ...]  # what moved most, listed with numbers beside the plot
    slope: str  # of after on before; 1: every lean is unchanged, 0: no lean is left
    fits: tuple[BeforeAfter, ...]
    left_out: int  # professions without a finite value on either side
    seeds: int  # behind the after side, averaged


def scatter(comparison: Comparison, *, most: int) -> Scatter | None:
    """The professions of a comparison, at most `most` of them listed.

    None where its outcomes do not have what is drawn.
    """
    before, scores = _profession_means([comparison.before])
    after, _ = _profession_means(comparison.afters)
    shared = [name for name in before if name in after]
    if not shared:
        return None
    finite = [n for n in shared if math.isfinite(before[n]) and math.isfinite(after[n])]
    axis = axis_of([0.0, *(side[name] for name in finite for side in (before, after))], ticks=5)
    dots = [_place_dot(name, (before[name], after[name]), scores[name], axis) for name in finite]
    return Scatter(
        dots=tuple(_place_labels(dots)),
        listed=tuple(sorted(dots, key=lambda dot: -abs(dot.after - dot.before))[:most]),
        axis=axis,
        zero=axis.at(0.0),
        slope=_slope([dot.before for dot in dots], [dot.after for dot in dots]),
        fits=tuple(_fits(dots)),
        left_out=len(shared) - len(finite),
        seeds=len(comparison.afters),
    )


def _profession_means(
    measurements: Sequence[Measurement],
) -> tuple[dict[str, float], dict[str, float]]:
    """Profession to mean `lo`, and to its score; averaged over measurements, then over each one."""
    by_profession: dict[str, list[Outcome]] = {}
    for measurement in measurements:
        for outcome in measurement.outcomes:
            if "lo" in outcome.values and "s" in outcome.values and "profession" in outcome.groups:
                by_profession.setdefault(outcome.groups["profession"], []).append(outcome)
    return _mean_by_name(by_profession, "lo"), _mean_by_name(by_profession, "s")


def _mean_by_name(outcomes: Mapping[str, Sequence[Outcome]], key: str) -> dict[str, float]:
    """Of the finite values; nan where a profession has none."""
    return {
        name: _finite_mean(outcome.values[key] for outcome in outcomes_)
        for name, outcomes_ in outcomes.items()
    }


def _finite_mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _place_dot(name: str, sides: tuple[float, float], score: float, axis: Axis) -> Dot:
    step = None
    if math.isfinite(score):
        share = (min(1.0, max(-1.0, score)) + 1.0) / 2.0
        step = min(STEPS - 1, int(share * STEPS))
    return Dot(
        name=name,
        before=sides[0],
        after=sides[1],
        score=score,
        x=axis.at(sides[0]),
        y=axis.at(sides[1]),
        step=step,
    )


def _place_labels(dots: Sequence[Dot]) -> list[Dot]:
    """The same dots; the outermost have labels unless their labels would overlap."""
    placed: dict[str, Dot] = {}
    for dot in sorted(dots, key=lambda dot: -max(abs(dot.before), abs(dot.after))):
        half = _half_width(dot)
        middle = min(max(dot.x, half), 100.0 - half)
        free = all(
            abs(dot.y - other.y) > _NEAR
            or other.label_x is None
            or abs(middle - other.label_x) > half + _half_width(other)
            for other in placed.values()
        )
        if free and len(placed) < _LABELS:
            placed[dot.name] = replace(dot, label_x=round(middle, 2))
    return [placed.get(dot.name, dot) for dot in dots]


def _half_width(dot: Dot) -> float:
    """Half the width of a name, in percent of the plot's."""
    return _WIDE / 2 * min(len(dot.name), LONGEST_LABEL)


# --- what is said of all ----------------------------------------------------------------------


def _fits(dots: Sequence[Dot]) -> Iterable[BeforeAfter]:
    scores = [dot.score for dot in dots]
    sides = [dot.before for dot in dots], [dot.after for dot in dots]
    for name, of in (
        ("correlation with the stereotype score", _correlation),
        ("nats for each unit of that score", _slope),
    ):
        before, after = (of(scores, side) for side in sides)
        yield BeforeAfter(name=name, before=before, after=after)


def _slope(x: Sequence[float], y: Sequence[float]) -> str:
    """Least squares, with the 95 % interval of Student's t of the residuals."""
    across, up = _finite(x, y)
    if len(across) < _FEWEST or np.ptp(across) == 0.0:
        return "n/a"
    fit = stats.linregress(across, up)
    slope, half = float(fit.slope), float(stats.t.ppf(0.975, len(across) - 2)) * float(fit.stderr)
    return minus(interval(slope, slope - half, slope + half))


def _correlation(x: Sequence[float], y: Sequence[float]) -> str:
    """Pearson's, with Fisher's 95 % interval."""
    across, up = _finite(x, y)
    if len(across) <= _FEWEST or np.ptp(across) == 0.0 or np.ptp(up) == 0.0:
        return "n/a"
    correlation = stats.pearsonr(across, up)
    ends = correlation.confidence_interval(0.95)
    values = (float(correlation.statistic), float(ends.low), float(ends.high))
    value, low, high = (minus(f"{value:.2f}") for value in values)
    return f"{value} [{low}, {high}]"


def _finite(
    x: Sequence[float], y: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pairs with both values."""
    across, up = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
    finite = np.isfinite(across) & np.isfinite(up)
    return across[finite], up[finite]
