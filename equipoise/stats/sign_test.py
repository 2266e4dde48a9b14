"""The sign test of paired preferences, and a share with its exact interval.

Dixon and Mood 1946, "The statistical sign test"; Clopper and Pearson 1934, "The use of confidence
or fiducial limits illustrated in the case of the binomial".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.stats.resample import LEVEL, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTest:
    """Which of two sides independent units prefer."""

    wins: int  # units that prefer the second side
    losses: int  # that prefer the first
    ties: int
    share: Interval  # of wins among the units without ties, in [0, 1]; 0.5: no preference
    p: float  # of no preference, exact and two-sided; nan without an untied unit


def sign_test(signs: Sequence[float]) -> SignTest:
    """Test whether independent units prefer the second side (above 0) to the first (below 0).

    0 is a tie, which says nothing of the direction and is left out of share and p (Dixon and Mood);
    nan is left out altogether. p is twice the smaller tail of Binomial(n, 1/2), at most 1.
    """
    from scipy import special  # where it is used: results are read without it

    values = np.asarray(signs, dtype=np.float64)
    wins, losses = int(np.count_nonzero(values > 0)), int(np.count_nonzero(values < 0))
    n = wins + losses
    share = exact_share(wins, n)
    if n == 0:
        share = Interval(
            value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0,
            reason=f"no unit prefers either side, {int(np.count_nonzero(values == 0))} are ties",
        )  # fmt: skip
    p = min(1.0, 2 * float(special.bdtr(min(wins, losses), n, 0.5))) if n else math.nan
    return SignTest(
        wins=wins, losses=losses, ties=int(np.count_nonzero(values == 0)), share=share, p=p
    )


def exact_share(count: int, n: int) -> Interval:
    """`count` of `n` independent units as a share in [0, 1], with the interval of Clopper-Pearson.

    nan with a reason for n = 0. Raises `ValueError` unless 0 <= count <= n.
    """
    from scipy import special  # where it is used: results are read without it

    if not 0 <= count <= n:
        raise ValueError(f"a count must be from 0 to n, got {count} of {n}; count again")
    if n == 0:
        return Interval(
            value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0, reason="nothing to count"
        )
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(value=count / n, low=low, high=high, n=n, clusters=n)
