"""A heat map of layers and attention heads: on the page, and as a figure file.

BiasGym draws such maps (figures 4 to 8). Orange heads favor the biased answer, violet heads the
other; heads that pass a locator's tests have a frame. Several seeds are averaged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from equipoise.conclusions import Ranking
from equipoise.errors import RecipeError
from equipoise.number_text import numbers
from equipoise.report.figure_file import check_figure, write_figure

STEPS: Final = 7  # of the page's color scale; the middle is 0
_CELL = 0.22  # inches


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A head: its place, counted from 0, and how it is drawn."""

    layer: int
    head: int
    step: int | None  # of the color scale, 0 (most negative) to STEPS - 1; None: no score
    text: str  # its score, for a reader
    chosen: bool  # passes the locator's tests with every seed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Scores of heads by layer."""

    layers: int
    heads: int
    cells: tuple[Cell, ...]
    largest: str  # the score at the ends of the scale, as text


def heat_map(rankings: Sequence[Ranking]) -> HeatMap | None:
    """The mean scores of heads over rankings of the same model; None for rankings of blocks."""
    if not rankings or rankings[0].kind != "head":
        return None
    places = [_place(label) for label in rankings[0].labels]
    means = _means(rankings)
    most = _largest(means)
    chosen = _chosen(rankings)
    cells = tuple(
        Cell(
            layer=layer,
            head=head,
            step=_step(score, most),
            text=numbers(score)[0],
            chosen=index in chosen,
        )
        for index, ((layer, head), score) in enumerate(zip(places, means.tolist(), strict=True))
    )
    return HeatMap(
        layers=max(layer for layer, _ in places) + 1,
        heads=max(head for _, head in places) + 1,
        cells=cells,
        largest=numbers(most)[0],
    )


def write_heat_map(file: Path | str, rankings: Sequence[Ranking], *, title: str) -> Path:
    """Write the map as .svg or .png, by the file's ending; whole or not at all.

    The same rankings give the same bytes. Raises `RecipeError` for another ending and for a
    ranking of blocks, and `StoreError` where the file cannot be written.
    """
    file = Path(file)
    check_figure(file)
    if rankings[0].kind != "head":
        raise RecipeError(
            f"a heat map must be of heads, {rankings[0].locator} ranks {rankings[0].kind}s; take a "
            "locator of heads, or --html for a plot of blocks"
        )
    return write_figure(file, _draw(rankings, title))


def _draw(rankings: Sequence[Ranking], title: str) -> Figure:
    places = [_place(label) for label in rankings[0].labels]
    layers, heads = (max(each) + 1 for each in zip(*places, strict=True))
    means, chosen = _means(rankings), _chosen(rankings)
    table = np.full((layers, heads), math.nan)
    for (layer, head), score in zip(places, means, strict=True):
        table[layer, head] = score
    most = _largest(means) or 1.0
    size = (max(3.6, _CELL * heads + 2.0), max(2.4, _CELL * layers + 1.4))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot(1, 1, 1)
    shown = axes.imshow(table, cmap="PuOr_r", vmin=-most, vmax=most, origin="lower", aspect="auto")
    for index in chosen:
        layer, head = places[index]
        corner = (head - 0.5, layer - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#111111", linewidth=1.2))
    axes.set_xlabel("head")
    axes.set_ylabel("layer")
    axes.set_title(title, fontsize=9)
    figure.colorbar(shown, ax=axes, label=rankings[0].unit)
    return figure


def _place(label: str) -> tuple[int, int]:
    layer, _, head = label.partition(".")
    return int(layer), int(head)


def _means(rankings: Sequence[Ranking]) -> NDArray[np.float64]:
    return np.asarray(np.mean([ranking.scores for ranking in rankings], axis=0))


def _largest(means: NDArray[np.float64]) -> float:
    finite = np.abs(means[np.isfinite(means)])
    return float(finite.max()) if len(finite) else 0.0


def _chosen(rankings: Sequence[Ranking]) -> set[int]:
    return set.intersection(*(set(ranking.chosen or ()) for ranking in rankings))


def _step(score: float, most: float) -> int | None:
    if not math.isfinite(score):
        return None
    share = 0.5 if most == 0 else (score / most + 1.0) / 2.0
    return min(STEPS - 1, int(share * STEPS))
