"""A calibration for a paper: a table, and a figure with a small plot per metric."""

import io
import math
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from equipoise.report.plots import finite_readings, line_ends
from equipoise.report.tables import Table, markdown
from equipoise.stats.calibration import Calibration, Curve

_COLUMNS = 3
_SIZE = 2.6  # inches, of a plot
_INK, _POINT, _QUIET = "#222222", "#0b5fa5", "#999999"


def calibration_table(calibration: Calibration) -> str:
    """Markdown, a row per metric: slope, monotonicity, reading at strength 0, ideal, unit."""
    header = ("metric", "slope (0 to 1)", "monotonicity", "at strength 0", "ideal", "unit")
    rows = []
    for curve in calibration.curves:
        at_zero = (reading.estimate for reading in curve.at_zero())
        rows.append(
            (
                curve.metric,
                _format(curve.slope, curve.slope_low, curve.slope_high),
                _format(curve.spearman),
                ", ".join(_format(e.value, e.low, e.high) for e in at_zero) or "n/a",
                "" if curve.ideal is None else _format(curve.ideal),
                curve.unit,
            )
        )
    return markdown(Table(header=header, rows=tuple(rows))) + "\n"


def calibration_figure(calibration: Calibration) -> str:
    """SVG: the readings of each metric, with intervals, against planted strength.

    A dashed line is the metric's ideal. The same calibration gives the same bytes.
    """
    drawn = [curve for curve in calibration.curves if finite_readings(curve)]
    rows = max(1, -(-len(drawn) // _COLUMNS))
    # not of pyplot, which chooses a backend for the whole process and keeps every figure
    figure = Figure(figsize=(_SIZE * 1.25 * _COLUMNS, _SIZE * rows), layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(f"{calibration.benchmark}: reading against planted strength", color=_INK)
    for index, curve in enumerate(drawn):
        _draw_curve(figure.add_subplot(rows, _COLUMNS, index + 1), curve)
    text = io.StringIO()
    # ids that do not depend on chance, and text that stays text
    with rc_context({"svg.hashsalt": "equipoise", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _draw_curve(axes: Any, curve: Curve) -> None:
    readings = finite_readings(curve)
    estimates = [reading.estimate for reading in readings]
    lengths = np.array([(e.value - e.low, e.high - e.value) for e in estimates]).T
    if curve.ideal is not None:
        axes.axhline(curve.ideal, color=_QUIET, linestyle="--", linewidth=1)
    axes.errorbar(
        [reading.strength for reading in readings],
        [estimate.value for estimate in estimates],
        yerr=np.where(np.isfinite(lengths), np.maximum(lengths, 0.0), 0.0),  # 0: not known
        fmt="o",
        color=_POINT,
        markersize=4,
        capsize=2,
    )
    if ends := line_ends(curve):
        axes.plot(*zip(*ends, strict=True), color=_POINT, alpha=0.4)
    axes.set_title(curve.metric, fontsize=9, color=_INK)
    axes.set_xlabel("planted strength", fontsize=8)
    axes.set_ylabel(curve.unit, fontsize=8)
    axes.tick_params(labelsize=7)


def _format(value: float, *ends: float) -> str:
    """As in "0.4 [0.3, 0.5]"."""
    text, *others = (f"{x:.4g}" if math.isfinite(x) else "n/a" for x in (value, *ends))
    return text if text == "n/a" or not others else f"{text} [{', '.join(others)}]"
