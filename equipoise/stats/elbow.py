"""Where a falling curve goes flat: how many heads to remove. No torch.

Source: BiasGym (Islam, Borenstein et al.), appendix A.4, which shows a linear fall and then a flat
line and gives no rule for where the fall ends. The rule here is ours: least squares of
s(k) = max(a - b k, c), and k* = ceil((a - c) / b).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.stats.resample import cluster_shares, percentile_interval

_TENTHS = 10  # breakpoints are tried at tenths
_DRAWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Elbow:
    """The fit of max(a - b k, c) to a curve over k; k = 0: there is no fall."""

    k: int  # ceil of the breakpoint; 0: no effect
    low: float  # 95 % percentile interval of k over clusters, nan for fewer than two of them
    high: float
    start: float  # a, in the curve's unit
    slope: float  # b, fall per step; nan where the fit has no fall
    floor: float  # c; start where the fit has no fall
    breakpoint: float  # (a - c) / b, on a grid of tenths; nan where the fit has no fall
    fall_low: float  # 95 % interval of a - c over clusters, nan for fewer than two of them
    fall_high: float
    saturated: bool  # the curve goes flat before the largest count
    reason: str | None  # why k is 0; None where it is not


def find_elbow(
    counts: Sequence[int],
    strengths: NDArray[np.float64],
    *,
    clusters: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
) -> Elbow:
    """Fit the curve of mean strengths and find where its fall ends.

    `counts`: [count], rising, 0 among them. `strengths`: [count, example], of the same examples at
    every count. The interval resamples the examples, or whole `clusters` of them ([example]; none
    named: each is its own), and the whole curve with them. k is 0 where the fit does not fall, and
    where the interval of the fall a - c holds 0: a free breakpoint finds some fall in any noise. Of
    a single cluster there is no interval, and the fit alone decides.
    """
    positions = np.asarray(counts, dtype=np.float64)
    table = np.asarray(strengths, dtype=np.float64)
    examples = table.shape[1]
    start, slope, tenths = (float(values[0]) for values in _fit(positions, table.mean(1)[None]))
    breakpoint = tenths / _TENTHS
    names = clusters or [str(number) for number in range(examples)]
    units = len(set(names))
    weights, _ = cluster_shares(names, draws=draws if units > 1 else 0, seed=seed)
    _, slopes, ends = _fit(positions, weights @ table.T)
    falls = slopes * ends / _TENTHS
    fall_low, fall_high, _ = percentile_interval(
        slope * breakpoint, falls, clusters=units, within=(-math.inf, math.inf)
    )
    chosen = math.ceil(tenths / _TENTHS)
    reason = None
    if slope <= 0:
        reason = f"no effect found: strength does not fall with k, the slope is {slope:.3g}"
    elif fall_low <= 0:
        reason = (
            "no effect found: the interval of the fall holds 0, "
            f"{slope * breakpoint:.3g} [{fall_low:.3g}, {fall_high:.3g}]"
        )
    low, high, _ = percentile_interval(
        float(chosen),
        np.where(slopes > 0, np.ceil(ends / _TENTHS), 0.0),
        clusters=units,
        within=(0.0, float(positions[-1])),
    )
    falling = slope > 0
    return Elbow(
        k=0 if reason else chosen,
        low=min(low, 0.0) if reason else low,
        high=high,
        start=start,
        slope=slope if falling else math.nan,
        floor=start - slope * breakpoint if falling else start,
        breakpoint=breakpoint if falling else math.nan,
        fall_low=fall_low,
        fall_high=fall_high,
        saturated=bool(falling and breakpoint < positions[-1]),
        reason=reason,
    )


def curve_of(elbow: Elbow, k: float) -> float:
    """The fitted strength after k heads."""
    if math.isnan(elbow.slope):
        return elbow.start
    return max(elbow.start - elbow.slope * k, elbow.floor)


def _fit(
    positions: NDArray[np.float64], curves: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """a, b and the breakpoint in tenths of the best fit of each curve: [curve, count] to [curve].

    With the breakpoint t known, max(a - b k, c) is a - b min(k, t), a line. Of equal fits the
    largest breakpoint is taken: where all of the fall is before the first count, it is that count.
    """
    breakpoints = np.arange(1, round(positions[-1] * _TENTHS) + 1)  # in tenths
    reached = np.minimum(positions, breakpoints[:, None] / _TENTHS)  # [breakpoint, count]
    centered = reached - reached.mean(1, keepdims=True)
    spread = (centered**2).sum(1)
    fits = []
    for rows in np.array_split(curves, max(1, -(-len(curves) // _DRAWS_AT_ONCE))):
        products = (rows - rows.mean(1, keepdims=True)) @ centered.T  # [curve, breakpoint]
        explained = products**2 / spread
        tolerance = 1e-9 * explained.max(1, keepdims=True, initial=0.0)
        equal = explained >= explained.max(1, keepdims=True, initial=0.0) - tolerance
        best = explained.shape[1] - 1 - equal[:, ::-1].argmax(1)
        slopes = -products[np.arange(len(rows)), best] / spread[best]
        starts = rows.mean(1) + slopes * reached.mean(1)[best]
        fits.append((starts, slopes, breakpoints[best].astype(np.float64)))
    starts, slopes, ends = (np.concatenate(parts) for parts in zip(*fits, strict=True))
    return starts, slopes, ends
