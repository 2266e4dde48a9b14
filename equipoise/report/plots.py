"""Plots of a fixed shape: professions before and after, scores of blocks or heads, calibrations.

Places are in percent of a plot's width or height, from the left and from the bottom.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np

from equipoise.conclusions import Comparison, RankStability
from equipoise.number_text import interval, numbers
from equipoise.records import Measurement
from equipoise.report.axis import Axis, Tick, Whisker, axis_of, minus, whisker
from equipoise.report.heat_map import HeatMap, heat_map
from equipoise.stats.calibration import Calibration, Curve, Reading
from equipoise.stats.stability import score_variances
from equipoise.study.study import Located

STEPS = 7  # of the color scale, an odd number: the middle is a score of 0
LONGEST_LABEL = 20  # letters of a name in the plot
_LABELS = 8  # professions named in the plot
_FEWEST = 3  # for a line with an interval
_NEAR = 7.0  # percent of the plot's height: labels closer than that would overlap
_WIDE = 2.4  # percent of its width that a letter may need
_BLOCK_TICKS = 6

#: A place from the left, and the value with its interval from the bottom.
Point = tuple[float, Whisker]


# --- professions ------------------------------------------------------------------------------


class Dot(NamedTuple):
    """A profession."""

    name: str
    before: float  # nats
    after: float
    score: float  # [-1, 1]; nan where the benchmark has none

    @property
    def step(self) -> int | None:
        """Of the color scale, 0 (most female) to STEPS - 1; None without a score."""
        if not math.isfinite(self.score):
            return None
        share = (min(1.0, max(-1.0, self.score)) + 1.0) / 2.0
        return min(STEPS - 1, int(share * STEPS))

    @property
    def cells(self) -> tuple[tuple[str, float], ...]:
        """Before, after and score, each as text and as a number."""
        texts = map(minus, (*numbers(self.before, self.after), *numbers(self.score)))
        return tuple(zip(texts, (self.before, self.after, self.score), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """The mean log-odds of the two pronouns before against after, a dot per profession."""

    dots: list[Dot]
    axis: Axis  # of both sides
    labels: dict[str, float]  # the professions that the plot names: middle of the name
    listed: list[Dot]  # what moved most, listed with numbers beside the plot
    slope: str  # of after on before; 1: every lean is unchanged, 0: no lean is left
    fits: tuple[tuple[str, str, str], ...]  # a number about all: its name, before, after
    left_out: int  # professions without a finite value on either side


def scatter(comparison: Comparison, most: int) -> Scatter | None:
    """The professions of a comparison, at most `most` of them listed; afters are averaged.

    Drawn for every benchmark whose outcomes have `lo` (nats, positive: " he"), `s` (the human
    stereotype score in [-1, 1], negative: female) and a profession; None for others.
    """
    before, after = _profession_means([comparison.before]), _profession_means(comparison.afters)
    shared = [Dot(name, lo, after[name][0], s) for name, (lo, s) in before.items() if name in after]
    if not shared:
        return None
    dots = [dot for dot in shared if math.isfinite(dot.before) and math.isfinite(dot.after)]
    befores, afters = [dot.before for dot in dots], [dot.after for dot in dots]
    scores = [dot.score for dot in dots]
    # shared by both sides: the diagonal is "nothing changed", and the line at 0 "no lean is left"
    axis = axis_of([0.0, *befores, *afters], ticks=5)
    lines = (
        ("correlation with the stereotype score", _correlation),
        ("nats for each unit of that score", _slope),
    )
    return Scatter(
        dots=dots,
        axis=axis,
        labels=_place_labels(dots, axis),
        listed=sorted(dots, key=lambda dot: -abs(dot.after - dot.before))[:most],
        slope=_slope(befores, afters),
        fits=tuple((name, fit(scores, befores), fit(scores, afters)) for name, fit in lines),
        left_out=len(shared) - len(dots),
    )


def _profession_means(measurements: Sequence[Measurement]) -> dict[str, list[float]]:
    """Profession to the means of its finite `lo` and of its finite scores; nan without any."""
    values: dict[str, tuple[list[float], list[float]]] = {}
    for measurement in measurements:
        for outcome in measurement.outcomes:
            if "lo" in outcome.values and "s" in outcome.values and "profession" in outcome.groups:
                pair = values.setdefault(outcome.groups["profession"], ([], []))
                for column, name in zip(pair, ("lo", "s"), strict=True):
                    if math.isfinite(outcome.values[name]):
                        column.append(outcome.values[name])
    return {
        name: [fmean(column) if column else math.nan for column in pair]
        for name, pair in values.items()
    }


def _place_labels(dots: Sequence[Dot], axis: Axis) -> dict[str, float]:
    """Where the names of the outermost stand, unless they would overlap."""
    labels: dict[str, float] = {}
    taken: list[tuple[float, float, float]] = []  # height, middle, half of the width
    for dot in sorted(dots, key=lambda dot: -max(abs(dot.before), abs(dot.after))):
        half = _WIDE / 2 * min(len(dot.name), LONGEST_LABEL)
        height, middle = axis.at(dot.after), min(max(axis.at(dot.before), half), 100.0 - half)
        free = all(
            abs(height - other) > _NEAR or abs(middle - other_middle) > half + other_half
            for other, other_middle, other_half in taken
        )
        if free and len(labels) < _LABELS:
            labels[dot.name] = round(middle, 2)
            taken.append((height, labels[dot.name], half))
    return labels


def _slope(x: Sequence[float], y: Sequence[float]) -> str:
    """Least squares, with the 95 % interval of Student's t of the residuals."""
    from scipy import stats  # where it is used: results are read without it

    across, up = _finite_pairs(x, y)
    if len(across) < _FEWEST or np.ptp(across) == 0.0:
        return "n/a"
    fit = stats.linregress(across, up)
    slope, half = float(fit.slope), float(stats.t.ppf(0.975, len(across) - 2)) * float(fit.stderr)
    return minus(interval(slope, slope - half, slope + half))


