"""How far any two groups of texts lie apart: each pair with its interval and a corrected p.

A gap (`metrics.disparity`) says how far the farthest lie apart; here is which they are, and whether
others do, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.errors import RecipeError, nearest
from equipoise.metrics.disparity import Compared, pair_gaps
from equipoise.metrics.weighted import CLUSTER, Mask, Weighted, Weights
from equipoise.records import Columns, Measurement, Metric, Outcome
from equipoise.stats.resample import columns_of, percentile_interval, resampled

#: The keys that benchmarks of written texts use.
BY_DOMAIN: Final = Compared(groups="compared", within="domain")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGap:
    """Two groups of a domain, and how much higher a value is on average in the second."""

    domain: str  # "" where groups are of no domain
    lower: str
    higher: str
    gap: float  # in the value's unit, at least 0; of "_harmful" a share in [0, 1]
    low: float  # 95 % interval, over clusters; below 0 where the order of the two is open
    high: float
    p: float  # clusters dealt to the groups at random, corrected for all pairs of the domain
    clusters: int  # of both groups
    reason: str | None = None  # why the interval is nan


def all_pair_gaps(
    measurement: Measurement,
    value: str,
    *,
    compared: Compared = BY_DOMAIN,
    draws: int = 2000,
    seed: int = 0,
) -> list[PairGap]:
    """Every two groups of each domain by a value of the outcomes, the widest gap first.

    `value`: a scale ("words"), also with "_harmful" or "_human" at its end. Intervals draw the
    measurement's clusters. Raises `RecipeError` for a value, or a key of groups, that no outcome
    has.
    """
    outcomes = measurement.outcomes
    columns = columns_of(outcomes, cluster=measurement.cluster)
    keys = [key for key in (compared.groups, compared.within) if key is not None]
    for name, known in ((value, _keys(columns, "")), *((key, _keys(columns, "@")) for key in keys)):
        if name not in known:
            raise RecipeError(f"no outcome has '{name}'; {nearest(name, known)}")
    weights = Weights.once(columns[CLUSTER])
    pairs = pair_gaps(columns, weights, value, compared)
    groups, domains = (_names(outcomes, key) for key in (compared.groups, compared.within))
    cells = sorted({(pair.domain, code) for pair in pairs for code in (pair.lower, pair.higher)})
    rows = {
        cell: _rows_of(columns, value, compared, domain=cell[0], group=cell[1]) for cell in cells
    }
    means = [_mean_of(value, rows[cell]) for cell in cells]
    (drawn,) = resampled(means, [columns], draws=draws if pairs else 0, seed=seed)
    place = {cell: k for k, cell in enumerate(cells)}
    gaps = []
    for pair in pairs:
        lower, higher = (pair.domain, pair.lower), (pair.domain, pair.higher)
        moved = drawn[:, place[higher]] - drawn[:, place[lower]]
        clusters = len(np.unique(columns[CLUSTER][rows[lower] | rows[higher]]))
        low, high, reason = percentile_interval(pair.gap, moved, clusters=clusters)
        gaps.append(
            PairGap(
                domain=domains[pair.domain] if domains else "",
                lower=groups[pair.lower], higher=groups[pair.higher],
                gap=pair.gap, low=low, high=high, p=pair.p, clusters=clusters, reason=reason,
            )
        )  # fmt: skip
    return sorted(gaps, key=lambda gap: -gap.gap)


def _keys(columns: Columns, mark: str) -> list[str]:
    """Names of values, or with the mark "@" those of groups."""
    if mark:
        return [name[1:] for name in columns if name.startswith(mark) and name != CLUSTER]
    return [name for name in columns if not name.startswith("@")]


def _names(outcomes: Sequence[Outcome], key: str | None) -> list[str]:
    """A key's groups, in the order of their codes."""
    if key is None:
        return []
    return sorted({outcome.groups[key] for outcome in outcomes if key in outcome.groups})


def _rows_of(columns: Columns, value: str, compared: Compared, *, domain: int, group: int) -> Mask:
    rows: Mask = ~np.isnan(columns[value]) & (columns["@" + compared.groups] == group)
    return rows if compared.within is None else rows & (columns["@" + compared.within] == domain)


def _mean_of(value: str, rows: Mask) -> Metric:
    of = Weighted(lambda c, w: w.mean(np.where(rows, c[value], math.nan)))
    return Metric(name=value, of=of, unit="", source="mean of a group")
