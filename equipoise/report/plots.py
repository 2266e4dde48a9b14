"""Plots of a fixed shape: professions before and after, scores of blocks, calibrations.

Places are in percent of a plot's width or height, from the left and from the bottom.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from equipoise.conclusions import Comparison, Ranking, RankStability
from equipoise.records import Measurement
from equipoise.report.axis import Axis, Tick, Whisker, axis_of, minus, whisker
from equipoise.report.sentences import interval, numbers
from equipoise.stats.calibration import Calibration, Curve, Reading
from equipoise.study.study import Located

STEPS = 7  # of the color scale, an odd number: the middle is a score of 0
LONGEST_LABEL = 20  # letters of a name in the plot
_LABELS = 8  # professions named in the plot
_FEWEST = 3  # for a line with an interval
_NEAR = 7.0  # percent of the plot's height: labels closer than that would overlap
_WIDE = 2.4  # percent of its width that a letter may need
_BLOCK_TICKS = 6


# --- professions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One profession."""

    name: str
    before: float  # nats
    after: float
    score: float  # [-1, 1]; nan where the benchmark has none
    x: float
    y: float
    step: int | None  # of the color scale, 0 (most female) to STEPS - 1; None without a score
    label_x: float | None = None  # middle of its name; None: the plot does not name it

    @property
    def cells(self) -> tuple[tuple[str, float], ...]:
        """Before, after and score, each as text and as a number."""
        texts = map(minus, (*numbers(self.before, self.after), *numbers(self.score)))
        return tuple(zip(texts, (self.before, self.after, self.score), strict=True))

    @property
    def label(self) -> str:
        """Both values and the score, as the pointer reads them."""
        before, after, score = (text for text, _ in self.cells)
        return f"{before} → {after} nats, stereotype score {score}"

    @property
    def half_width(self) -> float:
        """Half the width of the name in the plot."""
        return _WIDE / 2 * min(len(self.name), LONGEST_LABEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """The mean log-odds of the two pronouns before against after, a dot per profession."""

    dots: tuple[Dot, ...]
    axis: Axis  # of both sides
    zero: float
    listed: tuple[Dot, ...]  # what moved most, listed with numbers beside the plot
    slope: str  # of after on before; 1: every lean is unchanged, 0: no lean is left
    fits: tuple[tuple[str, str, str], ...]  # a number about all: its name, before, after
    left_out: int  # professions without a finite value on either side


def scatter(comparison: Comparison, *, most: int) -> Scatter | None:
    """The professions of a comparison, at most `most` of them listed; afters are averaged.

    Drawn for every benchmark whose outcomes have `lo` (nats, positive: " he"), `s` (the human
    stereotype score in [-1, 1], negative: female) and a profession; None for others.
    """
    before, scores = _profession_means([comparison.before])
    after, _ = _profession_means(comparison.afters)
    shared = [name for name in before if name in after]
    if not shared:
        return None
    finite = [n for n in shared if math.isfinite(before[n]) and math.isfinite(after[n])]
    axis = axis_of([0.0, *(side[name] for name in finite for side in (before, after))], ticks=5)
    dots = [
        Dot(
            name=name,
            before=before[name],
            after=after[name],
            score=scores[name],
            x=axis.at(before[name]),
            y=axis.at(after[name]),
            step=_color_step(scores[name]),
        )
        for name in finite
    ]
    befores, afters = [dot.before for dot in dots], [dot.after for dot in dots]
    x = [dot.score for dot in dots]
    lines: tuple[tuple[str, Callable[[Sequence[float], Sequence[float]], str]], ...] = (
        ("correlation with the stereotype score", _correlation),
        ("nats for each unit of that score", _slope),
    )
    return Scatter(
        dots=tuple(_place_labels(dots)),
        listed=tuple(sorted(dots, key=lambda dot: -abs(dot.after - dot.before))[:most]),
        axis=axis,
        zero=axis.at(0.0),
        slope=_slope(befores, afters),
        fits=tuple((name, fit(x, befores), fit(x, afters)) for name, fit in lines),
        left_out=len(shared) - len(finite),
    )


def _profession_means(
    measurements: Sequence[Measurement],
) -> tuple[dict[str, float], dict[str, float]]:
    """Profession to the means of its finite `lo` and of its finite scores; nan without any."""
    values: dict[str, list[tuple[float, float]]] = {}
    for measurement in measurements:
        for outcome in measurement.outcomes:
            if "lo" in outcome.values and "s" in outcome.values and "profession" in outcome.groups:
                pair = outcome.values["lo"], outcome.values["s"]
                values.setdefault(outcome.groups["profession"], []).append(pair)
    return (
        {name: _finite_mean(lo for lo, _ in pairs) for name, pairs in values.items()},
        {name: _finite_mean(score for _, score in pairs) for name, pairs in values.items()},
    )


def _finite_mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _color_step(score: float) -> int | None:
    if not math.isfinite(score):
        return None
    share = (min(1.0, max(-1.0, score)) + 1.0) / 2.0
    return min(STEPS - 1, int(share * STEPS))


def _place_labels(dots: Sequence[Dot]) -> list[Dot]:
    """The same dots; the outermost have labels unless their labels would overlap."""
    placed: dict[str, Dot] = {}
    for dot in sorted(dots, key=lambda dot: -max(abs(dot.before), abs(dot.after))):
        middle = min(max(dot.x, dot.half_width), 100.0 - dot.half_width)
        free = all(
            abs(dot.y - other.y) > _NEAR
            or other.label_x is None
            or abs(middle - other.label_x) > dot.half_width + other.half_width
            for other in placed.values()
        )
        if free and len(placed) < _LABELS:
            placed[dot.name] = replace(dot, label_x=round(middle, 2))
    return [placed.get(dot.name, dot) for dot in dots]


def _slope(x: Sequence[float], y: Sequence[float]) -> str:
    """Least squares, with the 95 % interval of Student's t of the residuals."""
    across, up = _finite_pairs(x, y)
    if len(across) < _FEWEST or np.ptp(across) == 0.0:
        return "n/a"
    fit = stats.linregress(across, up)
    slope, half = float(fit.slope), float(stats.t.ppf(0.975, len(across) - 2)) * float(fit.stderr)
    return minus(interval(slope, slope - half, slope + half))


def _correlation(x: Sequence[float], y: Sequence[float]) -> str:
    """Pearson's, with Fisher's 95 % interval."""
    across, up = _finite_pairs(x, y)
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
    """A locator on a model: scores of blocks with their intervals."""

    locator: str
    unit: str
    lines: tuple[tuple[int, tuple[tuple[float, Whisker], ...]], ...]  # seed, and its finite points
    axis: Axis  # of the scores
    blocks: tuple[Tick, ...]
    stability: str  # rank correlation over seeds, in words
    first: str  # which block came first, and how often
    notes: tuple[str, ...]


def panels(located: Sequence[Located]) -> dict[str, list[Panel]]:
    """Model to a panel per locator, in the order in which models first appear."""
    by_model: dict[str, list[Panel]] = {}
    for located_ in located:
        by_model.setdefault(located_.model, []).append(_panel(located_))
    return by_model


def _panel(located: Located) -> Panel:
    stability = located.stability
    rankings = stability.rankings
    ends = [x for ranking in rankings for x in (*ranking.scores, *ranking.low, *ranking.high)]
    axis = axis_of(ends, ticks=4)
    last = max((len(ranking.scores) for ranking in rankings), default=1) - 1
    across = axis_of([0.0, float(last)])
    # few enough labels along the bottom to read
    labelled = range(0, round(across.high) + 1, max(1, -(-round(across.high) // _BLOCK_TICKS)))
    return Panel(
        locator=located.locator,
        unit=rankings[0].unit if rankings else "",
        lines=tuple(
            (seed, _place_scores(ranking, axis=axis, across=across))
            for seed, ranking in zip(stability.seeds, rankings, strict=False)
        ),
        axis=axis,
        blocks=tuple(
            Tick(value=float(block), place=across.at(float(block)), text=rankings[0].label(block))
            for block in labelled
            if rankings
        ),
        stability=_describe_stability(stability),
        first=_describe_first(stability),
        notes=tuple(dict.fromkeys(note for ranking in rankings for note in ranking.notes)),
    )


def _place_scores(
    ranking: Ranking, *, axis: Axis, across: Axis
) -> tuple[tuple[float, Whisker], ...]:
    spans = zip(ranking.scores, ranking.low, ranking.high, strict=True)
    return tuple(
        (across.at(float(block)), placed)
        for block, span in enumerate(spans)
        if (placed := whisker(*span, axis=axis)) is not None
    )


def _describe_stability(stability: RankStability) -> str:
    seeds = f"{len(stability.rankings)} {'seed' if len(stability.rankings) == 1 else 'seeds'}"
    drawn = f"{seeds} of {stability.sample:,} prompts"
    mean, lowest = minus(f"{stability.spearman:.2f}"), minus(f"{stability.spearman_low:.2f}")
    if math.isnan(stability.spearman):
        return f"{drawn}; Spearman n/a ({stability.reason or 'no reason is given'})"
    return f"{drawn}; Spearman {mean} between seeds (lowest {lowest}; 1: always the same order)"


def _describe_first(stability: RankStability) -> str:
    total = sum(stability.first.values())
    counted = sorted(stability.first.items(), key=lambda item: (-item[1], item[0]))
    names = (
        f"{ranking.kind} {ranking.label(block)} ({n} of {total})"
        for ranking in stability.rankings[:1]
        for block, n in counted[:4]
    )
    return f"first: {', '.join(names)}"


# --- calibrations -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlot:
    """One metric: its readings with intervals against planted strength, the line through them."""

    curve: Curve
    points: tuple[tuple[float, Whisker], ...]
    across: Axis  # planted strength
    axis: Axis  # reading
    line: tuple[tuple[float, float], ...]  # its two ends, or nothing


def curve_plots(calibration: Calibration) -> tuple[CurvePlot, ...]:
    """Every metric that has a finite reading."""
    return tuple(_curve_plot(curve) for curve in calibration.curves if finite_readings(curve))


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
    spans = [(r.estimate.value, r.estimate.low, r.estimate.high) for r in curve.readings]
    ends = line_ends(curve)
    values = [*(x for span in spans for x in span), *(y for _, y in ends)]
    axis = axis_of(values, ideal=curve.ideal)
    across = axis_of((reading.strength for reading in curve.readings), ticks=2)
    return CurvePlot(
        curve=curve,
        points=tuple(
            (across.at(reading.strength), placed)
            for reading, span in zip(curve.readings, spans, strict=True)
            if (placed := whisker(*span, axis=axis)) is not None
        ),
        across=across,
        axis=axis,
        line=tuple((across.at(x), axis.at(y)) for x, y in ends),
    )
