"""Attributions judged on labelled rows: intervals, nulls, comparisons and what rows are shown."""

import math
from dataclasses import replace

import numpy as np
import pytest

from equipoise.attributions import Attribution
from equipoise.errors import RecipeError
from equipoise.rows import TrainingRow
from equipoise.stats.attribution_quality import QualitySettings, judge_attributions

BIASED = 30
ROWS = [
    TrainingRow(id=str(k), text="x", groups={"label": "biased" if k < BIASED else "neutral"})
    for k in range(100)
]
LABELS = np.array([bool(row.biased) for row in ROWS])
QUICK = QualitySettings(draws=300, permutations=300)


def scored(scores: np.ndarray, **more: object) -> Attribution:
    ids = tuple(row.id for row in ROWS)
    return Attribution(attributor="a", ids=ids, scores=scores, unit="", probes=0, **more)  # type: ignore[arg-type]


def noisy(strength: float, *, seed: int) -> np.ndarray:
    return strength * LABELS + np.random.default_rng(seed).normal(size=len(ROWS))


def by_probe(strength: float, *, seed: int, probes: int = 20) -> Attribution:
    table = (
        np.random.default_rng(seed).normal(size=(len(ROWS), probes)) + strength * LABELS[:, None]
    )
    return scored(table.mean(1), by_probe=table, contrastive=True)


def test_perfect_and_random_scores_are_told_apart() -> None:
    perfect, random = judge_attributions(
        {"perfect": scored(LABELS + 0.0), "random": scored(noisy(0, seed=0))}, ROWS, settings=QUICK
    )
    assert (perfect.rows, perfect.biased) == (100, 30)
    quality = perfect.value("average_precision")
    assert (quality.estimate.value, quality.p) == (1, pytest.approx(1 / 301))
    assert quality.most == 1
    coverage = perfect.value("coverage", 0.15)
    assert coverage.estimate.value == coverage.most == 0.5
    assert coverage.chance == 0.15
    quality = random.value("auc")
    assert quality.p > 0.05
    assert quality.estimate.low < 0.5 < quality.estimate.high
    assert random.supporting is None
    assert len(random.to_frame()) == 11
    with pytest.raises(KeyError, match=r"coverage at 0\.15"):
        random.value("coverage", 0.5)


@pytest.mark.thorough
def test_the_permutation_null_has_its_size() -> None:
    attributions = {str(k): scored(noisy(0, seed=k)) for k in range(150)}
    settings = QualitySettings(draws=0, permutations=199)
    p = [
        quality.value("auc").p
        for quality in judge_attributions(attributions, ROWS, settings=settings)
    ]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.05)


@pytest.mark.thorough
def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """AUC of normal scores one standard deviation apart is 0.76."""
    inside = 0
    for seed in range(60):
        attribution = {"a": scored(noisy(1, seed=seed))}
        settings = QualitySettings(draws=200, permutations=0, shares=(0.5,))
        (quality,) = judge_attributions(attribution, ROWS, settings=settings)
        estimate = quality.value("auc").estimate
        inside += estimate.low <= 0.7602 <= estimate.high
    assert inside >= 52


def test_a_method_that_is_not_above_a_baseline_is_told_so() -> None:
    attributions = {
        "good": scored(noisy(2, seed=1)),
        "same": scored(noisy(2, seed=1)),
        "poor": scored(noisy(0.2, seed=2)),
    }
    good, same, poor = judge_attributions(attributions, ROWS, baselines=["same"], settings=QUICK)
    assert same.versus == ()
    assert good.versus[0].difference.value == 0
    assert good.versus[0].sentence.startswith(
        "good is not shown to be above same: average precision"
    )
    assert poor.versus[0].sentence.startswith("poor is below same")
    assert poor.versus[0].difference.high < 0
    (best, *_) = judge_attributions(attributions, ROWS, baselines=["poor"], settings=QUICK)
    assert best.versus[0].sentence.startswith("good is above poor")
    assert best.versus[0].difference.low > 0


