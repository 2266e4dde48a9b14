"""Whether a judge's scores go with the length of what was written.

Judges favor long answers (Zheng et al. 2023, https://arxiv.org/abs/2306.05685, section 3.3), and a
longer text has more room for bias: two models that write at different lengths differ by that alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

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
    """Spearman's correlation over rows that have both values.

    In each draw rows are ranked anew, as often as they were drawn; ties have the mean of their
    ranks. nan with fewer than three rows, and where one of the two is constant.
    """
    rows = ~np.isnan(x + y)
    drawn = weights.counts[..., weights.clusters[rows]]  # [draw, row]
    a, b = (_centered_ranks(values[rows], drawn) for values in (x, y))
    size = drawn.sum(-1)
    of_ab, of_aa, of_bb = (ratio((drawn * c).sum(-1), size) for c in (a * b, a * a, b * b))
    varied = (size >= _LEAST) & (of_aa > _FLAT) & (of_bb > _FLAT)
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


def _centered_ranks(values: Column, drawn: Column) -> Column:
    """Ranks [draw, row] around their mean, of rows that count `drawn` [draw, row] times."""
    _, places = np.unique(values, return_inverse=True)
    counts = drawn @ np.eye(places.max(initial=-1) + 1)[places]  # [draw, distinct value]
    middle = np.cumsum(counts, axis=-1) - (counts - 1) / 2.0
    mean = (drawn.sum(-1, keepdims=True) + 1) / 2.0
    return np.asarray(middle[..., places] - mean)
