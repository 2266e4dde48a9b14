"""`keep_lms` and `keep_perplexity`: the edit is that of the last evaluation within them.

The decisions are tested by themselves in tests/contrast_training/test_early_stopping.py.
"""

import math
from dataclasses import replace
from typing import Any

import pytest
from contrast_items import SUPPLY, quick, same, small, weights

from equipoise.contrast_training.early_stopping import NoController
from equipoise.contrast_training.evaluation import LMS, HeldOutEvaluation, SideEffectChange
from equipoise.contrast_training.steps import ForwardKl
from equipoise.errors import ModelError, RecipeError
from equipoise.mitigate.bias_unlearn import BiasUnlearn, Likelihood
from equipoise.mitigate.cda import Cda, TextSource
from equipoise.mitigate.dpo import Dpo
from equipoise.mitigate.parity import Parity
from equipoise.rows import text_sha256
from equipoise.stats.resample import Interval

SHORT: Any = {"steps": 5, "evaluate_every": 2, "rank": 2}
UNLEARN = BiasUnlearn(
    controller=NoController(),
    first_evaluation=4,
    retain=Likelihood(batch=4),
    kl=ForwardKl(batch=2),
    **SHORT,
)

LOST = Interval(value=3.0, low=1.0, high=5.0, n=12, clusters=6)
OVER = replace(LOST, low=-1.0)  # not more than chance
KEPT = Interval(value=0.0, low=0.0, high=0.0, n=12, clusters=6)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(method: Any, **options: Any) -> Any:
    return replace(method, **options).fit(small(), SUPPLY, seed=0)


def falling(patch: pytest.MonkeyPatch, *falls: Interval) -> None:
    """The fall of LMS at each evaluation, after the one before training."""
    changes = [KEPT, *falls]
    patch.setattr(
        HeldOutEvaluation,
        "_lms_fall",
        lambda *_: SideEffectChange(effect=LMS, change=changes.pop(0), now=50.0),
    )


@pytest.mark.thorough
def test_the_edit_is_that_of_the_last_evaluation_that_kept_lms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = weights(small())
    with monkeypatch.context() as patch:
        falling(patch, KEPT, LOST)
        kept = fitted(UNLEARN, keep_lms=2.0)
    assert (kept.info.report["steps"], kept.info.report["kept_after"]) == (4, 2)
    assert "LMS had fallen by 3.00" in kept.info.report["stopped"]
    with monkeypatch.context() as patch:
        patch.setattr(NoController, "step", lambda *_: "enough")
        stopped = fitted(UNLEARN, first_evaluation=2)
    assert stopped.info.report["steps"] == 2
    assert same(kept.tensors, stopped.tensors)
    assert weights(small()) == before


@pytest.mark.thorough
def test_the_last_steps_are_evaluated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    falling(monkeypatch, KEPT, OVER, LOST)
    kept = fitted(UNLEARN, keep_lms=2.0)
    assert (kept.info.report["steps"], kept.info.report["kept_after"]) == (5, 2)


@pytest.mark.thorough
def test_training_over_the_limit_leaves_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights(small())
    falling(monkeypatch, OVER, LOST)
    with pytest.raises(ModelError, match=r"after 4 steps held-out LMS had fallen by 3\.00"):
        fitted(UNLEARN, keep_lms=2.0)
    assert weights(small()) == before


@pytest.mark.thorough
def test_unreached_limit_changes_only_the_report() -> None:
    plain, kept = fitted(UNLEARN), fitted(UNLEARN, keep_lms=99.0)
    assert same(plain.tensors, kept.tensors)
    assert "kept_after" not in plain.info.report
    assert kept.info.report["kept_after"] == kept.info.report["steps"] == 5
    evaluations = kept.info.report["evaluations"]
    assert all(math.isfinite(evaluation["lms"]["lms"]) for evaluation in evaluations)
    assert not any("lms" in evaluation for evaluation in plain.info.report["evaluations"])


@pytest.mark.thorough
def test_evaluations_are_in_the_models_own_arithmetic() -> None:
    """Mixed precision alone would move margins, and a rank or two of LMS."""
    options: Any = {"bf16": True, "learning_rate": 1e-9, "dropout": 0.0}
    first, *later = fitted(UNLEARN, keep_lms=99.0, **options).info.report["evaluations"]
    for evaluation in later:
        for axis, bias in evaluation["types"].items():
            assert bias["margin"] == pytest.approx(first["types"][axis]["margin"], abs=1e-5)


