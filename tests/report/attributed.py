"""A study that attributed 60 rows by three attributors, for the tests of page, figures, tables."""

from dataclasses import replace

import numpy as np

from equipoise.attributions import (
    Attribution,
    AttributorDifference,
    LeaveOutScore,
    RemovalCurve,
    RemovalPoint,
)
from equipoise.records import Estimate
from equipoise.rows import TrainingRow
from equipoise.stats.attribution_quality import QualitySettings, judge_attributions
from equipoise.study.attribution_files import summarize_attribution
from equipoise.study.study import Attributed, Study, Validated

BIASED = 20
ROWS = tuple(
    TrainingRow(
        id=f"r{n}",
        text=f"A sentence about {n}.",
        groups={"label": "biased", "axis": ("age", "religion")[n % 2]}
        if n < BIASED
        else {"label": "neutral"},
    )
    for n in range(60)
)
LABELS = np.array([row.biased for row in ROWS], dtype=float)


def attribution(name: str, *, noise: float, seed: int) -> Attribution:
    """Scores of the labels with noise."""
    scores = LABELS + np.random.default_rng(seed).normal(scale=noise, size=len(ROWS))
    scores[-1] = np.nan
    return Attribution(
        attributor=name, ids=tuple(row.id for row in ROWS), scores=scores, unit="cosine", probes=8,
        skipped={"r59": "has 300 tokens, more than 256"}, notes=(f"a note of {name}",),
    )  # fmt: skip


ATTRIBUTIONS = {
    "influence": attribution("influence", noise=0.4, seed=0),
    "bm25": attribution("bm25", noise=0.9, seed=1),
    "random": attribution("random", noise=30.0, seed=2),
}


def estimate(metric: str, value: float, half: float, unit: str = "nats") -> Estimate:
    return Estimate(
        metric=metric, value=value, low=value - half, high=value + half, n=20, clusters=20,
        unit=unit,
    )  # fmt: skip


def difference(name: str, other: str, sentence: str) -> AttributorDifference:
    return AttributorDifference(
        attributor=name, other=other, difference=estimate("gap", 0.1, 0.2, ""), sentence=sentence
    )


def point(share: float, bias: float) -> RemovalPoint:
    return RemovalPoint(
        share=share, removed=round(60 * share), steps=10, bias=estimate("margin", bias, 0.3),
        ability=estimate("perplexity", 12 + bias, 0.5, "per token"),
        change=None, margins=np.zeros((3, 20)), nats=np.zeros((3, 5)),
    )  # fmt: skip


def study() -> Study:
    """All of it."""
    quality = judge_attributions(
        ATTRIBUTIONS,
        ROWS,
        baselines=("bm25", "random"),
        settings=QualitySettings(shares=(0.15, 0.35), draws=200, permutations=200),
    )
    leave_out = tuple(
        LeaveOutScore(
            attributor=name, estimate=estimate("lds", value, 0.1, "rank correlation"),
            by_probe=np.full(8, value), outcome="margin", subsets=100, seeds=3, fraction=0.5,
            agreement=0.6, versus=() if name != "influence" else (
                difference(name, "bm25", "influence is above bm25: lds 0.42 against 0.2"),
            ),
        )
        for name, value in (("influence", 0.42), ("bm25", 0.2), ("random", 0.01))
    )  # fmt: skip
    removal = tuple(
        RemovalCurve(
            attributor=name, base=replace(point(0, 0.1), steps=0), full=point(0, 3.0),
            points=tuple(point(share, 3 - fall * share) for share in (0.05, 0.15, 0.35)),
        )
        for name, fall in (("influence", 8.0), ("bm25", 5.0), ("random", 0.5))
    )  # fmt: skip
    return Study(
        title="Which rows taught it",
        recipe={},
        attributed=tuple(
            Attributed(
                model="tiny",
                attributor=name,
                attribution=each,
                summary=summarize_attribution(each, ROWS, count=3),
            )
            for name, each in ATTRIBUTIONS.items()
        ),
        validated=(
            Validated(
                model="tiny", attributors=tuple(ATTRIBUTIONS), quality=quality,
                leave_out=leave_out, removal=removal,
            ),
        ),
    )  # fmt: skip
