"""Claims that need proof: within a margin of the ideal, or not worse than a margin.

Schuirmann 1987 (two one-sided tests); Piaggio et al. 2012 (non-inferiority, CONSORT). A point
inside the margin shows nothing, and "no change shown" is no proof of sameness.
"""

import math

import numpy as np

from equipoise.conclusions import Claim
from equipoise.records import Column, Margin, Metric
from equipoise.stats.resample import one_sided_p, percentile_interval

LEVEL = 0.90  # of an interval that lies inside the margin exactly when both tests say so at 5 %


def claim_of(
    metric: Metric,
    *,
    before: tuple[float, Column],
    after: tuple[float, Column],
    clusters: int,
) -> Claim | None:
    """What the metric's margin allows to claim after a change; None where it has none.

    `before` and `after`: the value and its draws, paired draw by draw. A metric with a direction
    is judged by what it lost, another by its distance from the ideal.
    """
    margin, ideal = metric.margin, metric.ideal
    if margin is None or not (math.isfinite(before[0]) and math.isfinite(after[0])):
        return None
    if metric.higher_is_better is not None:
        sign = -1.0 if metric.higher_is_better else 1.0
        lost = sign * (after[0] - before[0]), sign * (after[1] - before[1])
        if margin.relative:
            lost = _shares(*lost, of=before)
        return _not_worse(margin, *lost, clusters=clusters)
    if ideal is None:
        return None
    reach = (metric.low - ideal, metric.high - ideal)
    return _within(margin, after[0] - ideal, after[1] - ideal, clusters=clusters, reach=reach)


def _shares(value: float, draws: Column, *, of: tuple[float, Column]) -> tuple[float, Column]:
    """What was lost as shares of what there was; nan where there was nothing, which shows nothing.

    Draws of nothing are nan, too, which `percentile_interval` leaves out or gives up on.
    """
    if of[0] == 0.0:
        return math.nan, np.full_like(draws, math.nan)
    sizes = np.abs(of[1])
    return value / abs(of[0]), draws / np.where(sizes == 0.0, math.nan, sizes)


def _within(
    margin: Margin, value: float, draws: Column, *, clusters: int, reach: tuple[float, float]
) -> Claim:
    """`value` and `draws` less the ideal; `reach`: the metric's range less the ideal."""
    low, high, _ = percentile_interval(value, draws, clusters=clusters, within=reach, level=LEVEL)
    tests = [0.0]  # a side on which the metric cannot leave the band needs no test
    if reach[0] < -margin.size:
        tests.append(one_sided_p(value, draws, clusters=clusters, above=-margin.size))
    if reach[1] > margin.size:
        tests.append(one_sided_p(-value, -draws, clusters=clusters, above=-margin.size))
    return Claim(
        kind="within",
        margin=margin,
        value=value,
        low=low,
        high=high,
        p=math.nan if any(map(math.isnan, tests)) else max(tests),
        shown=low > -margin.size and high < margin.size,
    )


def _not_worse(margin: Margin, value: float, draws: Column, *, clusters: int) -> Claim:
    low, high, _ = percentile_interval(value, draws, clusters=clusters, level=LEVEL)
    return Claim(
        kind="not_worse",
        margin=margin,
        value=value,
        low=low,
        high=high,
        p=one_sided_p(-value, -draws, clusters=clusters, above=-margin.size),
        shown=high < margin.size,
    )
