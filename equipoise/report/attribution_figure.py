"""A figure file of attributions: a panel for each plot that the page has."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.attributions import RemovalPoint
from equipoise.errors import RecipeError
from equipoise.number_text import group_name
from equipoise.records import Estimate
from equipoise.report.figure_file import check_figure, write_figure
from equipoise.study.study import Attributed, Study, Validated

#: Draws into a panel.
Panel: TypeAlias = Callable[[Axes], None]


def write_attribution_figure(file: Path | str, study: Study, *, title: str) -> Path:
    """Write precision by recall, profiles, leave-out scores and removal curves as .svg or .png.

    A panel for each that the study has; the same study gives the same bytes. Raises `RecipeError`
    for another ending and for a study without attributions, and `StoreError`.
    """
    file = Path(file)
    check_figure(file)
    panels = _panels(study)
    if not panels:
        raise RecipeError(
            f"a figure must show attributions, '{study.title}' has {len(study.attributed)} with "
            "labels or groups; label the rows, or leave the figure out"
        )
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    for number, panel in enumerate(panels, 1):
        panel(figure.add_subplot(rows, columns, number))
    figure.suptitle(title, fontsize=10)
    return write_figure(file, figure)


def _panels(study: Study) -> list[Panel]:
    panels: list[Panel] = []
    if drawn := [each for each in study.attributed if each.summary.curve]:
        panels.append(lambda axes: _draw_curves(axes, drawn))
    for validated in study.validated:
        if validated.leave_out:
            panels.append(_leave_out(validated))
        if validated.removal:
            panels += [_removal(validated, name) for name in ("bias", "ability")]
    panels += [_profile(each) for each in study.attributed[:1] if each.summary.profile]
    return panels


def _draw_curves(axes: Axes, attributed: Sequence[Attributed]) -> None:
    for each in attributed:
        recall, precision = zip(*each.summary.curve, strict=True)
        axes.plot(recall, precision, label=each.attributor, linewidth=1.2)
    summary = attributed[0].summary
    axes.axhline(summary.biased / summary.labelled, color="#888888", linestyle=":", linewidth=1)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize=7)


def _profile(attributed: Attributed) -> Panel:
    rows = [(group_name(each.group), each) for each in attributed.summary.profile]
    label = f"mean score, {attributed.attributor} ({attributed.attribution.unit})"
    return lambda axes: _draw_rows(axes, rows, label)


def _leave_out(validated: Validated) -> Panel:
    rows = [(each.attributor, each.estimate) for each in validated.leave_out]
    return lambda axes: _draw_rows(axes, rows, "LDS (rank correlation)")


def _draw_rows(axes: Axes, rows: Sequence[tuple[str, Estimate]], label: str) -> None:
    for place, (_, each) in enumerate(reversed(rows)):
        axes.plot([each.low, each.high], [place, place], color="#1f5fbf", linewidth=1.5)
        axes.plot([each.value], [place], "o", color="#1f5fbf", markersize=4)
    axes.axvline(0, color="#888888", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)], fontsize=7)
    axes.set_xlabel(label)


def _removal(validated: Validated, name: str) -> Panel:
    def draw(axes: Axes) -> None:
        for curve in validated.removal:
            points = (curve.full, *curve.points)
            values = [_of(point, name) for point in points]
            ends = [
                [each.value - each.low for each in values],
                [each.high - each.value for each in values],
            ]
            axes.errorbar(
                [100 * point.share for point in points],
                [each.value for each in values],
                yerr=None if any(map(math.isnan, (*ends[0], *ends[1]))) else ends,
                label=curve.attributor,
                linewidth=1.2,
                elinewidth=0.7,
            )
        base = _of(validated.removal[0].base, name)
        axes.axhline(base.value, color="#888888", linestyle=":", linewidth=1)
        what = "bias left" if name == "bias" else "perplexity of neutral texts"
        axes.set(xlabel="% of the rows removed", ylabel=f"{what} ({base.unit})")
        axes.legend(fontsize=7)

    return draw


def _of(point: RemovalPoint, name: str) -> Estimate:
    return point.bias if name == "bias" else point.ability