# --- perplexity ---------------------------------------------------------------------------------

TEXTS = tuple(f"{index} he ZZ QQ {index} VV" for index in range(40))  # unlike what is learnt
SPOKEN = replace(SUPPLY, texts=TEXTS)
#: Learns much, from the first step.
FAST: Any = {"learning_rate": 0.05, "warmup": 0, "dropout": 0.0}


@pytest.mark.thorough
def test_kept_steps_are_within_the_limit_and_undone_steps_over() -> None:
    """Nothing pretended."""
    fast = Parity(**(SHORT | FAST | {"steps": 6, "evaluate_every": 1}))
    report: Any = replace(fast, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0).info.report
    rises = [evaluation["perplexity"]["rise"] for evaluation in report["evaluations"]]
    assert rises[0] == 0.0
    assert report["held_out_texts"] == 4
    limit = sorted(rises[1:])[2]
    assert limit > 0.01
    kept: Any = replace(fast, keep_perplexity=limit).fit(small(), SPOKEN, seed=0).info.report
    after = [evaluation["perplexity"]["rise"] for evaluation in kept["evaluations"]]
    assert after == rises[: len(after)]
    within = [steps for steps, rise in enumerate(after) if steps and rise <= limit]
    assert kept["kept_after"] == within[-1]
    assert kept["steps"] == len(after) - 1
    if len(after) < len(rises):
        assert "perplexity of held-out plain texts had risen by" in kept["stopped"]
        assert after[-1] > limit


@pytest.mark.thorough
def test_held_out_texts_do_not_keep_the_model_and_count_as_learnt() -> None:
    """The KL is on the others: with 36 of them it is the same training."""
    method = replace(UNLEARN, kl=ForwardKl(texts="neutral", batch=2), evaluate_every=10)
    edit = replace(method, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0)
    other = method.fit(small(), replace(SUPPLY, texts=TEXTS[:-4]), seed=0)
    assert same(edit.tensors, other.tensors)
    assert set(map(text_sha256, TEXTS)) <= edit.info.trained_on
    unrelated = replace(UNLEARN, keep_perplexity=1e9, steps=1).fit(small(), SPOKEN, seed=0)
    assert set(map(text_sha256, TEXTS)) & unrelated.info.trained_on == set(
        map(text_sha256, TEXTS[-4:])
    )


@pytest.mark.thorough
def test_texts_of_a_corpus_are_not_both_learnt_and_held_out() -> None:
    swapping = Cda(source=TextSource(), batch_size=4, **SHORT)
    edit = replace(swapping, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0)
    other = swapping.fit(small(), replace(SUPPLY, texts=TEXTS[:-4]), seed=0)
    assert same(edit.tensors, other.tensors)
    assert edit.info.report["texts"] == 72


@pytest.mark.thorough
def test_lms_is_kept_where_texts_of_a_corpus_are_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    falling(monkeypatch, KEPT, LOST)
    swapping = Cda(source=TextSource(), keep_lms=2.0, batch_size=4, **SHORT)
    assert swapping.fit(small(), SPOKEN, seed=0).info.report["kept_after"] == 2


@pytest.mark.thorough
def test_perplexity_is_kept_without_held_out_contrasts() -> None:
    method = Dpo(batch_size=4, **SHORT)
    bare = replace(SPOKEN, dev_contrasts=())
    kept = replace(method, keep_perplexity=1e9).fit(small(), bare, seed=0)
    plain = method.fit(small(), bare, seed=0)
    assert same(kept.tensors, plain.tensors)
    assert [entry["steps"] for entry in kept.info.report["evaluations"]] == [0, 2, 4, 5]
    assert kept.info.report["held_out_items"] == 0


@pytest.mark.parametrize("count", [0, 2])
def test_keep_perplexity_needs_held_out_texts(count: int) -> None:
    keeping = replace(UNLEARN, keep_perplexity=5.0)
    with pytest.raises(RecipeError, match=f"got {count} texts and 0 held-out documents"):
        keeping.fit(small(), replace(SUPPLY, texts=TEXTS[:count]), seed=0)
