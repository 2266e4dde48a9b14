"""Agreement of graders with an interval: Cohen's kappa of two, Fleiss' kappa of any number.

Cohen 1968, "Weighted kappa: nominal scale agreement with provision for scaled disagreement";
Fleiss 1971, "Measuring nominal scale agreement among many raters".
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, cast

import numpy as np

from equipoise.metrics.weighted import CLUSTER, Weighted, Weights, ratio
from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import Interval, bootstrap

Weighting: TypeAlias = Literal["quadratic", "linear", "nominal"]
_ROUNDING: Final = 1e-12
_POWERS: Final = {"quadratic": 2, "linear": 1, "nominal": 0}


def kappa_of(grades: str, others: str, *, levels: int, weighting: Weighting) -> Metric:
    """Weighted kappa of two columns of grades 0 to `levels` - 1, rounded to integers.

    1 - sum w O / sum w E with w = |i - j|^2 ("quadratic"), |i - j| ("linear") or 1 wherever they
    differ ("nominal": categories without an order, Cohen's kappa of 1960), O the observed shares
    and E those of independent graders with the same margins. 1: they agree, 0: as by chance, below:
    less. nan where both always give one and the same grade.
    """

    def kappa(columns: Columns, weights: Weights) -> Column:
        first, second = np.round(columns[grades]), np.round(columns[others])
        both = np.isfinite(first) & np.isfinite(second)
        rows = [weights.size(both & (first == level)) for level in range(levels)]
        marginal = [weights.size(both & (second == level)) for level in range(levels)]
        observed, expected = np.zeros_like(rows[0]), np.zeros_like(rows[0])
        for i in range(levels):
            for j in range(levels):
                if i != j:
                    weight = abs(i - j) ** _POWERS[weighting]
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
        needs="an example that both grade, and two grades at least that somebody gives",
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


def fleiss_kappa(
    ratings: Sequence[Sequence[int]],
    *,
    levels: int,
    clusters: Sequence[int] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Agreement of any number of graders, with its bootstrap interval over items.

    `ratings`: of each item the categories, 0 to `levels` - 1, that its graders gave; how many
    there are may differ from item to item. (A - E) / (1 - E), A the mean over items of the share of
    pairs of graders that agree, E = sum s^2 with s the mean over items of the share of a category.
    1: they agree, 0: as by chance. nan where all always give one category. Fleiss 1971; where all
    items have equally many graders it is his kappa. Items with fewer than two grades are left out,
    also of s; `n` counts the others. `clusters` as in `weighted_kappa`.
    """
    counts = np.zeros((len(ratings), levels))
    for item, given in enumerate(ratings):
        counts[item] = np.bincount(np.asarray(given, dtype=np.intp), minlength=levels)
    totals = counts.sum(axis=1)
    totals = np.where(totals >= 2, totals, math.nan)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (totals * (totals - 1))
    columns: dict[str, Column] = {
        "agreeing": agreeing,
        **{f"share{level}": counts[:, level] / totals for level in range(levels)},
        CLUSTER: cast(
            Column, np.arange(len(ratings)) if clusters is None else np.asarray(clusters)
        ),
    }

    def kappa(columns: Columns, weights: Weights) -> Column:
        shares = [weights.mean(columns[f"share{level}"]) for level in range(levels)]
        chance = np.sum(np.square(shares), axis=0)
        # rounding alone must not leave something to divide by
        rest = np.where(1 - chance > _ROUNDING, 1 - chance, 0.0)
        return np.asarray(ratio(weights.mean(columns["agreeing"]) - chance, rest))

    metric = Metric(
        name="fleiss_kappa", of=Weighted(kappa), unit="", source="Fleiss 1971", ideal=1.0,
        higher_is_better=True, low=-1.0, high=1.0,
        needs="an item that two grade, and two categories at least that somebody gives",
    )  # fmt: skip
    (interval,) = bootstrap([metric], columns, draws=draws, seed=seed)
    return interval


def exact_agreement(grades: Sequence[float], others: Sequence[float]) -> float:
    """Share of pairs with the same grade, rounded to integers, in [0, 1]; nan without a pair."""
    first, second = np.round(np.asarray(grades, float)), np.round(np.asarray(others, float))
    both = np.isfinite(first) & np.isfinite(second)
    return float((first == second)[both].mean()) if both.any() else math.nan
