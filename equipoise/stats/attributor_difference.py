"""Two attributors compared: a difference with its interval, and in words what it shows."""

import math

from equipoise.attributions import AttributorDifference
from equipoise.records import Column, Estimate
from equipoise.stats.resample import percentile_interval


def compare_attributors(
    attributor: tuple[str, float],
    other: tuple[str, float],
    drawn: Column,
    *,
    metric: str,
    n: int,
    clusters: int,
    reason: str | None = None,
) -> AttributorDifference:
    """The difference of two attributors, each a name and its value, in words.

    `drawn`: the same difference in bootstrap draws of the same units; `reason`: why there is none.
    A difference whose interval holds 0 shows neither to be better.
    """
    (name, value), (against, base) = attributor, other
    gap, low, high = value - base, math.nan, math.nan
    if reason is None:
        low, high, reason = percentile_interval(gap, drawn, clusters=clusters)
    what = metric.replace("_", " ")
    numbers = f"{what} {value:.3g} against {base:.3g}, {gap:+.2g} [{low:+.2g}, {high:+.2g}]"
    if reason is not None:
        sentence = f"{name} is not compared with {against}: {reason}"
    elif low > 0:
        sentence = f"{name} is above {against}: {numbers}"
    elif high < 0:
        sentence = f"{name} is below {against}: {numbers}"
    else:
        sentence = f"{name} is not shown to be above {against}: {numbers}"
    estimate = Estimate(
        metric=f"{metric}_difference",
        value=gap,
        low=low,
        high=high,
        n=n,
        clusters=clusters,
        unit="",
        ideal=None,
        higher_is_better=True,
        reason=reason,
    )
    return AttributorDifference(
        attributor=name, other=against, difference=estimate, sentence=sentence
    )
