"""Retrieval of labelled rows by a score: coverage, precision, ROC AUC and average precision.

BiasDiff, equations 9 (coverage) and 10 (precision of the selection). AUC: Hanley and McNeil 1982;
average precision: Manning et al. 2008, "Introduction to Information Retrieval", section 8.4. Rows
that tie are taken in random order: the statistics are the mean over all their orders (AUC,
coverage, precision), or count a tie as a single threshold (average precision). Rows without a score
come after all others and are never selected.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column

#: Selected shares: those of BiasDiff's tables.
SHARES: Final = (0.05, 0.10, 0.15, 0.35)

Table = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Statistic:
    """What is measured of a ranking: "coverage" or "precision" at a share, or of all of it."""

    metric: str
    share: float | None = None

    @property
    def group(self) -> Mapping[str, str]:
        """As an `Estimate` names it."""
        return {} if self.share is None else {"share": f"{self.share:g}"}


def statistics_at(shares: Sequence[float]) -> tuple[Statistic, ...]:
    """All statistics, in the order of `retrieval`.

    Raises `ValueError` for a share outside of 0 to 1, or 0.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise ValueError(f"a share must be above 0 and at most 1, got {share}")
    return (
        *(Statistic("coverage", share) for share in shares),
        *(Statistic("precision", share) for share in shares),
        Statistic("precision_at_prevalence"),
        Statistic("auc"),
        Statistic("average_precision"),
    )


def retrieval(
    scores: Table, biased: Flags, weights: Table | None = None, *, shares: Sequence[float] = SHARES
) -> Table:
    """The statistics of rankings: [draw, statistic], as `statistics_at` lists them.

    `scores`, `biased` and `weights` (how often a row counts; None: once) are [row], or [draw, row]
    each, with as many draws or one. nan where no row counts that is biased, or none that is not.
    """
    scores, biased = np.atleast_2d(scores), np.atleast_2d(biased)
    weights = np.ones((1, scores.shape[1])) if weights is None else np.atleast_2d(weights)
    draws = max(len(scores), len(biased), len(weights))
    if scores.shape[1] == 0:
        return np.full((draws, len(statistics_at(shares))), math.nan)
    order = np.argsort(-scores, axis=1, kind="stable")  # nan last
    ordered = _along(scores, order)
    sizes = np.broadcast_to(_along(weights, order), (draws, scores.shape[1]))
    hits = sizes * _along(biased.astype(float), order)
    above, positive = np.cumsum(sizes, axis=1), np.cumsum(hits, axis=1)
    ranked = _Ranked(sizes, hits, above, positive, *_ties(ordered))
    everything, wanted = above[:, -1], positive[:, -1]
    scored = (~np.isnan(ordered)).sum(1)[:, None]
    selectable = np.where(scored > 0, _along(above, np.maximum(scored - 1, 0)), 0.0)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        chosen = [np.minimum(np.floor(share * everything + 0.5), selectable) for share in shares]
        within = [ranked.hits_within(size) for size in chosen]
        at_prevalence = np.minimum(wanted, selectable)
        ends = _along(positive, ranked.last)
        starts = _along(positive, ranked.first) - _along(hits, ranked.first)
        reached = _along(above, ranked.last)
        pairs = ((sizes - hits) * (starts + ends) / 2).sum(1)
        # a row that does not count has no precision and adds nothing
        precise = np.where(hits > 0, hits * ends / np.where(reached > 0, reached, 1.0), 0.0)
        values = [
            *(count / wanted for count in within),
            *(count / size for count, size in zip(within, chosen, strict=True)),
            ranked.hits_within(at_prevalence) / at_prevalence,
            pairs / (wanted * (everything - wanted)),
            precise.sum(1) / wanted,
        ]
    undefined = (wanted <= 0) | (wanted >= everything)
    return np.where(undefined[:, None], math.nan, np.stack(values, axis=1))


def chance_of(statistic: Statistic, *, rows: int, biased: int) -> float:
    """What a random order gives on average, in [0, 1].

    Coverage: the share that is selected; precision: the share that is biased; AUC: 0.5; average
    precision: H / N + (B - 1) / (N - 1) (1 - H / N), with H the sum of 1 / k up to N rows, of
    which B are biased: a little more than their share.
    """
    if statistic.metric == "auc":
        return 0.5
    if rows < 2:
        return math.nan
    if statistic.metric == "coverage":
        return _selected(statistic, rows) / rows
    if statistic.metric == "average_precision":
        mean_reciprocal = float(np.sum(1 / np.arange(1, rows + 1))) / rows
        return mean_reciprocal + (biased - 1) / (rows - 1) * (1 - mean_reciprocal)
    return biased / rows


def most_of(statistic: Statistic, *, rows: int, biased: int) -> float:
    """What a perfect order gives: coverage at most selected / biased, precision the reverse."""
    size = _selected(statistic, rows)
    if statistic.metric == "coverage":
        return min(1.0, size / biased) if biased else math.nan
    if statistic.metric == "precision":
        return min(1.0, biased / size) if size else math.nan
    return 1.0


def _selected(statistic: Statistic, rows: int) -> int:
    """How many rows a share is, rounded as `Attribution.select` does."""
    return 0 if statistic.share is None else math.floor(statistic.share * rows + 0.5)


def _ties(ordered: Table) -> tuple[Places, Places]:
    """The first and the last place of the rows that each row ties with: [draw, row] each."""
    places = np.arange(ordered.shape[1])
    same = (ordered[:, 1:] == ordered[:, :-1]) | (
        np.isnan(ordered[:, 1:]) & np.isnan(ordered[:, :-1])
    )
    edge = np.ones((len(ordered), 1), dtype=bool)
    begins, closes = np.hstack([edge, ~same]), np.hstack([~same, edge])
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.where(closes, places, ordered.shape[1])
    return first, np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]


def _along(values: Table, places: Places) -> Table:
    """Values at places of the last axis; either may be the same in every draw."""
    return np.take_along_axis(values, places, axis=1)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Rows from the highest score to the lowest, [draw, row] each; ties have a draw or all."""

    sizes: Table  # how often a row counts
    hits: Table  # likewise, 0 unless it is biased
    above: Table  # rows down to each, itself included
    positive: Table  # biased rows down to each
    first: Places  # of the rows that each ties with
    last: Places

    def hits_within(self, size: Column) -> Column:
        """Biased rows among the `size` highest, on average over the orders of ties: [draw]."""
        reached = (self.above < size[:, None]).sum(1)
        place = np.minimum(reached, self.above.shape[1] - 1)[:, None]
        start, end = (
            np.take_along_axis(self.first, place, 1),
            np.take_along_axis(self.last, place, 1),
        )
        rows_before = _along(self.above, start) - _along(self.sizes, start)
        hits_before = _along(self.positive, start) - _along(self.hits, start)
        tied = _along(self.above, end) - rows_before
        share = np.where(tied > 0, (size[:, None] - rows_before) / np.where(tied > 0, tied, 1), 0)
        return (hits_before + share * (_along(self.positive, end) - hits_before))[:, 0]
