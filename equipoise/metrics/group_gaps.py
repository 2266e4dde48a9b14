"""How far the answers to two or more groups lie apart, and what of that is chance.

Columns are [row]: `predicted` in [0, 1], the part of a row that is answered yes; `truth` 1 or 0;
`@group` whom it is about. A gap is the largest difference between groups, so that it is never below
0 and chance alone makes one: its null deals the groups to the rows at random.
Sources: demographic parity: Dwork et al. 2012; equalized odds: Hardt et al. 2016; as one number:
Agarwal et al. 2018 and fairlearn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import numpy as np

from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import Column, Columns, Margin, Metric

Gap: TypeAlias = Literal["parity", "odds"]
DEALS: Final = 2000
_TIE: Final = 1e-9  # deals that tie with what was observed but for rounding count
_NEEDS: Final[dict[Gap, str]] = {
    "parity": "rows of two groups",
    "odds": "rows of two groups, yes and no in each",
}


def parity_gap(predicted: Column, group: Column, weights: Weights) -> Column:
    """Largest difference between groups in how often yes is answered; in [0, 1], 0 is parity.

    nan with fewer than two groups; of a draw that lacks a group, the gap of those it has.
    """
    names = np.unique(group)
    if len(names) < 2:
        return np.full(weights.counts.shape[:-1], math.nan)
    rates = np.stack(
        [weights.mean(np.where(group == name, predicted, math.nan)) for name in names], axis=-1
    )
    drawn = ~np.isnan(rates)
    highest = np.where(drawn, rates, -np.inf).max(axis=-1)
    lowest = np.where(drawn, rates, np.inf).min(axis=-1)
    return np.where(drawn.sum(axis=-1) > 1, highest - lowest, math.nan)


def odds_gap(predicted: Column, truth: Column, group: Column, weights: Weights) -> Column:
    """The larger of the two parity gaps among rows that are yes, and among rows that are no.

    In [0, 1]; 0: hits and false alarms are equally frequent in all groups.
    """
    gaps = [
        parity_gap(np.where(truth == side, predicted, math.nan), group, weights)
        for side in (1.0, 0.0)
    ]
    return np.asarray(np.max(gaps, axis=0))


# --- groups dealt to rows at random -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GapNull:
    """How a gap stands among those of random deals."""

    mean: float  # what the gap is on average when groups are dealt at random
    p: float  # share of deals with as large a gap, what was observed among them


def deal_groups(
    predicted: Column, strata: Column, group: Column, *, deals: int = DEALS, seed: int = 0
) -> GapNull:
    """Deal the groups to the rows of each stratum at random, and take the largest of their gaps.

    `strata`: one for parity; the true class for odds, which the deals then leave as it is in each
    group. nan where a stratum lacks a group. Source: Good 2005, chapter 3.
    """
    rows = ~np.isnan(predicted)
    predicted, strata, group = predicted[rows], strata[rows], group[rows]
    names, generator = np.unique(group), np.random.default_rng(seed)
    gaps = np.zeros(deals + 1)
    for name in np.unique(strata):
        values, codes = predicted[strata == name], group[strata == name]
        if len(names) < 2 or not np.isin(names, codes).all():
            return GapNull(mean=math.nan, p=math.nan)
        # what was observed is among the deals: without it p could be 0
        dealt = np.vstack([codes, generator.permuted(np.tile(codes, (deals, 1)), axis=1)])
        rates = [(dealt == code) @ values / np.count_nonzero(codes == code) for code in names]
        gaps = np.maximum(gaps, np.ptp(rates, axis=0))
    if not len(predicted):
        return GapNull(mean=math.nan, p=math.nan)
    return GapNull(mean=float(gaps[1:].mean()), p=float(np.mean(gaps >= gaps[0] - _TIE)))


@lru_cache(maxsize=64)  # p and mean rest on the same deals
def _dealt(predicted: bytes, strata: bytes, group: bytes) -> GapNull:
    return deal_groups(*(np.frombuffer(part) for part in (predicted, strata, group)))


def _null_of(columns: Columns, gap: Gap) -> GapNull:
    predicted, truth = columns["predicted"], columns["truth"]
    strata = truth if gap == "odds" else np.zeros(len(truth))
    parts = (np.asarray(part, dtype=np.float64) for part in (predicted, strata, columns["@group"]))
    return _dealt(*(part.tobytes() for part in parts))


# --- as metrics -------------------------------------------------------------------------------


def gap_metrics(source: str) -> tuple[Metric, ...]:
    """Both gaps, and of each what chance makes of it and how seldom chance makes as much."""
    sizes: Sequence[Metric] = [_gap(gap, source) for gap in ("parity", "odds")]
    return (*sizes, *(_chance(gap, what) for gap in _NEEDS for what in ("null", "p")))


def _gap(gap: Gap, source: str) -> Metric:
    what = {
        "parity": "largest difference between groups in how often yes is answered (demographic "
        "parity)",
        "odds": "largest such difference among rows that are yes, or that are no (equalized odds)",
    }

    def value(columns: Columns, weights: Weights) -> Column:
        predicted, group = columns["predicted"], columns["@group"]
        if gap == "parity":
            return 100.0 * parity_gap(predicted, group, weights)
        return 100.0 * odds_gap(predicted, columns["truth"], group, weights)

    return Metric(
        name=f"{gap}_gap", of=Weighted(value), unit="points", ideal=0.0, low=0.0, high=100.0,
        margin=Margin(size=5.0), needs=_NEEDS[gap], source=f"{source}: {what[gap]}",
    )  # fmt: skip


def _chance(gap: Gap, what: Literal["null", "p"]) -> Metric:
    def value(columns: Columns, weights: Weights) -> Column:
        if weights.counts.ndim > 1:  # of drawn rows there is none
            return np.full(weights.counts.shape[:-1], math.nan)
        null = _null_of(columns, gap)
        return np.array(null.p if what == "p" else 100.0 * null.mean)

    how = "groups dealt to the rows at random" + (" of each true class" if gap == "odds" else "")
    if what == "p":
        return Metric(
            name=f"{gap}_p", of=Weighted(value), unit="probability", low=0.0, high=1.0,
            resampled=False, needs=_NEEDS[gap], source=f"own: as large a gap by chance, {how}",
        )  # fmt: skip
    return Metric(
        name=f"{gap}_null", of=Weighted(value), unit="points", low=0.0, high=100.0,
        resampled=False, needs=_NEEDS[gap], source=f"own: mean gap by chance, {how}",
    )  # fmt: skip