def _correlation(x: Sequence[float], y: Sequence[float]) -> str:
    """Pearson's, with Fisher's 95 % interval."""
    from scipy import stats  # where it is used: results are read without it

    across, up = _finite_pairs(x, y)
    # Fisher's interval divides by the root of n - 3
    if len(across) <= _FEWEST or np.ptp(across) == 0.0 or np.ptp(up) == 0.0:
        return "n/a"
    correlation = stats.pearsonr(across, up)
    ends = correlation.confidence_interval(0.95)
    return minus(f"{correlation.statistic:.2f} [{ends.low:.2f}, {ends.high:.2f}]")


def _finite_pairs(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    """The pairs with both values: [2, pair]."""
    pairs = np.array([x, y], dtype=np.float64)
    return pairs[:, np.isfinite(pairs).all(axis=0)]


# --- blocks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A locator on a model: scores of blocks with their intervals, or a map of heads."""

    locator: str
    unit: str
    lines: tuple[tuple[int, list[Point]], ...]  # seed, and its finite points
    axis: Axis  # of the scores
    blocks: list[Tick]
    stability: str  # rank correlation over seeds, in words
    first: str  # which block came first, and how often
    notes: tuple[str, ...]
    heads: HeatMap | None  # None: blocks
    overlap: str  # heads that all seeds share; "" of blocks


def panels(located: Sequence[Located]) -> dict[str, list[Panel]]:
    """Model to a panel per locator, in the order in which models first appear."""
    by_model: dict[str, list[Panel]] = {}
    for ranked in located:
        by_model.setdefault(ranked.model, []).append(_panel(ranked))
    return by_model


def _panel(located: Located) -> Panel:
    rankings = located.stability.rankings
    ends = [x for ranking in rankings for x in (*ranking.scores, *ranking.low, *ranking.high)]
    axis = axis_of(ends, ticks=4)
    last = max((len(ranking.scores) for ranking in rankings), default=1) - 1
    across = axis_of([0.0, float(last)])
    # few enough labels along the bottom to read
    labelled = range(0, round(across.high) + 1, max(1, -(-round(across.high) // _BLOCK_TICKS)))
    spans = [zip(ranking.scores, ranking.low, ranking.high, strict=True) for ranking in rankings]
    return Panel(
        locator=located.locator,
        unit=rankings[0].unit if rankings else "",
        lines=tuple(
            (seed, _points(enumerate(values), across, axis))
            for seed, values in zip(located.stability.seeds, spans, strict=False)
        ),
        axis=axis,
        blocks=[Tick(across.at(block), rankings[0].label(block)) for block in labelled if rankings],
        stability=_describe_stability(located.stability),
        first=_describe_first(located.stability),
        notes=tuple(dict.fromkeys(note for ranking in rankings for note in ranking.notes)),
        heads=heat_map(rankings),
        overlap=_describe_overlap(located.stability),
    )


def _points(
    spans: Iterable[tuple[float, tuple[float, float, float]]], across: Axis, axis: Axis
) -> list[Point]:
    """Value, low and high by what they are plotted over, where there is a value."""
    placed = ((across.at(x), whisker(*span, axis=axis)) for x, span in spans)
    return [(x, mark) for x, mark in placed if mark is not None]


def _describe_stability(stability: RankStability) -> str:
    seeds = f"{len(stability.rankings)} {'seed' if len(stability.rankings) == 1 else 'seeds'}"
    drawn = f"{seeds} of {stability.sample:,} prompts"
    mean, lowest = minus(f"{stability.spearman:.2f}"), minus(f"{stability.spearman_low:.2f}")
    if math.isnan(stability.spearman):
        return f"{drawn}; Spearman n/a ({stability.reason or 'no reason is given'})"
    variance = f"{fmean(score_variances(stability.rankings)):.2g}"
    return (
        f"{drawn}; Spearman {mean} between seeds (lowest {lowest}; 1: always the same order); "
        f"variance of a score over seeds {variance} (mean over components)"
    )


def _describe_first(stability: RankStability) -> str:
    total = sum(stability.first.values())
    counted = sorted(stability.first.items(), key=lambda item: (-item[1], item[0]))
    names = (
        f"{ranking.kind} {ranking.label(block)} ({n} of {total})"
        for ranking in stability.rankings[:1]
        for block, n in counted[:4]
    )
    return f"first: {', '.join(names)}"


def _describe_overlap(stability: RankStability) -> str:
    top = stability.top
    if top is None or len(stability.rankings) < 2:
        return ""
    names = ", ".join(map(stability.rankings[0].label, top.shared)) or "none"
    shown = f"{top.p:.2g}" if top.reason is None else f"not given: {top.reason}"
    return (
        f"of the first {top.k_requested} of each seed {top.k_effective} are shared by all: {names} "
        f"(by chance {top.chance:.2g}, p {shown})"
    )


# --- calibrations -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlot:
    """A metric: its readings with intervals against planted strength, the line through them."""

    curve: Curve
    points: list[Point]
    across: Axis  # planted strength
    axis: Axis  # reading
    line: list[tuple[float, float]]  # its two ends, or nothing


def curve_plots(calibration: Calibration) -> list[CurvePlot]:
    """Every metric that has a finite reading."""
    plots = []
    for curve in calibration.curves:
        if finite_readings(curve):
            spans = [
                (r.strength, (r.estimate.value, r.estimate.low, r.estimate.high))
                for r in curve.readings
            ]
            ends = line_ends(curve)
            values = [*(x for _, span in spans for x in span), *(y for _, y in ends)]
            axis = axis_of(values, ideal=curve.ideal)
            across = axis_of((strength for strength, _ in spans), ticks=2)
            points = _points(spans, across, axis)
            line = [(across.at(x), axis.at(y)) for x, y in ends]
            plots.append(CurvePlot(curve=curve, points=points, across=across, axis=axis, line=line))
    return plots


def finite_readings(curve: Curve) -> list[Reading]:
    """The readings that can be drawn."""
    return [reading for reading in curve.readings if math.isfinite(reading.estimate.value)]


def line_ends(curve: Curve) -> tuple[tuple[float, float], ...]:
    """Where the least-squares line begins and ends: (strength, reading); nothing without a line."""
    readings = finite_readings(curve)
    if not readings or not math.isfinite(curve.slope):
        return ()
    strengths = [reading.strength for reading in readings]
    # a least-squares line goes through the means
    x, y = fmean(strengths), fmean(reading.estimate.value for reading in readings)
    return tuple((end, y + curve.slope * (end - x)) for end in (min(strengths), max(strengths)))
