"""What rules without bias get on the same items, as it stands beside a number."""

from collections.abc import Mapping
from typing import Protocol

from equipoise.number_text import numbers
from equipoise.records import Measurement


class Named(Protocol):
    """An estimate, or a change: a metric of a group."""

    @property
    def metric(self) -> str:
        """Its name."""

    @property
    def group(self) -> Mapping[str, str]:
        """{} is overall."""


def null_spans(measurement: Measurement) -> dict[tuple[str, frozenset[tuple[str, str]]], str]:
    """The lowest and the highest value of rules without bias, by metric and group; {} without any.

    As in "41.8 to 62.1".
    """
    values: dict[tuple[str, frozenset[tuple[str, str]]], list[float]] = {}
    for reference in measurement.references:
        for estimate in reference.estimates if reference.kind == "null" else ():
            key = estimate.metric, frozenset(estimate.group.items())
            values.setdefault(key, []).append(estimate.value)
    shown = {
        (each.metric, frozenset(each.group.items())): (each.value, each.low, each.high)
        for each in measurement.estimates
    }
    ends = {
        key: numbers(min(each), max(each), beside=shown.get(key, ()))
        for key, each in values.items()
    }
    return {key: low if low == high else f"{low} to {high}" for key, (low, high) in ends.items()}


def null_span(measurement: Measurement, shown: Named) -> str:
    """That of a metric of a group; "" without any."""
    return null_spans(measurement).get((shown.metric, frozenset(shown.group.items())), "")
