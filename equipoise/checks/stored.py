"""Whether a result that was read from a file can be: somebody may have edited it.

A score of nothing that is printed as a number, at worst as the ideal, looks like a result: BBQ's
score without an answer to count is 0 in a published scorer, and 0 is unbiased. LFTF's ablation
table prints +0.652 where its own columns differ by +0.0652.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from equipoise.checks.faults import Fault, row_of
from equipoise.conclusions import Change, Comparison
from equipoise.records import Estimate, Metric
from equipoise.stats.verdict import direction_of

_ROUNDING = 1e-6  # relative: probabilities are sums of float32, and 1.0000001 is 1
_EXACT = 1e-9  # relative, of what was computed in float64


def estimate_faults(
    estimates: Sequence[Estimate], metrics: Mapping[str, Metric]
) -> Iterator[Fault]:
    """Values of nothing, outside their interval or their metric's range, or missing without reason.

    `metrics`: those of the benchmark where it is here; without them no range is checked.
    """
    for estimate in estimates:
        row, value = row_of(estimate.metric, estimate.group), estimate.value
        if estimate.n < 1 and not math.isnan(value):
            ideal = ", which is the ideal" if value == estimate.ideal else ""
            yield Fault(f"{row} of {estimate.n} examples must be nan, got {value:.6g}{ideal}")
        yield from _interval_faults(row, value, estimate.low, estimate.high, estimate.reason)
        metric = metrics.get(estimate.metric)
        if metric is None or math.isnan(value):
            continue
        ends = [abs(end) for end in (metric.low, metric.high) if math.isfinite(end)]
        slack = _ROUNDING * max([1.0, *ends])
        if not metric.low - slack <= value <= metric.high + slack:
            ends_text = f"[{metric.low:g}, {metric.high:g}]"
            yield Fault(f"{row} must lie in {ends_text}, got {value:.6g}")


def change_faults(changes: Sequence[Change]) -> Iterator[Fault]:
    """Changes that are not the difference of their sides, or whose direction their numbers deny."""
    for change in changes:
        row = row_of(change.metric, change.group)
        difference = change.after - change.before
        slack = _EXACT * max(abs(change.before), abs(change.after))
        gap = abs(change.difference - difference)
        if not (gap <= slack or str(change.difference) == str(difference)):  # nan, infinite
            yield Fault(
                f"{row} went from {change.before:.6g} to {change.after:.6g}, which is "
                f"{difference:+.6g}, got {change.difference:+.6g}"
            )
        direction = direction_of(change)
        if direction != change.direction:
            yield Fault(f"{row} must be {direction} by its intervals and p, got {change.direction}")
        for name, value, low, high in (
            ("before", change.before, change.before_low, change.before_high),
            ("after", change.after, change.after_low, change.after_high),
            ("difference", change.difference, change.low, change.high),
        ):
            yield from _interval_faults(f"{row}, {name}", value, low, high, change.reason)


def setting_faults(comparison: Comparison) -> Iterator[Fault]:
    """Changes that conclude something where settings differ, or nothing where none does."""
    withheld = any(not difference.across for difference in comparison.differences)
    silent = {change.direction == "not comparable" for change in comparison.changes}
    if silent - {withheld}:
        differ = "differ" if withheld else "agree"
        yield Fault(
            f"changes must {'' if withheld else 'not '}be 'not comparable' where settings "
            f"{differ}, got {sorted({c.direction for c in comparison.changes})}"
        )
    for change in comparison.changes:
        if change.direction == "not comparable" and not math.isnan(change.p_holm):
            row = row_of(change.metric, change.group)
            yield Fault(f"{row} is not comparable, so that p must be nan, got {change.p_holm:.6g}")


def _interval_faults(
    row: str, value: float, low: float, high: float, reason: str | None
) -> Iterator[Fault]:
    interval = f"[{low:.6g}, {high:.6g}]"
    slack = _EXACT * max(abs(low), abs(high))
    if low > high:
        yield Fault(f"{row}: the interval must begin below its end, got {interval}")
    elif not reason and not all(map(math.isfinite, (value, low, high))):
        yield Fault(f"{row} is {value:.6g} in {interval} and must give a reason, got none")
    elif math.isfinite(low) and not (math.isnan(value) or low - slack <= value <= high + slack):
        yield Fault(f"{row}: the value must lie in {interval}, got {value:.6g}")
