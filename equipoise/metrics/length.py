"""Whether a judge's scores go with the length of what was written.

Judges favor long answers (Zheng et al. 2023, https://arxiv.org/abs/2306.05685, section 3.3), and a
longer text has more room for bias: two models that write at different lengths differ by that alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Weighted, Weights, ratio
from equipoise.number_text import interval
from equipoise.records import Column, Columns, Estimate, Metric

NAME: Final = "length_correlation"
_LEAST: Final = 3  # rows with which a correlation is not 1 or -1 by itself
_FLAT: Final = 1e-9  # of a variance that is 0 but for rounding

ReadColumn: TypeAlias = Callable[[Columns], Column]


def length_metric(score: ReadColumn, what: str, *, words: ReadColumn | None = None) -> Metric:
    """The rank correlation of a score with the length in words, in [-1, 1]; 0: none.

    `score`, `words`: [row], nan where there is none; by default the column "words". `what`: how
    the rows and their score are called.
    """
    length = words if words is not None else _words
    return Metric(
        name=NAME, of=Weighted(lambda c, w: rank_correlation(score(c), length(c), w)),
        unit="rank correlation", low=-1.0, high=1.0,
        needs="three texts with a judgement, not all of one score or length",
        source=f"own: Spearman's, of {what} with length in words; 0 where they are independent",
    )  # fmt: skip


def rank_correlation(x: Column, y: Column, weights: Weights) -> Column:
    """Spearman's correlation over rows that have both values; nan if one of them is constant.

    In each draw it is the correlation of the ranks that rows have among all, so that ties made by
    drawing a cluster twice move no rank.
    """
    rows = ~np.isnan(x + y)
    if np.count_nonzero(rows) < _LEAST:
        return np.full(weights.counts.shape[:-1], math.nan)
    a, b = (_centered_ranks(values, rows) for values in (x, y))
    size = weights.size(rows)
    mean_a, mean_b = (ratio(weights.total(ranks, rows), size) for ranks in (a, b))
    of_ab, of_aa, of_bb = (
        ratio(weights.total(product, rows), size) - means
        for product, means in (
            (a * b, mean_a * mean_b),
            (a * a, mean_a * mean_a),
            (b * b, mean_b * mean_b),
        )
    )
    varied = (of_aa > _FLAT) & (of_bb > _FLAT)
    scale = np.sqrt(np.where(varied, of_aa * of_bb, math.nan))
    return np.asarray(np.clip(of_ab / scale, -1.0, 1.0))


def note_length(estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """A note where the interval of the overall correlation leaves 0 out."""
    return tuple(
        f"length: the {'longer' if estimate.value > 0 else 'shorter'} a text, the higher its score "
        f"(rank correlation {interval(estimate.value, estimate.low, estimate.high)}, "
        f"n {estimate.n}; 0 if they had nothing to do with each other): models and groups that "
        "write at other lengths may differ by that alone, or by a judge that goes by it"
        for estimate in estimates
        if estimate.metric == NAME and not estimate.group
        if estimate.low > 0 or estimate.high < 0
    )


def _words(columns: Columns) -> Column:
    return columns["words"]


def _centered_ranks(values: Column, rows: NDArray[np.bool_]) -> Column:
    """Ranks of the marked rows around 0, those of ties their mean; 0 elsewhere."""
    _, places, counts = np.unique(values[rows], return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    centered = np.zeros(len(values))
    centered[rows] = ranks[places] - ranks[places].mean()
    return centered
