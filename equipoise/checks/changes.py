"""A printed change is the difference of the numbers beside it, and its direction says so.

Only arithmetic: whether a change is real is the interval's business. LFTF's ablation table prints
+0.652 where its own columns differ by +0.0652.
"""

import math
from collections.abc import Sequence

from equipoise.checks.findings import Fault, row_of
from equipoise.checks.values import interval_fault
from equipoise.conclusions import Change, Comparison

_RELATIVE = 1e-9  # of the larger of the numbers beside it


def difference_faults(changes: Sequence[Change]) -> list[Fault]:
    """Changes whose difference, or fall in distance to the ideal, is not that of before and after.

    The fall is checked for a single seed: a mean of distances is no distance of means.
    """
    faults = []
    for change in changes:
        row, scale = row_of(change.metric, change.group), max(abs(change.before), abs(change.after))
        must = change.after - change.before
        if not _same(change.difference, must, scale):
            faults.append(
                Fault(
                    text=f"{row} went from {change.before:.6g} to {change.after:.6g}, which is "
                    f"{must:+.6g}, got {change.difference:+.6g}"
                )
            )
        if change.ideal is None or change.seeds > 1:
            continue
        fall = abs(change.before - change.ideal) - abs(change.after - change.ideal)
        if not _same(change.nearer, fall, max(scale, abs(change.ideal))):
            faults.append(
                Fault(
                    text=f"{row} went from {change.before:.6g} to {change.after:.6g}, nearer to "
                    f"{change.ideal:g} by {fall:.6g}, got {change.nearer:.6g}"
                )
            )
    return faults


def seed_faults(comparison: Comparison) -> list[Fault]:
    """Overall changes that are not the mean of the single seeds' ones."""
    if not comparison.by_seed:
        return []
    faults = []
    for one in (change for change in comparison.changes if not change.group):
        parts = [part for seed in comparison.by_seed for part in seed if part.metric == one.metric]
        after = [part.after for part in parts if not part.group]
        must = math.fsum(after) / len(after) if after else math.nan
        if not _same(one.after, must, max((abs(value) for value in after), default=1.0)):
            faults.append(
                Fault(
                    text=f"{one.metric} after must be {must:.6g}, the mean of {len(after)} seeds, "
                    f"got {one.after:.6g}"
                )
            )
    return faults


def direction_faults(changes: Sequence[Change]) -> list[Fault]:
    """Changes whose direction says what their numbers do not."""
    faults = []
    for change in changes:
        wrong = _contradiction(change)
        if wrong is not None:
            row = row_of(change.metric, change.group)
            faults.append(Fault(text=f"{row} is called {change.direction}, but {wrong}"))
    return faults


def change_interval_faults(changes: Sequence[Change]) -> list[Fault]:
    """Sides and differences outside their intervals."""
    faults = []
    for change in changes:
        for name, value, low, high in (
            ("before", change.before, change.before_low, change.before_high),
            ("after", change.after, change.after_low, change.after_high),
            ("difference", change.difference, change.low, change.high),
        ):
            wrong = interval_fault(value, low, high, reason=change.reason)
            if wrong is not None:
                row = row_of(change.metric, change.group)
                faults.append(Fault(text=f"{row}, {name}: {wrong}"))
    return faults


def _contradiction(one: Change) -> str | None:
    """What the numbers say against the direction; None: nothing."""
    if one.direction in ("unknown", "unchanged"):
        return None
    if not math.isfinite(one.difference):
        return f"the difference is {one.difference:.6g}"
    if one.direction in ("reduced", "reversed", "unclear") and not one.measures_bias:
        return "the metric does not measure bias"
    if one.direction == "better" and (one.higher_is_better is None):
        return "the metric does not measure ability"
    if one.direction == "reversed":
        ideal = one.ideal if one.ideal is not None else math.nan
        opposite = (one.before - ideal) * (one.after - ideal) < 0
        return None if opposite else f"{one.before:.6g} and {one.after:.6g} lie on one side"
    return _wrong_way(one)


def _wrong_way(one: Change) -> str | None:
    if one.measures_bias:
        wrong = (one.direction == "reduced" and one.nearer <= 0) or (
            one.direction == "worse" and one.nearer >= 0
        )
        return f"it came nearer to the ideal by {one.nearer:.6g}" if wrong else None
    if one.higher_is_better is None or one.direction not in ("better", "worse"):
        return None
    gained = (one.difference > 0) == one.higher_is_better
    wrong = gained != (one.direction == "better") or one.difference == 0
    return f"it went {one.difference:+.6g}" if wrong else None


def _same(one: float, two: float, scale: float) -> bool:
    if math.isfinite(one) and math.isfinite(two):
        return abs(one - two) <= _RELATIVE * scale
    return one == two or (math.isnan(one) and math.isnan(two))
