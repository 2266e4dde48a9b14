"""A calibration for a reader: a table, and a figure with a small plot a metric."""

import io
import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from equipoise.stats.calibration import Calibration, Curve

_COLUMNS = 3
_SIZE = 2.6  # inches, of one plot
_INK, _POINT, _QUIET = "#222222", "#0b5fa5", "#999999"


def calibration_table(calibration: Calibration) -> str:
    """Markdown: a row a metric with its slope, monotonicity, reading at strength 0 and ideal."""
    lines = [
        "| metric | slope (0 to 1) | monotonicity | at strength 0 | ideal | unit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {curve.metric} | {_interval(curve.slope, curve.slope_low, curve.slope_high)} "
        f"| {_number(curve.spearman)} | {_at_zero(curve)} "
        f"| {'' if curve.ideal is None else _number(curve.ideal)} | {curve.unit} |"
        for curve in calibration.curves
    ]
    return "\n".join(lines) + "\n"


def calibration_figure(calibration: Calibration) -> str:
    """SVG: the readings of each metric, with intervals, against planted strength.

    A dashed line is the metric's ideal. The same calibration gives the same bytes.
    """
    drawn = [curve for curve in calibration.curves if any(map(_finite, _values(curve)))]
    rows = max(1, -(-len(drawn) // _COLUMNS))
    figure = Figure(figsize=(_SIZE * 1.25 * _COLUMNS, _SIZE * rows), layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(f"{calibration.benchmark}: reading against planted strength", color=_INK)
    for place, one in enumerate(drawn):
        _draw(figure.add_subplot(rows, _COLUMNS, place + 1), one)
    text = io.StringIO()
    with _steady_ids():
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _draw(axes: Any, one: Curve) -> None:
    kept = [reading for reading in one.readings if _finite(reading.estimate.value)]
    x = [reading.strength for reading in kept]
    y = [reading.estimate.value for reading in kept]
    below = [_reach(reading.estimate.value - reading.estimate.low) for reading in kept]
    above = [_reach(reading.estimate.high - reading.estimate.value) for reading in kept]
    if one.ideal is not None:
        axes.axhline(one.ideal, color=_QUIET, linestyle="--", linewidth=1)
    axes.errorbar(x, y, yerr=[below, above], fmt="o", color=_POINT, markersize=4, capsize=2)
    if _finite(one.slope):
        middle = (sum(x) / len(x), sum(y) / len(y))
        ends = (min(x), max(x))
        axes.plot(
            ends, [middle[1] + one.slope * (at - middle[0]) for at in ends], color=_POINT, alpha=0.4
        )
    axes.set_title(one.metric, fontsize=9, color=_INK)
    axes.set_xlabel("planted strength", fontsize=8)
    axes.set_ylabel(one.unit, fontsize=8)
    axes.tick_params(labelsize=7)


def _steady_ids() -> Any:
    """A `with` block in which an SVG's ids do not depend on chance, and its text stays text."""
    return rc_context({"svg.hashsalt": "equipoise", "svg.fonttype": "none"})


def _at_zero(one: Curve) -> str:
    found = [reading.estimate for reading in one.at_zero()]
    return ", ".join(_interval(each.value, each.low, each.high) for each in found) or "n/a"


def _interval(value: float, low: float, high: float) -> str:
    if not _finite(value):
        return "n/a"
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    return f"{value:.4g}" if _finite(value) else "n/a"


def _values(one: Curve) -> Sequence[float]:
    return [reading.estimate.value for reading in one.readings]


def _finite(value: float) -> bool:
    return math.isfinite(value)


def _reach(length: float) -> float:
    """Length of a whisker; none where the interval is not known."""
    return max(0.0, length) if _finite(length) else 0.0
