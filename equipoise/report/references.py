"""What numbers are read against, as a page and a terminal show it."""

from collections.abc import Mapping, Sequence

from equipoise.records import Estimate, Measurement, Reference
from equipoise.report.formatting import numbers


def nulls_for(
    references: Sequence[Reference], metric: str, group: Mapping[str, str]
) -> list[tuple[Reference, Estimate]]:
    """What each rule without bias gets in a metric and a group, from the lowest up."""
    known = [
        (reference, estimate)
        for reference in references
        if reference.kind == "null"
        for estimate in reference.estimates
        if estimate.metric == metric and dict(estimate.group) == dict(group)
    ]
    return sorted(known, key=lambda pair: pair[1].value)


def null_span(measurement: Measurement, estimate: Estimate) -> str:
    """The lowest and the highest value of rules without bias, "41.8 to 62.1"; "" without any."""
    values = [
        other.value
        for _, other in nulls_for(measurement.references, estimate.metric, estimate.group)
    ]
    if not values:
        return ""
    low, high = numbers(values[0], values[-1])
    return low if low == high else f"{low} to {high}"


def null_rows(measurement: Measurement) -> list[tuple[Reference, Estimate]]:
    """Every rule's overall values, in the order of the rules."""
    return [
        (reference, estimate)
        for reference in measurement.references
        if reference.kind == "null"
        for estimate in reference.estimates
        if not estimate.group
    ]
