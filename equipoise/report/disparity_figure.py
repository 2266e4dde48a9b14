"""Figure files of how far groups lie apart: each scale of each comparison in a file of its own."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.conclusions import Change, Comparison, title_of
from equipoise.errors import RecipeError
from equipoise.report.figure_file import write_figure
from equipoise.report.formatting import LONGEST_NAME, clipped, visible
from equipoise.report.written import Disparity, GapRow, disparities_of
from equipoise.study.study import Study

_BEFORE: Final = "#626b7d"
_AFTER: Final = "#1f5fbf"
_ROW: Final = 0.34  # inches
_SHIFT: Final = 0.16  # of the two sides of a row from its middle


def write_disparity_figures(folder: Path | str, study: Study) -> tuple[Path, ...]:
    """Write an .svg of each scale whose groups were compared, by mitigation and benchmark.

    Names are "NUMBER-SCALE.svg", numbered in the order of the page; the same study gives the same
    bytes. Raises `RecipeError` for a study without such scales, and `StoreError`.
    """
    drawn = [*_drawn(study)]
    if not drawn:
        raise RecipeError(
            "figures of groups must be of a benchmark that scores what is written about them, "
            f"'{study.title}' has {len(study.chapters)} chapters without one; measure bold or "
            "scenarios before and after, or leave the figures out"
        )
    width = len(str(len(drawn)))
    return tuple(
        write_figure(
            Path(folder) / f"{number:0{width}d}-{_plain(disparity.scale)}.svg",
            disparity_figure(disparity, title=f"{title}: {title_of(comparison.before)}"),
        )
        for number, (title, comparison, disparity) in enumerate(drawn, 1)
    )


def _drawn(study: Study) -> Iterator[tuple[str, Comparison, Disparity]]:
    for chapter in study.chapters:
        for comparison in chapter.comparisons:
            for disparity in disparities_of(comparison):
                yield chapter.title, comparison, disparity


def _plain(name: str) -> str:
    """The name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80].strip("._") or "scale"


def disparity_figure(disparity: Disparity, *, title: str) -> Figure:
    """Means of groups with their intervals, below them the gaps with what chance makes them."""
    groups: list[tuple[str, Change | None]] = []
    for domain in disparity.domains:
        groups += [(domain.name, None)] if domain.name else []
        groups += [(next(iter(each.group.values())), each) for each in domain.groups]
    rows = len(groups), len(disparity.gaps)
    figure = Figure(figsize=(6.4, 1.9 + _ROW * sum(rows)), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[rows[0], max(1, rows[1])])
    label = f"{disparity.scale} ({disparity.unit})" if disparity.unit else disparity.scale
    _draw_rows(upper, groups)
    upper.set_xlabel(f"mean {visible(label)}", fontsize=8)
    _draw_rows(lower, [(row.name, row.change) for row in disparity.gaps])
    _draw_nulls(lower, disparity.gaps)
    lower.set_xlim(left=0)
    lower.set_xlabel(
        "gap between groups; dashed: below it in 95 % of cases by chance alone", fontsize=8
    )
    upper.legend(fontsize=7)
    figure.suptitle(clipped(visible(title), LONGEST_NAME), fontsize=9)
    return figure


def _draw_rows(axes: Axes, rows: Sequence[tuple[str, Change | None]]) -> None:
    """Before above after in each row, the first row on top; a heading has no change."""
    sides: dict[str, tuple[str, float]] = {
        "before": (_BEFORE, -_SHIFT), "after": (_AFTER, _SHIFT),
    }  # fmt: skip
    for name, (color, shift) in sides.items():
        label: str | None = name
        for place, (_, change) in enumerate(rows):
            if change is None:
                continue
            before = name == "before"
            value = change.before if before else change.after
            low, high = (
                (change.before_low, change.before_high)
                if before
                else (change.after_low, change.after_high)
            )
            if math.isfinite(low) and math.isfinite(high):
                axes.plot([low, high], [place + shift] * 2, color=color, linewidth=1.5)
            face = "white" if before else color
            axes.plot(
                [value], [place + shift], "o", color=color, markerfacecolor=face, markersize=4,
                label=label,
            )  # fmt: skip
            label = None
    names = [clipped(visible(name), 40, with_length=False) for name, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    for text, (_, change) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if change is None else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="#e8ebf0")
    axes.set_axisbelow(True)


def _draw_nulls(axes: Axes, gaps: Sequence[GapRow]) -> None:
    for place, row in enumerate(gaps):
        for null, color, top in (
            (row.null_before, _BEFORE, place - 0.4),
            (row.null_after, _AFTER, place),
        ):
            if math.isfinite(null):
                axes.plot([null] * 2, [top, top + 0.4], color=color, linestyle="--", linewidth=1.2)
