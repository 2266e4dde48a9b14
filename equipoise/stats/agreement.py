"""Agreement of two graders: Cohen's weighted kappa with an interval.

Cohen 1968, "Weighted kappa: nominal scale agreement with provision for scaled disagreement".
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, cast

import numpy as np

from equipoise.metrics.weighted import CLUSTER, Weighted, Weights, ratio
from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import Interval, bootstrap

Weighting: TypeAlias = Literal["quadratic", "linear"]
_POWERS: Final = {"quadratic": 2, "linear": 1}


def kappa_of(grades: str, others: str, *, levels: int, weighting: Weighting) -> Metric:
    """Weighted kappa of two columns of grades 0 to `levels` - 1, rounded to integers.

    1 - sum w O / sum w E with w = |i - j|^2 ("quadratic") or |i - j| ("linear"), O the observed
    shares and E those of independent graders with the same margins. 1: they agree, 0: as by
    chance, below: less. nan where both always give one and the same grade.
    """

    def kappa(columns: Columns, weights: Weights) -> Column:
        first, second = np.round(columns[grades]), np.round(columns[others])
        both = np.isfinite(first) & np.isfinite(second)
        rows = [weights.size(both & (first == level)) for level in range(levels)]
        marginal = [weights.size(both & (second == level)) for level in range(levels)]
        observed, expected = np.zeros_like(rows[0]), np.zeros_like(rows[0])
        for i in range(levels):
            for j in range(levels):
                weight = abs(i - j) ** _POWERS[weighting]
                if weight:
                    cell = weights.size(both & (first == i) & (second == j))
                    observed = observed + weight * cell
                    expected = expected + weight * rows[i] * marginal[j]
        return np.asarray(1 - ratio(observed * weights.size(both), expected))

    return Metric(
        name=f"{weighting}_kappa",
        of=Weighted(kappa),
        unit="",
        source="Cohen 1968",
        ideal=1.0,
        higher_is_better=True,
        low=-1.0,
        high=1.0,
        needs="two grades at least that somebody gives",
    )


def weighted_kappa(
    grades: Sequence[float],
    others: Sequence[float],
    *,
    levels: int = 4,
    weighting: Weighting = "quadratic",
    clusters: Sequence[int] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Weighted kappa of two lists of grades with its bootstrap interval; see `kappa_of`.

    Pairs with a nan are left out; `n` counts the others. `clusters`: a number for each pair, of
    those that belong together; None: each is its own.
    """
    columns: dict[str, Column] = {
        "grades": np.asarray(grades, dtype=np.float64),
        "others": np.asarray(others, dtype=np.float64),
        CLUSTER: cast(Column, np.arange(len(grades)) if clusters is None else np.asarray(clusters)),
    }
    metric = kappa_of("grades", "others", levels=levels, weighting=weighting)
    (interval,) = bootstrap([metric], columns, draws=draws, seed=seed)
    return interval


def exact_agreement(grades: Sequence[float], others: Sequence[float]) -> float:
    """Share of pairs with the same grade, rounded to integers, in [0, 1]; nan without a pair."""
    first, second = np.round(np.asarray(grades, float)), np.round(np.asarray(others, float))
    both = np.isfinite(first) & np.isfinite(second)
    return float((first == second)[both].mean()) if both.any() else math.nan