def test_probes_are_drawn_where_scores_are_known_by_probe() -> None:
    """The same scores with and without their table: few probes that differ much widen it."""
    generator = np.random.default_rng(5)
    size = generator.choice([-3.0, 4.0], size=12)
    table = LABELS[:, None] * size + generator.normal(size=(100, 12))
    known, unknown = judge_attributions(
        {"known": scored(table.mean(1), by_probe=table), "unknown": scored(table.mean(1))},
        ROWS,
        settings=QUICK,
    )
    wide, narrow = (quality.value("auc").estimate for quality in (known, unknown))
    assert wide.value == narrow.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert (wide.clusters, narrow.clusters) == (12, 100)
    assert any("probes" in note for note in known.notes)
    assert any("rows alone" in note for note in unknown.notes)


def test_exchanged_sentences_are_a_null_of_their_own() -> None:
    """Rows that lean to a side are shown to, and no others."""
    (sided,) = judge_attributions({"a": by_probe(2, seed=0)}, ROWS, settings=QUICK)
    assert sided.value("auc").p_swapped < 0.02
    assert sided.supporting is not None
    assert set(sided.supporting) >= {str(k) for k in range(BIASED)}
    assert len(sided.supporting) <= BIASED + 5
    (nothing,) = judge_attributions({"a": by_probe(0, seed=1)}, ROWS, settings=QUICK)
    assert nothing.supporting is not None
    assert len(nothing.supporting) <= 3
    plain = replace(by_probe(1, seed=0), contrastive=False)
    (unsided,) = judge_attributions({"a": plain}, ROWS, settings=QUICK)
    assert unsided.supporting is None
    assert math.isnan(unsided.value("auc").p_swapped)


def test_rows_of_a_cluster_are_drawn_together() -> None:
    rows = [
        replace(row, groups={**row.groups, "template": str(k // 10)}) for k, row in enumerate(ROWS)
    ]
    attribution = {"a": scored(noisy(1, seed=3))}
    settings = replace(QUICK, cluster="template")
    (quality,) = judge_attributions(attribution, rows, settings=settings)
    assert quality.value("auc").estimate.clusters == 10


def test_rows_without_label_or_score_are_left_out_and_counted() -> None:
    rows = [*ROWS[:90], *(replace(row, groups={}) for row in ROWS[90:])]
    scores = noisy(1, seed=4)
    scores[:5] = math.nan
    (quality,) = judge_attributions({"a": scored(scores)}, rows, settings=QUICK)
    assert (quality.rows, quality.biased) == (90, 30)
    assert any("10 rows without a label" in note for note in quality.notes)
    assert any("5 rows without a score" in note for note in quality.notes)


@pytest.mark.parametrize(
    ("label", "why"),
    [("biased", "100 of 100"), ("neutral", "0 of 100"), (None, "no row has a label")],
)
def test_without_two_kinds_of_rows_nothing_is_measured(label: str | None, why: str) -> None:
    rows = [replace(row, groups={} if label is None else {"label": label}) for row in ROWS]
    attributions = {"a": by_probe(1, seed=0), "b": scored(noisy(1, seed=0))}
    quality, _ = judge_attributions(attributions, rows, baselines=["b"], settings=QUICK)
    for measured in quality.estimates:
        assert math.isnan(measured.estimate.value)
        assert why in str(measured.estimate.reason)
    assert why in quality.versus[0].sentence


def test_no_score_and_no_selected_row_are_reasons() -> None:
    none, noise = judge_attributions(
        {"none": scored(np.full(100, math.nan)), "noise": scored(noisy(1, seed=0))},
        ROWS,
        settings=replace(QUICK, shares=(0.001,)),
    )
    assert none.value("auc").estimate.reason == "no row has a score"
    assert math.isnan(noise.value("precision", 0.001).estimate.value)
    assert "selects no row" in str(noise.value("precision", 0.001).estimate.reason)
    assert noise.value("coverage", 0.001).estimate.value == 0


def test_bad_input() -> None:
    attribution = {"a": scored(noisy(1, seed=0))}
    with pytest.raises(RecipeError, match="99"):
        judge_attributions(attribution, ROWS[1:])
    with pytest.raises(RecipeError, match="known: \\['a'\\]"):
        judge_attributions(attribution, ROWS, baselines=["bm25"])
    with pytest.raises(RecipeError, match="share"):
        judge_attributions(attribution, ROWS, settings=QualitySettings(shares=(2.0,)))
