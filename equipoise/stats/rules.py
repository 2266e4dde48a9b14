"""What rules without bias get, beside a number on the same items."""

import math
from collections.abc import Iterable, Mapping

from equipoise.records import Estimate, Reference

_OVERALL: Mapping[str, str] = {}


def rules_of(
    references: Iterable[Reference], metric: str, group: Mapping[str, str] = _OVERALL
) -> tuple[tuple[str, Estimate], ...]:
    """Each rule's name and its number of a metric, overall or of a group."""
    return tuple(
        (reference.name, estimate)
        for reference in references
        if reference.kind == "null"
        for estimate in reference.estimates
        if estimate.metric == metric and dict(estimate.group) == dict(group)
    )


def meets(low: float, high: float, rule: Estimate) -> bool:
    """Whether an interval meets a rule's; of a rule without one, whether its value is inside."""
    ends = (rule.value, rule.value) if math.isnan(rule.low) else (rule.low, rule.high)
    return low <= ends[1] and ends[0] <= high
