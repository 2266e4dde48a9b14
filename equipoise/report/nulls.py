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


def null_span(measurement: Measurement, shown: Named) -> str:
    """The lowest and the highest value of rules without bias, "41.8 to 62.1"; "" without any."""
    values = [
        estimate.value
        for reference in measurement.references
        if reference.kind == "null"
        for estimate in reference.estimates
        if (estimate.metric, dict(estimate.group)) == (shown.metric, dict(shown.group))
    ]
    if not values:
        return ""
    low, high = numbers(min(values), max(values))
    return low if low == high else f"{low} to {high}"
