"""Heads that several runs agree on (BiasGym, appendix B): the overlap of their best heads.

A seed of the paper is a whole injection, and "top k" there means both how many are taken of each
run and how many are left; here both are stored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.conclusions import Ranking
from equipoise.edits.head_scales import Head, parse
from equipoise.errors import RecipeError
from equipoise.records import JSON
from equipoise.stats.stability import top_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHeads:
    """Heads among the best of every run, by their mean score, largest first."""

    heads: tuple[Head, ...]
    record: dict[str, JSON]  # runs, overlap and agreement, for a report


def run_seed(seed: int, run: int) -> int:
    """The seed of a run, 0 to 2**32 - 1; those of another method's seed are others."""
    return int(np.random.SeedSequence([seed, run]).generate_state(1)[0])


def share_heads(rankings: Sequence[Ranking], *, most: int, independent: bool = True) -> SharedHeads:
    """The heads that are among the `most` best of each run, with a score above 0 in all of them.

    How alike the runs are, and p, are null with the reason where there is one run, or they are not
    `independent`: of the same questions to the same model, they must agree. Raises `RecipeError`
    for a ranking of something else than heads.
    """
    for ranking in rankings:
        if ranking.kind != "head":
            raise RecipeError(
                f"head_steering.locator must rank heads, {ranking.locator} ranks {ranking.kind}s; "
                "take head_attribution or head_patching"
            )
    scores = np.array([ranking.scores for ranking in rankings])  # [run, head]
    count = scores.shape[1]
    overlap = top_overlap(rankings, min(most, count), positive=True)
    names = [rankings[0].label(head) for head in overlap.shared]
    heads: list[JSON] = [
        {
            "head": name,
            "score": float(scores[:, head].mean()),
            "scores": [float(row[head]) for row in scores],
        }
        for name, head in zip(names, overlap.shared, strict=True)
    ]
    reason = "" if independent else "the runs ask the same model the same questions"
    reason = reason if len(rankings) > 1 else "there is one run"
    return SharedHeads(
        heads=tuple(parse(name) for name in names),
        record={
            "locator": rankings[0].locator,
            "unit": rankings[0].unit,
            "runs": len(rankings),
            "all_heads": count,
            "candidates_requested": most,
            "candidates": heads,
            "of_each_run": [*overlap.sizes],
            "shared_by_chance": None if reason else overlap.chance,
            "p_shared": None if reason else _known(overlap.p),
            "jaccard": None if reason else _known(overlap.jaccard),
            "kendall_tau": None if reason else _known(overlap.kendall),
            "no_agreement": reason or None,
            "locator_notes": list(dict.fromkeys(n for ranking in rankings for n in ranking.notes)),
        },
    )


def _known(value: float) -> float | None:
    """A number for JSON, which has no nan."""
    return None if math.isnan(value) else value
