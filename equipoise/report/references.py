"""What the numbers of a measurement are read against: `Measurement.references` as tables."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from equipoise.number_text import group_name, interval
from equipoise.records import Estimate, Measurement, Reference
from equipoise.report.formatting import visible
from equipoise.report.overview import measured_bases
from equipoise.report.provenance import setting_names
from equipoise.report.rows import Cell, cell
from equipoise.report.tables import Table, plain
from equipoise.stats.without import CHANGE
from equipoise.study.study import Study


class WithoutRow(NamedTuple):
    """A metric without the items of a fault."""

    name: str  # of the fault
    says: str
    items: int  # that are left out
    value: Cell
    change: Cell
    moved: bool  # the interval of the change excludes 0
    reason: str | None  # why a number is missing


class WithoutView(NamedTuple):
    """A metric of a model as it is, on all items and without those of each fault."""

    title: str  # benchmark and model
    metric: str
    unit: str
    every: Cell
    n: int
    rows: tuple[WithoutRow, ...]


def references_of(
    measurement: Measurement, kind: Literal["null", "without"]
) -> tuple[Reference, ...]:
    """Those of a kind, in their order."""
    return tuple(reference for reference in measurement.references if reference.kind == kind)


def without_views(study: Study) -> Iterator[WithoutView]:
    """A view per metric of each model as it is that has numbers without faulty items."""
    bases = measured_bases(study)
    for model, known in bases.items():
        names = setting_names(known.values())
        for setting, measurement in known.items():
            title = f"{names[setting]} of {model}"
            for metric, pairs in _by_metric(measurement).items():
                every = measurement.estimate(metric)
                yield WithoutView(
                    title=title,
                    metric=metric,
                    unit=every.unit,
                    every=cell(every.value, every.low, every.high),
                    n=every.n,
                    rows=tuple(_without_row(*pair) for pair in pairs),
                )


def _by_metric(
    measurement: Measurement,
) -> dict[str, list[tuple[Reference, Estimate, Estimate]]]:
    """Of each metric the references of kind "without", with its value and its change."""
    pairs: dict[str, list[tuple[Reference, Estimate, Estimate]]] = {}
    for reference in references_of(measurement, "without"):
        estimates = {estimate.metric: estimate for estimate in reference.estimates}
        for metric, estimate in estimates.items():
            change = estimates.get(f"{metric}{CHANGE}")
            if change is not None:
                pairs.setdefault(metric, []).append((reference, estimate, change))
    return pairs


def _without_row(reference: Reference, value: Estimate, change: Estimate) -> WithoutRow:
    return WithoutRow(
        name=reference.name,
        says=reference.says,
        items=reference.items,
        value=cell(value.value, value.low, value.high),
        change=cell(change.value, change.low, change.high),
        moved=change.low > 0 or change.high < 0,
        reason=value.reason or change.reason,
    )


def references_text(measurement: Measurement, *, groups: bool = True) -> str:
    """The references for a terminal, a table for each kind that there is; "" without any.

    Without `groups` the overall rows alone.
    """
    parts = [
        f"{title}:\n\n{plain(table)}"
        for title, table in (
            ("rules that know of no bias", _null_table(measurement, groups=groups)),
            ("without faulty items", _without_table(measurement)),
        )
        if table.rows
    ]
    return visible("\n\n".join(parts))


def _null_table(measurement: Measurement, *, groups: bool) -> Table:
    header = ("rule", "items", "metric", "group", "value [95 % interval]", "n")
    rows = tuple(
        (
            reference.name,
            str(reference.items),
            estimate.metric,
            group_name(estimate.group),
            _value(estimate),
            str(estimate.n),
        )
        for reference in references_of(measurement, "null")
        for estimate in reference.estimates
        if groups or not estimate.group
    )
    return Table(header=header, rows=rows)


def _without_table(measurement: Measurement) -> Table:
    header = ("fault", "left out", "metric", "without [95 % interval]", "change [95 % interval]")
    rows = tuple(
        (reference.name, str(reference.items), metric, _value(value), _value(change))
        for metric, pairs in _by_metric(measurement).items()
        for reference, value, change in pairs
    )
    return Table(header=header, rows=rows)


def _value(estimate: Estimate) -> str:
    text = interval(estimate.value, estimate.low, estimate.high)
    return text + (f" ({estimate.reason})" if estimate.reason else "")
