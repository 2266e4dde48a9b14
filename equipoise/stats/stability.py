"""Does a locator rank the blocks alike when it is asked again, with other prompts?

Spearman 1904: the correlation of ranks, ties at their mean rank, between every two rankings. LFTF
(appendix A.1) reports a variance of scores over five draws of 100 prompts; scores may scatter
while the order, which is all that is used of them, stays.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import stats

from equipoise.conclusions import Ranking, RankStability


def rank_stability(
    rankings: Sequence[Ranking], seeds: Sequence[int], *, sample: int
) -> RankStability:
    """How alike rankings are that differ in their prompts, or in the locator's own chance, alone.

    `seeds`: [ranking]. `sample`: the prompts behind each. Both correlations are nan, with the
    reason, where there are fewer than two rankings, or a ranking has no order: its scores are all
    equal, or not all finite. `first` names the components that came first at least once.
    Raises `ValueError` when there is no ranking, the number of seeds differs, or the components
    do.
    """
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
    return RankStability(
        rankings=tuple(rankings),
        seeds=tuple(seeds),
        sample=sample,
        spearman=math.fsum(alike) / len(alike),
        spearman_low=min(alike),
        first=dict(sorted(Counter(ranking.order[0] for ranking in rankings).items())),
        reason=reason,
    )


def _reason(rankings: Sequence[Ranking], seeds: Sequence[int]) -> str | None:
    if len(rankings) < 2:
        return f"a rank correlation needs at least 2 rankings, there is {len(rankings)}"
    for ranking, seed in zip(rankings, seeds, strict=True):
        if not np.isfinite(ranking.scores).all():
            return f"a score of seed {seed} is not finite: its ranking has no order"
        if len(set(ranking.scores)) == 1:
            return f"all scores of seed {seed} are {ranking.scores[0]:g}: its ranking has no order"
    return None
