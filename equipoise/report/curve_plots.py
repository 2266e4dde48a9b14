"""Curves of training as pictures: a quantity a picture, a line for each method and seed.

Places are in percent of the plot, from the left and from the bottom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.number_text import interval
from equipoise.report.axis import Axis, Tick, axis_of, minus
from equipoise.report.training_curves import Curve, study_curves
from equipoise.study.study import Study

MOST_LINES = 5  # methods of a picture, as many as there are kinds of lines
_ROWS = 12  # of the table below it
_NEAR = 8.0  # percent of the height that a label needs

#: From the left, from the bottom.
Place = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve of a seed, in pieces where values are missing."""

    kind: int  # of its method, from 0; its color and its dashes
    name: str  # the method, and the seed where there are several
    pieces: tuple[tuple[Place, ...], ...]
    band: tuple[tuple[Place, ...], ...]  # outlines of the interval; (): it has none, or others do


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePicture:
    """A quantity by step, of at most `MOST_LINES` methods."""

    quantity: str
    unit: str
    over: str
    methods: tuple[str, ...]  # by the kind of their lines
    lines: tuple[Line, ...]
    across: Axis
    axis: Axis
    sentences: tuple[str, ...]  # what points and bands are
    headings: tuple[str, ...]  # of the table
    rows: tuple[tuple[str, ...], ...]
    left_out: int  # points of the longest curve that the table leaves out

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Of the axis, those whose labels leave room for that of the ideal above or below."""
        ideal = self.axis.ideal
        return tuple(
            tick
            for tick in self.axis.ticks
            if ideal is None or abs(tick.place - ideal.place) > _NEAR
        )


def curve_pictures(study: Study) -> dict[str, list[CurvePicture]]:
    """Model to its pictures: SS first, then losses, then the rest."""
    by_model: dict[str, dict[tuple[str, str], list[Curve]]] = {}
    for curve in study_curves(study):
        quantities = by_model.setdefault(curve.model, {})
        quantities.setdefault((curve.over, curve.quantity), []).append(curve)
    pictures: dict[str, list[CurvePicture]] = {}
    for model, quantities in by_model.items():
        for _, curves in sorted(quantities.items(), key=lambda item: _rank(item[0][1])):
            methods = list(dict.fromkeys(curve.method for curve in curves))
            for first in range(0, len(methods), MOST_LINES):
                chosen = methods[first : first + MOST_LINES]
                pictures.setdefault(model, []).append(
                    _picture([curve for curve in curves if curve.method in chosen], chosen)
                )
    return pictures


def svg_points(places: Sequence[Place]) -> str:
    """Places as a polyline has them, in a square of 100 whose origin is above on the left."""
    drawn = (*places, *places) if len(places) == 1 else places  # with a length, so that it is seen
    return " ".join(f"{x:g},{round(100 - y, 2):g}" for x, y in drawn)


def _rank(quantity: str) -> int:
    """Sorting is stable: within a rank the order of the records stays."""
    if quantity.startswith("SS"):
        return 0
    return 2 if quantity.startswith("loss") else 1


def _picture(curves: Sequence[Curve], methods: Sequence[str]) -> CurvePicture:
    banded = len({curve.seed for curve in curves}) <= 1  # bands of several seeds would hide lines
    values = [value for curve in curves for value in curve.values]
    if banded:
        values += [end for curve in curves for end in (*curve.low, *curve.high)]
    axis = axis_of(values, ideal=curves[0].ideal)
    across = axis_of([0.0, *(x for curve in curves for x in curve.x)], ticks=4)
    first = curves[0]
    rows, left_out = _table(curves)
    return CurvePicture(
        quantity=first.quantity,
        unit=first.unit,
        over=first.over,
        methods=tuple(methods),
        lines=tuple(
            Line(
                kind=methods.index(curve.method),
                name=_name(curve, curves),
                pieces=_pieces(curve, across, axis),
                band=_bands(curve, across, axis) if banded else (),
            )
            for curve in curves
        ),
        across=across,
        axis=axis,
        sentences=tuple(_sentences(curves, banded=banded)),
        headings=(first.over, *(_name(curve, curves) for curve in curves)),
        rows=rows,
        left_out=left_out,
    )  # fmt: skip


def _name(curve: Curve, curves: Sequence[Curve]) -> str:
    repeated = len({other.seed for other in curves if other.method == curve.method}) > 1
    return f"{curve.method}, seed {curve.seed}" if repeated else curve.method


def _pieces(curve: Curve, across: Axis, axis: Axis) -> tuple[tuple[Place, ...], ...]:
    """The points between gaps."""
    pieces: list[list[Place]] = [[]]
    for x, value in zip(curve.x, curve.values, strict=True):
        if math.isfinite(value):
            pieces[-1].append((across.at(x), axis.at(value)))
        elif pieces[-1]:
            pieces.append([])
    return tuple(tuple(piece) for piece in pieces if piece)


def _bands(curve: Curve, across: Axis, axis: Axis) -> tuple[tuple[Place, ...], ...]:
    """The outline of the interval between gaps: along the lower ends, back along the upper."""
    outlines: list[tuple[list[Place], list[Place]]] = [([], [])]
    for x, low, high in zip(curve.x, curve.low, curve.high, strict=True):
        if math.isfinite(low) and math.isfinite(high):
            outlines[-1][0].append((across.at(x), axis.at(low)))
            outlines[-1][1].append((across.at(x), axis.at(high)))
        elif outlines[-1][0]:
            outlines.append(([], []))
    return tuple((*lower, *reversed(upper)) for lower, upper in outlines if len(lower) > 1)


def _sentences(curves: Sequence[Curve], *, banded: bool) -> list[str]:
    """How points came about, how many items are behind them, and what the band is."""
    rules = list(dict.fromkeys(curve.rule for curve in curves))
    counts = sorted({curve.n for curve in curves if curve.n is not None})
    said = [f"points: {'; '.join(rules)}"]
    if counts:
        said.append(f"n = {' or '.join(f'{count:,}' for count in counts)} held-out items")
    bands = list(dict.fromkeys(curve.band for curve in curves if curve.band))
    if not bands:
        said.append("no band: nothing says how sure a point is")
    elif banded:
        said.append(f"band: {'; '.join(bands)}")
    else:
        said.append(f"a line for each seed; no band, the table has the {'; '.join(bands)}")
    return said


def _table(curves: Sequence[Curve]) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Some of the points as text, spread evenly, the first and the last of them; and how many lack.

    A row has the place, and the value of each curve there.
    """
    places = sorted({x for curve in curves for x in curve.x})
    count = min(_ROWS, len(places))
    chosen = [places[round(k * (len(places) - 1) / max(1, count - 1))] for k in range(count)]
    cells: list[dict[float, str]] = [
        {
            x: minus(interval(value, low, high))
            for x, value, low, high in zip(
                curve.x, curve.values, curve.low, curve.high, strict=True
            )
        }
        for curve in curves
    ]
    rows = tuple((f"{x:g}", *(column.get(x, "") for column in cells)) for x in chosen)
    return rows, len(places) - len(chosen)
