"""A share of counted items is a whole number of them: it lies on the grid k / n.

CrowS-Pairs about gender are 262, so 59.16 % is 155 of them and 59.20 % is none. This showed that
published tables had scored other categories than they named.
"""

import math
from collections.abc import Mapping, Sequence

from equipoise.checks.findings import Fault, row_of
from equipoise.records import Estimate, Metric

_TOLERANCE = 1e-7  # of a value computed here, in its unit; a printed one: half its last digit


def on_grid(value: float, *, n: int, grid: float, tolerance: float = _TOLERANCE) -> bool:
    """Whether some whole number k of n items gives the value: |grid * k / n - value| is small.

    `grid` is that of `records.Metric`; `tolerance` in the value's unit, 0.005 for a number printed
    with two decimals. With so many items that any value is near one, it says nothing.
    """
    whole = round(value * n / grid)
    return abs(grid * whole / n - value) <= tolerance


def grid_faults(
    estimates: Sequence[Estimate], metrics: Mapping[str, Metric]
) -> tuple[int, list[Fault]]:
    """How many shares were compared with their grid, and those off it."""
    checked, faults = 0, []
    for estimate in estimates:
        grid = metrics[estimate.metric].grid if estimate.metric in metrics else None
        if grid is None or not math.isfinite(estimate.value) or estimate.n < 1:
            continue
        checked += 1
        if not on_grid(estimate.value, n=estimate.n, grid=grid):
            faults.append(Fault(text=_sentence(estimate, grid)))
    return checked, faults


def _sentence(estimate: Estimate, grid: float) -> str:
    below = math.floor(estimate.value * estimate.n / grid)
    near = " or ".join(f"{grid * whole / estimate.n:.6g}" for whole in (below, below + 1))
    return (
        f"{row_of(estimate.metric, estimate.group)} must be a count of {estimate.n} examples, "
        f"near here {near}, got {estimate.value:.6g}"
    )
