"""Heads that several runs agree on (BiasGym, appendix B): the overlap of their best heads.

A seed of the paper is a whole injection, and "top k" there means both how many are taken of each
run and how many are left; here both are stored.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from equipoise.conclusions import Ranking
from equipoise.edits.head_scales import Head, parse
from equipoise.errors import RecipeError
from equipoise.records import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHeads:
    """Heads among the best of every run, by their mean score, largest first."""

    heads: tuple[Head, ...]
    record: dict[str, JSON]  # runs, overlap and agreement, for a report


def share_heads(rankings: Sequence[Ranking], *, most: int) -> SharedHeads:
    """The heads that are among the `most` best of each run, with a score above 0 in all of them.

    Raises `RecipeError` for a ranking of something else than heads.
    """
    for ranking in rankings:
        if ranking.kind != "head":
            raise RecipeError(
                f"head_steering.locator must rank heads, {ranking.locator} ranks {ranking.kind}s; "
                "take head_attribution or head_patching"
            )
    scores = np.array([ranking.scores for ranking in rankings])  # [run, head]
    tops = [
        {head for head in ranking.order[:most] if ranking.scores[head] > 0} for ranking in rankings
    ]
    mean = scores.mean(axis=0)
    shared = sorted(set.intersection(*tops), key=lambda head: (-mean[head], head))
    count = scores.shape[1]
    names = [rankings[0].label(head) for head in shared]
    pairs = list(itertools.combinations(range(len(rankings)), 2))
    jaccard = [
        len(tops[i] & tops[j]) / len(tops[i] | tops[j]) if tops[i] | tops[j] else 1.0
        for i, j in pairs
    ]
    tau = [float(stats.kendalltau(scores[i], scores[j]).statistic) for i, j in pairs]
    heads: list[JSON] = [
        {"head": name, "score": float(mean[head]), "scores": [float(row[head]) for row in scores]}
        for name, head in zip(names, shared, strict=True)
    ]
    return SharedHeads(
        heads=tuple(parse(name) for name in names),
        record={
            "locator": rankings[0].locator,
            "unit": rankings[0].unit,
            "runs": len(rankings),
            "all_heads": count,
            "candidates_requested": most,
            "candidates": heads,
            "of_each_run": [len(top) for top in tops],
            # of sets of these sizes drawn by chance: hypergeometric
            "shared_by_chance": count * math.prod(len(top) / count for top in tops),
            "jaccard": float(np.mean(jaccard)) if pairs else None,
            "kendall_tau": float(np.mean(tau)) if pairs else None,
            "locator_notes": list(dict.fromkeys(n for ranking in rankings for n in ranking.notes)),
        },
    )
