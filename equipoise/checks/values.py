"""What any estimate must hold: a value has something behind it, an interval around it, a range.

A score of nothing that prints as a number, at worst as the ideal, looks like a finding: BBQ's score
without an answer to count is 0 in a published scorer, and 0 is unbiased. Here it is nan, with n = 0
and a reason.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from equipoise.checks.findings import Fault, row_of
from equipoise.records import Columns, Estimate, Measurement, Metric
from equipoise.stats.resample import columns_of, point, select

_ROUNDING = 1e-6  # relative: probabilities are sums of float32, and 1.0000001 is one
_REPEATED = 1e-9  # relative: the same numbers added in another order


def empty_faults(estimates: Sequence[Estimate]) -> list[Fault]:
    """Values of no examples, and missing values without a reason."""
    faults = []
    for estimate in estimates:
        row = row_of(estimate.metric, estimate.group)
        if estimate.n < 1 and not math.isnan(estimate.value):
            ideal = ", which is the ideal" if estimate.value == estimate.ideal else ""
            faults.append(
                Fault(
                    text=f"{row} of {estimate.n} examples must be nan, "
                    f"got {estimate.value:.6g}{ideal}"
                )
            )
        elif not math.isfinite(estimate.value) and not estimate.reason:
            faults.append(Fault(text=f"{row} is {estimate.value} and must give a reason, got none"))
    return faults


def interval_faults(estimates: Sequence[Estimate]) -> list[Fault]:
    """Values outside their interval, ends in the wrong order, missing ones without a reason."""
    faults = []
    for estimate in estimates:
        wrong = interval_fault(estimate.value, estimate.low, estimate.high, reason=estimate.reason)
        if wrong is not None:
            faults.append(Fault(text=f"{row_of(estimate.metric, estimate.group)}: {wrong}"))
    return faults


def interval_fault(value: float, low: float, high: float, *, reason: str | None) -> str | None:
    """What is wrong with an interval, as the end of a sentence; None: nothing.

    A value that is not finite needs no interval.
    """
    if low > high:
        return f"the interval must begin below its end, got [{low:.6g}, {high:.6g}]"
    if not math.isfinite(value):
        return None
    if not (math.isfinite(low) and math.isfinite(high)):
        if reason:
            return None
        return f"an interval [{low:.6g}, {high:.6g}] must give a reason, got none"
    slack = _REPEATED * max(abs(low), abs(high))
    if not low - slack <= value <= high + slack:
        return f"the value must lie in [{low:.6g}, {high:.6g}], got {value:.6g}"
    return None


def range_faults(
    estimates: Sequence[Estimate], metrics: Mapping[str, Metric]
) -> tuple[int, list[Fault]]:
    """How many values were held against what their metric can be, and those outside."""
    checked, faults = 0, []
    for estimate in estimates:
        if estimate.metric not in metrics or math.isnan(estimate.value):
            continue
        low, high = metrics[estimate.metric].low, metrics[estimate.metric].high
        checked += 1
        slack = _ROUNDING * max([1.0, *(abs(end) for end in (low, high) if math.isfinite(end))])
        if not low - slack <= estimate.value <= high + slack:
            row = row_of(estimate.metric, estimate.group)
            faults.append(
                Fault(text=f"{row} must lie in [{low:g}, {high:g}], got {estimate.value:.6g}")
            )
    return checked, faults


def repeated_faults(
    measurement: Measurement, metrics: Mapping[str, Metric]
) -> tuple[int, list[Fault]]:
    """How many values were computed again from the outcomes, and those that differ."""
    if not measurement.outcomes:
        return 0, []
    columns = columns_of(measurement.outcomes, cluster=measurement.cluster)
    rows: dict[frozenset[tuple[str, str]], Columns] = {}
    checked, faults = 0, []
    for estimate in measurement.estimates:
        if estimate.metric not in metrics:
            continue
        group = frozenset(estimate.group.items())
        if group not in rows:
            inside = [group <= outcome.groups.items() for outcome in measurement.outcomes]
            rows[group] = select(columns, np.array(inside))
        checked += 1
        wrong = _repeated_fault(estimate, metrics[estimate.metric], rows[group])
        if wrong is not None:
            faults.append(wrong)
    return checked, faults


def _repeated_fault(one: Estimate, metric: Metric, columns: Columns) -> Fault | None:
    row = row_of(one.metric, one.group)
    try:
        again = point(metric, columns)
    except Exception as error:  # a metric is a plug-in's own code
        why = f"{type(error).__name__}: {error}"
        return Fault(text=f"{row} cannot be computed from its outcomes, got {why}", level="warning")
    if _equal(one.value, again.value) and one.n == again.n:
        return None
    return Fault(
        text=f"{row} must be {again.value:.6g} of {again.n} examples by its outcomes, "
        f"got {one.value:.6g} of {one.n}"
    )


def _equal(one: float, two: float) -> bool:
    if math.isnan(one) or math.isnan(two):
        return math.isnan(one) and math.isnan(two)
    return math.isclose(one, two, rel_tol=_REPEATED, abs_tol=_REPEATED)
