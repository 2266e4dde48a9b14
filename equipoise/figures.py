"""Results as matplotlib figures, for a notebook. matplotlib is imported when a figure is drawn."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 60  # rows of a figure: more cannot be read
_GREY, _BLUE = "0.55", "#1f5a92"


class Interval(NamedTuple):
    """A row of a figure: what it is called, its value and interval, and an earlier value."""

    label: str
    value: float
    low: float
    high: float
    before: float = math.nan  # drawn as an open circle; nan: none


def new_axes(axes: "Axes | None", *, height: float) -> "Axes":
    """The axes given, else those of a new figure."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    created: Axes = pyplot.subplots(figsize=(7.0, height), layout="constrained")[1]
    return created


def draw_intervals(
    rows: Sequence[Interval],
    *,
    title: str,
    unit: str,
    ideal: float | None = None,
    axes: "Axes | None" = None,
) -> "Axes":
    """A row per value with its 95 % interval, from above; a line at the ideal.

    At most 60 rows; the title says how many there are. What is nan has a row without a mark.
    """
    shown = rows[:_MOST]
    axes = new_axes(axes, height=1.2 + 0.26 * len(shown))
    for place, row in enumerate(shown):
        if math.isfinite(row.low) and math.isfinite(row.high):
            axes.plot([row.low, row.high], [place, place], color=_BLUE, linewidth=2)
        axes.plot([row.value], [place], "o", color=_BLUE)
        if math.isfinite(row.before):
            axes.plot([row.before], [place], "o", color=_GREY, fillstyle="none")
    if ideal is not None:
        axes.axvline(ideal, color=_GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(shown)), [row.label[:60] for row in shown])
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    count = f", first {_MOST} of {len(rows)}" if len(rows) > _MOST else ""
    axes.set_title(f"{title}{count}", loc="left", fontsize="medium", parse_math=False)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a name may have dollars
    return axes


def draw_histogram(
    values: Sequence[float], *, title: str, unit: str, axes: "Axes | None" = None
) -> "Axes":
    """How many values are how large; nan is left out."""
    axes = new_axes(axes, height=3.0)
    axes.hist([value for value in values if math.isfinite(value)], bins=40, color=_BLUE)
    axes.set_xlabel(unit)
    axes.set_ylabel("rows")
    axes.set_title(title, loc="left", fontsize="medium", parse_math=False)
    return axes
