"""How results show themselves in a notebook or at a prompt: in a line, as a table, as a figure.

Each class is mixed into the result of its name, whose fields it reads.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from equipoise.errors import RecipeError, nearest
from equipoise.figures import Interval, draw_histogram, draw_intervals
from equipoise.frames import as_frame, html_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

_SHOWN_ROWS = 20


def _show_number(value: float, low: float = math.nan, high: float = math.nan) -> str:
    span = "" if math.isnan(low) or math.isnan(high) else f" [{low:.4g}, {high:.4g}]"
    return f"{value:.4g}{span}"


def _name_group(group: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {name}" for key, name in group.items()) or "overall"


def _name_row(row: Any) -> str:
    return f"{row.metric} ({_name_group(row.group)})" if row.group else str(row.metric)


def _choose_metric(results: Iterable[Any], metric: str | None) -> str:
    """The metric, or the first. Raises `RecipeError` for one that is not there."""
    known = list(dict.fromkeys(result.metric for result in results))
    if metric is None and known:
        return str(known[0])
    if metric is None or metric not in known:
        raise RecipeError(
            f"there is no metric '{metric}' to be drawn; {nearest(str(metric), known)}"
        )
    return metric


def _choose_rows(results: Iterable[Any], metric: str, by: str | None) -> list[Any]:
    """The rows of a metric, overall first. Raises `RecipeError` for a key that is not there."""
    rows = [result for result in results if result.metric == metric]
    keys = {key for row in rows for key in row.group}
    if by is not None and by not in keys:
        raise RecipeError(f"{metric} has no groups by '{by}'; {nearest(by, keys)}")
    chosen = [row for row in rows if by is None or not row.group or [*row.group] == [by]]
    return sorted(chosen, key=lambda row: bool(row.group))


class EstimateView:
    """An `Estimate` in a line."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        value = _show_number(self.value, self.low, self.high)
        return f"<Estimate {_name_row(self)}: {value} {self.unit}, n {self.n}>"


class ChangeView:
    """A `Change` in a line."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        after = _show_number(self.after, self.after_low, self.after_high)
        return (
            f"<Change {_name_row(self)}: {_show_number(self.before)} to {after} {self.unit}, "
            f"{self.direction}, n {self.n}>"
        )


class MeasurementView:
    """A `Measurement` in a line, as a table and as a figure."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        about = f"{self.label or self.benchmark} ({self.split}) of {self.model}"
        if not self.estimates:
            return f"<Measurement {about}: no estimates>"
        first = self.estimates[0]
        value = _show_number(first.value, first.low, first.high)
        return (
            f"<Measurement {about}: {first.metric} {value} {first.unit}, n {first.n}; "
            f"{len(self.estimates)} estimates>"
        )

    def _repr_html_(self: Any) -> str:
        return html_table(f"{self.benchmark} ({self.split}), {self.model}", self.to_frame())

    def plot(
        self: Any, metric: str | None = None, *, by: str | None = None, axes: "Axes | None" = None
    ) -> "Axes":
        """Draw a metric, overall and by groups, with intervals and its ideal.

        `metric`: None: the first. `by`: groups of this key alone. `axes`: of matplotlib, to draw
        into; None: a new figure. Raises `RecipeError` for a metric or key that it has not.
        """
        name = _choose_metric(self.estimates, metric)
        rows = _choose_rows(self.estimates, name, by)
        return draw_intervals(
            [Interval(_name_group(row.group), row.value, row.low, row.high) for row in rows],
            title=f"{self.benchmark}: {name} of {self.model}",
            unit=rows[0].unit,
            ideal=rows[0].ideal,
            axes=axes,
        )


class ComparisonView:
    """A `Comparison` in a line and as a figure."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        after = ", ".join(after.model for after in self.afters)
        about = f"{self.before.benchmark} ({self.before.split}), {self.before.model} to {after}"
        if not self.changes:
            return f"<Comparison {about}: no changes>"
        first = self.changes[0]
        return (
            f"<Comparison {about}: {first.metric} {_show_number(first.before)} to "
            f"{_show_number(first.after)} {first.unit}, {first.direction}; "
            f"{len(self.changes)} changes>"
        )

    def plot(
        self: Any, metric: str | None = None, *, by: str | None = None, axes: "Axes | None" = None
    ) -> "Axes":
        """Draw a metric after the change with its interval, and before it as an open circle.

        Arguments and errors as of `Measurement.plot`.
        """
        name = _choose_metric(self.changes, metric)
        rows = _choose_rows(self.changes, name, by)
        return draw_intervals(
            [
                Interval(
                    f"{_name_group(row.group)}: {row.direction}",
                    row.after,
                    row.after_low,
                    row.after_high,
                    row.before,
                )
                for row in rows
            ],
            title=f"{self.before.benchmark}: {name} before (open) and after",
            unit=rows[0].unit,
            ideal=rows[0].ideal,
            axes=axes,
        )


class RankingView:
    """A `Ranking` in a line, as a table and as a figure."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        first = ", ".join(self.label(index) for index in self.order[:5])
        more = ", …" if len(self.scores) > 5 else ""
        return (
            f"<Ranking {self.locator} of {len(self.scores)} {self.kind}s: {first}{more}; "
            f"{self.prompts} prompts>"
        )

    def to_frame(self: Any) -> "DataFrame":
        """A row per component, the largest score first: component, score, low, high, rank."""
        return as_frame(
            {
                self.kind: self.label(index),
                "score": self.scores[index],
                "low": self.low[index],
                "high": self.high[index],
                "rank": rank,
            }
            for rank, index in enumerate(self.order, start=1)
        )

    def _repr_html_(self: Any) -> str:
        caption = f"{self.locator}, {self.prompts} prompts, in {self.unit}"
        return html_table(caption, self.to_frame().head(_SHOWN_ROWS))

    def plot(self: Any, *, axes: "Axes | None" = None) -> "Axes":
        """Draw the scores with intervals: blocks in the model's order, heads by score."""
        order = range(len(self.scores)) if self.kind == "block" else self.order
        return draw_intervals(
            [
                Interval(self.label(index), self.scores[index], self.low[index], self.high[index])
                for index in order
            ],
            title=f"{self.locator}: {self.kind}s",
            unit=self.unit,
            axes=axes,
        )


class AttributionView:
    """An `Attribution` in a line, as a table and as a figure; no texts."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        scored = sum(not math.isnan(score) for score in self.scores)
        return (
            f"<Attribution {self.attributor}: {scored} of {len(self.ids)} rows scored in "
            f"{self.unit}, {self.probes} probes>"
        )

    def _repr_html_(self: Any) -> str:
        frame = self.to_frame().sort_values("score", ascending=False, kind="stable")
        caption = f"{self.attributor}: the {_SHOWN_ROWS} of {len(self.ids)} rows that score highest"
        return html_table(caption, frame.head(_SHOWN_ROWS))

    def plot(self: Any, *, axes: "Axes | None" = None) -> "Axes":
        """Draw how many rows have which score."""
        title = f"{self.attributor}: scores of {len(self.ids)} rows"
        return draw_histogram(self.scores.tolist(), title=title, unit=self.unit, axes=axes)
