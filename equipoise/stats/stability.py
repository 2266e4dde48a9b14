"""Does a locator rank the blocks alike when it is asked again, with other prompts?

Spearman 1904: the correlation of ranks, ties at their mean rank, between every two rankings. LFTF
(appendix A.1) reports a variance of scores over five draws of 100 prompts; scores may scatter
while the order, which is all that is used of them, stays.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import variance
from typing import Final

import numpy as np

from equipoise.conclusions import Ranking, RankStability, TopOverlap

_SAME: Final = "the rankings are of the same prompts: not independent, as chance would have them"
TOP: Final = 10  # heads of each ranking that are compared, unless another number is asked for


def rank_stability(
    rankings: Sequence[Ranking],
    seeds: Sequence[int],
    *,
    sample: int,
    top: int | None = None,
    same_prompts: bool = False,
) -> RankStability:
    """How alike rankings are that differ in their prompts, or in the locator's own chance, alone.

    `seeds`: [ranking]. `sample`: the prompts behind each. Both correlations are nan, with the
    reason, where there are fewer than two rankings, or a ranking has no order: its scores are all
    equal, or not all finite. `first` names the components that came first at least once. Of heads,
    the first `top` of each ranking are compared as well (None: 10, or all of fewer); p of these is
    nan where the rankings are of the `same_prompts`, which share heads for that alone.
    Raises `ValueError` when there is no ranking, the number of seeds differs, or the components
    do.
    """
    from scipy import stats  # where it is used: results are read without it

    components = {(len(ranking.scores), ranking.kind, ranking.labels) for ranking in rankings}
    if len(components) != 1 or len(seeds) != len(rankings):
        ranked = sorted(f"{count} {kind}s" for count, kind, _ in components)
        raise ValueError(
            "rankings must be of the same components and have a seed each, got "
            f"{len(rankings)} rankings of {ranked} and {len(seeds)} seeds"
        )
    reason = _reason(rankings, seeds)
    pairs = itertools.combinations(rankings, 2)
    alike = [math.nan]
    if not reason:
        alike = [float(stats.spearmanr(a.scores, b.scores).statistic) for a, b in pairs]
        alike = np.clip(alike, -1.0, 1.0).tolist()
    overlap = None
    if rankings[0].kind == "head":
        overlap = top_overlap(rankings, top or min(TOP, len(rankings[0].scores)))
        if same_prompts and len(rankings) > 1:
            overlap = replace(overlap, p=math.nan, reason=_SAME)
    return RankStability(
        rankings=tuple(rankings),
        seeds=tuple(seeds),
        sample=sample,
        spearman=math.fsum(alike) / len(alike),
        spearman_low=min(alike),
        first=dict(sorted(Counter(ranking.order[0] for ranking in rankings).items())),
        reason=reason,
        top=overlap,
    )


def top_overlap(rankings: Sequence[Ranking], k: int, *, positive: bool = False) -> TopOverlap:
    """The components among the first k of every ranking of the same components (BiasGym, app. B).

    `positive`: those alone whose score is above 0.

    The paper keeps the first k of five seeds that overlap in all, so that fewer than k are left;
    how many by chance follows from the hypergeometric distribution: of n components those left
    after a ranking meet the k of the next. Raises `ValueError` for k below 1 or above n.
    """
    from scipy import stats  # where it is used: results are read without it

    n = len(rankings[0].scores)
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to {n} components, got {k}")
    tops = [
        {index for index in ranking.order[:k] if ranking.scores[index] > 0 or not positive}
        for ranking in rankings
    ]
    mean = np.mean([ranking.scores for ranking in rankings], axis=0)
    pairs = list(itertools.combinations(range(len(rankings)), 2))
    jaccard = [
        len(tops[a] & tops[b]) / len(tops[a] | tops[b]) if tops[a] | tops[b] else 1.0
        for a, b in pairs
    ]
    taus = [
        float(stats.kendalltau(rankings[a].scores, rankings[b].scores).statistic) for a, b in pairs
    ]
    shared = sorted(set.intersection(*tops), key=lambda index: (-mean[index], index))
    chance, p = chance_overlap([*map(len, tops)], n, len(shared))
    return TopOverlap(
        k_requested=k,
        sizes=tuple(map(len, tops)),
        shared=tuple(shared),
        jaccard=math.fsum(jaccard) / len(pairs) if pairs else math.nan,
        kendall=math.fsum(taus) / len(pairs) if pairs else math.nan,
        chance=chance,
        p=p,
    )


def chance_overlap(sizes: Sequence[int], n: int, shared: int) -> tuple[float, float]:
    """How many of n components sets of these sizes share by chance, and p of as many as observed.

    Of sets drawn independently, without replacement within a set.
    """
    from scipy import stats  # where it is used: results are read without it

    counts = np.arange(sizes[0] + 1)
    left = np.zeros(len(counts))  # probability that so many are in all sets so far
    left[-1] = 1.0
    for size in sizes[1:]:
        # [so many before, so many after]
        left = left @ np.array([stats.hypergeom.pmf(counts, n, before, size) for before in counts])
    return n * math.prod(size / n for size in sizes), min(1.0, float(left[shared:].sum()))


def _reason(rankings: Sequence[Ranking], seeds: Sequence[int]) -> str | None:
    if len(rankings) < 2:
        return f"a rank correlation needs at least 2 rankings, there is {len(rankings)}"
    for ranking, seed in zip(rankings, seeds, strict=True):
        if not np.isfinite(ranking.scores).all():
            return f"a score of seed {seed} is not finite: its ranking has no order"
        if len(set(ranking.scores)) == 1:
            return f"all scores of seed {seed} are {ranking.scores[0]:g}: its ranking has no order"
    return None


def score_variances(rankings: Sequence[Ranking]) -> tuple[float, ...]:
    """Each component's variance of its score over rankings (n - 1); nan of a single ranking.

    In the square of the score's unit; 0: the same score whichever prompts were drawn. Their mean is
    what LFTF's table 7 has; the paper does not say whether it divides by n or n - 1.
    Source: LFTF, appendix A.1.
    """
    varies = len(rankings) > 1
    columns = zip(*(ranking.scores for ranking in rankings), strict=True)
    return tuple(variance(column) if varies else math.nan for column in columns)
