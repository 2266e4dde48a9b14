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
    metric: Metric, *, before: tuple[float, Column], after: tuple[float, Column], clusters: int
) -> Claim | None:
    """What the metric's margin allows to claim after a change; None where it has none.

    `before` and `after`: the value and its draws, paired draw by draw. A metric with a direction
    is judged by what it lost, another by its distance from the ideal.
    """
    margin = metric.margin
    if margin is None or not (math.isfinite(before[0]) and math.isfinite(after[0])):
        return None
    if metric.higher_is_better is not None:
        if before[0] == (metric.low if metric.higher_is_better else metric.high):
            return Claim(  # as bad as can be: there was nothing to lose, which shows nothing
                kind="not_worse", margin=margin, value=math.nan, low=math.nan, high=math.nan,
                p=math.nan, shown=False,
            )  # fmt: skip
        return _not_worse(margin, metric.higher_is_better, before, after, clusters=clusters)
    if metric.ideal is None:
        return None
    value, draws = after[0] - metric.ideal, after[1] - metric.ideal
    reach = (metric.low - metric.ideal, metric.high - metric.ideal)
    low, high, _ = percentile_interval(value, draws, clusters=clusters, within=reach, level=LEVEL)
    tests = [0.0]  # a side on which the metric cannot leave the band needs no test
    if reach[0] < -margin.size:
        tests.append(one_sided_p(value, draws, clusters=clusters, above=-margin.size))
    if reach[1] > margin.size:
        tests.append(one_sided_p(-value, -draws, clusters=clusters, above=-margin.size))
    # Both sides must be refuted, so that the weaker of the two tests decides.
    p = math.nan if any(map(math.isnan, tests)) else max(tests)
    shown = low > -margin.size and high < margin.size
    return Claim(kind="within", margin=margin, value=value, low=low, high=high, p=p, shown=shown)


def _not_worse(
    margin: Margin,
    higher_is_better: bool,
    before: tuple[float, Column],
    after: tuple[float, Column],
    *,
    clusters: int,
) -> Claim:
    sign = -1.0 if higher_is_better else 1.0
    value, draws = sign * (after[0] - before[0]), sign * (after[1] - before[1])
    if margin.relative:
        # Shares of what there was. Where there was nothing they are nan, which shows nothing.
        nothing = before[1] == 0.0 if before[0] else np.full(len(draws), True)
        draws = draws / np.where(nothing, math.nan, np.abs(before[1]))
        value = value / abs(before[0]) if before[0] else math.nan
    low, high, _ = percentile_interval(value, draws, clusters=clusters, level=LEVEL)
    p = one_sided_p(-value, -draws, clusters=clusters, above=-margin.size)
    return Claim(
        kind="not_worse", margin=margin, value=value, low=low, high=high, p=p,
        shown=high < margin.size,
    )  # fmt: skip
