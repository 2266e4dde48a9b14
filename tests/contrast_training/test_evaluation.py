"""Evaluation: bias and LMS are the benchmark's, their change, perplexity, what is over a limit."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contrast_items import SUPPLY, contrasts, model, type_biases
from worlds import in_world

from equipoise.benchmarks.perplexity import Perplexity
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.contrast_training import evaluation
from equipoise.contrast_training.evaluation import (
    LMS,
    PERPLEXITY,
    Evaluation,
    HeldOutEvaluation,
    SideEffectChange,
    margin_spreads,
    margins_of,
    overall_bias,
)
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import (
    Passage,
    TokenizedText,
    split_texts,
    tokenize_contrasts,
)
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scoring import score
from equipoise.measure import measure
from equipoise.records import Continuation, Supply
from equipoise.stats.resample import Interval
from equipoise.testing import tiny_model

ITEMS = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)


def fall_of(result: Evaluation) -> SideEffectChange:
    (change,) = result.changes
    assert change.effect is LMS
    return change


@pytest.mark.thorough
def test_margins_and_lms_match_the_benchmark_per_example() -> None:
    of = tiny_model("llama", context=512)
    with in_world():
        labelled = StereoSet().labelled()
        outcomes = measure(of, StereoSet(), limit=30, draws=20).outcomes
    measured = {outcome.example: outcome.values for outcome in outcomes}
    chosen = [item for item in labelled if item.id in measured]
    items = tokenize_contrasts(of, chosen, longest=512)
    assert len(items) == 30
    forward = PackedForward(of)
    margins = margins_of(forward, items).tolist()
    assert margins == pytest.approx([measured[item.id]["margin"] for item in items], abs=1e-5)
    fall = fall_of(HeldOutEvaluation(forward, items, effects=[LMS], seed=0)())
    related = sum(values["related"] for values in measured.values())
    assert fall.now == pytest.approx(100 * related / 30)
    assert 0 < fall.now < 100


@pytest.mark.thorough
def test_first_evaluation_is_the_baseline() -> None:
    of = tiny_model("llama")
    look = HeldOutEvaluation(PackedForward(of), ITEMS, effects=[LMS], seed=0)
    first = fall_of(look())
    assert (first.change.value, first.change.low, first.change.high) == (0.0, 0.0, 0.0)
    assert (first.change.n, first.change.clusters) == (12, 6)
    of.module.lm_head.weight.data.mul_(-3)
    second = fall_of(look())
    assert second.change.value == pytest.approx(first.now - second.now)
    assert second.change.value != 0
    assert second.change.low <= second.change.value <= second.change.high


@pytest.mark.thorough
def test_biases_do_not_depend_on_lms() -> None:
    reader = PackedForward(model())
    with_lms = HeldOutEvaluation(reader, ITEMS, effects=[LMS], seed=0)()
    without = HeldOutEvaluation(reader, ITEMS, effects=(), seed=0)()
    assert not without.changes
    assert without.biases == type_biases(model(), ITEMS)
    for axis, bias in with_lms.biases.items():  # in other batches
        assert bias.margin.value == pytest.approx(without.biases[axis].margin.value, abs=1e-6)
        assert bias.ss.value == without.biases[axis].ss.value


@pytest.mark.thorough
def test_swapped_labels_leave_lms() -> None:
    swapped = [
        replace(item, stereotype=item.antistereotype, antistereotype=item.stereotype)
        for item in ITEMS
    ]
    reader = PackedForward(model())
    first, second = (
        HeldOutEvaluation(reader, i, effects=[LMS], seed=0)() for i in (ITEMS, swapped)
    )
    assert fall_of(first).now == fall_of(second).now


@pytest.mark.thorough
def test_items_without_an_unrelated_text_do_not_count() -> None:
    items = [replace(item, unrelated=None) if item.axis == "size" else item for item in ITEMS]
    reader = PackedForward(model())
    mixed = HeldOutEvaluation(reader, items, effects=[LMS], seed=0)()
    color = [item for item in items if item.axis == "color"]
    alone = HeldOutEvaluation(reader, color, effects=[LMS], seed=0)()
    assert fall_of(mixed).now == fall_of(alone).now
    assert fall_of(mixed).change.n == 6
    assert set(mixed.biases) == {"color", "size"}
    none = [replace(item, unrelated=None) for item in ITEMS]
    assert not HeldOutEvaluation(reader, none, effects=[LMS], seed=0)().changes


@pytest.mark.parametrize(
    ("value", "low", "lost"),
    [(3.0, 0.1, True), (3.0, 0.0, False), (3.0, -0.1, False), (2.0, 1.0, False), (-3.0, -4, False)],
)
def test_limit_is_exceeded_only_significantly(value: float, low: float, lost: bool) -> None:
    fall = SideEffectChange(
        effect=LMS, change=Interval(value=value, low=low, high=9.0, n=5, clusters=5), now=50.0
    )
    assert fall.shown_over(2.0) == lost


def test_a_tie_counts_as_half() -> None:
    """Texts of the same tokens are equally likely."""
    same = [replace(item, unrelated=item.stereotype) for item in ITEMS]
    fall = fall_of(HeldOutEvaluation(PackedForward(model()), same, effects=[LMS], seed=0)())
    ss = [standing.ss.value for standing in type_biases(model(), ITEMS).values()]
    # the stereotype ties; the other text is likelier where SS says so
    assert fall.now == pytest.approx(25 + (100 - sum(ss) / 2) / 2)


def test_limit_is_not_exceeded_without_an_interval() -> None:
    """One term is no evidence, however far it fell."""
    far = Interval(value=40.0, low=math.nan, high=math.nan, n=5, clusters=1)
    fall = SideEffectChange(effect=LMS, change=far, now=50.0)
    assert not fall.shown_over(2.0)
    assert fall.as_json() == {"lms": 50.0, "fall": 40.0, "low": None, "high": None, "n": 5}
    json.dumps(fall.as_json(), allow_nan=False)


# --- bias ---------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_second_sentence_is_scored_given_the_first() -> None:
    of = model()
    pairs = [
        replace(contrast, groups={**contrast.groups, "task": "intersentence"})
        for contrast in (*SUPPLY.contrasts, *SUPPLY.dev_contrasts)
    ]
    margins = margins_of(PackedForward(of), tokenize_contrasts(of, pairs, longest=60))
    for pair, margin in zip(pairs, margins.tolist(), strict=True):
        texts = (pair.stereotype, pair.antistereotype)
        first, second = score(
            of, [Continuation(context=pair.context, continuation=t) for t in texts]
        )
        assert margin == pytest.approx(first.mean - second.mean, abs=1e-5)
    whole = margins_of(PackedForward(of), tokenize_contrasts(of, SUPPLY.contrasts, longest=60))
    assert np.abs(whole - margins[: len(whole)]).max() > 0.01


def mean(text: TokenizedText) -> float:
    ids = torch.tensor([text.ids])
    with torch.no_grad():
        logprobs = model().module(ids).logits[0].log_softmax(-1)
    return float(logprobs[:-1].gather(1, ids[0, 1:, None]).mean())


@pytest.mark.thorough
def test_a_bias_by_hand() -> None:
    reader = PackedForward(model())
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    biases = type_biases(model(), items[::-1])
    assert list(biases) == ["color", "size"]
    for axis, bias in biases.items():
        of_type = [item for item in items if item.axis == axis]
        margins = np.array([mean(item.stereotype) - mean(item.antistereotype) for item in of_type])
        assert bias.margin.value == pytest.approx(margins.mean(), abs=1e-6)
        assert bias.ss.value == pytest.approx(100 * (margins > 0).mean())
        assert bias.spread == pytest.approx(margins.std(), abs=1e-6)
        assert margin_spreads(reader, items)[axis] == pytest.approx(margins.std(), abs=1e-6)
        assert (bias.margin.n, bias.margin.clusters) == (6, 6)
        assert bias.margin.low < bias.margin.value < bias.margin.high
        assert bias.half_band(5) == pytest.approx(0.1256613 * margins.std(), rel=1e-5)


@pytest.mark.thorough
def test_swapped_labels_negate_every_margin() -> None:
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    swapped = [
        type(item)(
            id=item.id,
            axis=item.axis,
            target=item.target,
            stereotype=item.antistereotype,
            antistereotype=item.stereotype,
            unrelated=item.unrelated,
        )
        for item in items
    ]
    labelled_bias, swapped_bias = (
        type_biases(model(), labelled)["color"] for labelled in (items, swapped)
    )
    assert swapped_bias.margin.value == pytest.approx(-labelled_bias.margin.value, abs=1e-9)
    assert swapped_bias.ss.value == pytest.approx(100 - labelled_bias.ss.value)
    assert swapped_bias.spread == pytest.approx(labelled_bias.spread)


def test_items_of_one_target_are_one_cluster() -> None:
    items = tokenize_contrasts(model(), contrasts(("nurse",), ("color",)) * 3, longest=60)
    bias = type_biases(model(), items)["color"]
    assert bias.margin.clusters == 1
    assert math.isnan(bias.margin.low)
    assert bias.as_json()["low"] is None
    json.dumps(bias.as_json(), allow_nan=False)


def test_margins_equal_up_to_rounding_have_no_spread() -> None:
    items = tokenize_contrasts(model(), contrasts(("nurse",), ("color",)) * 2, longest=60)
    assert margin_spreads(PackedForward(model()), items) == {"color": 1.0}


# --- perplexity ---------------------------------------------------------------------------------

_, NEUTRAL = split_texts(
    model(), Supply(origin="", texts=tuple(f"Door {i} is open {i}." for i in range(40))),
    longest=60,
)  # fmt: skip


def rises(of: LanguageModel, passages: Sequence[Passage]) -> HeldOutEvaluation:
    return HeldOutEvaluation(PackedForward(of), ITEMS, passages, effects=[PERPLEXITY], seed=0)


@pytest.mark.thorough
def test_perplexity_matches_the_benchmark(tmp_path: Path) -> None:
    of = tiny_model("llama")
    (cost,) = rises(of, NEUTRAL)().changes
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(passage.text.text for passage in NEUTRAL), encoding="utf-8")
    outcomes = measure(of, Perplexity(file=str(file), items=None), draws=20).outcomes
    nats = -sum(outcome.values["logprob"] for outcome in outcomes)
    assert cost.now == pytest.approx(
        math.exp(nats / sum(outcome.values["tokens"] for outcome in outcomes)), rel=1e-5
    )
    assert cost.change.value == cost.change.low == cost.change.high == 0.0
    assert (cost.change.n, cost.change.clusters) == (4, 4)


@pytest.mark.thorough
def test_perplexity_rise_is_over_all_tokens() -> None:
    of = tiny_model("llama")
    look = rises(of, NEUTRAL)
    (before,) = look().changes
    of.module.lm_head.weight.data.mul_(-3)
    (after,) = look().changes
    assert after.change.value == pytest.approx(100 * (after.now / before.now - 1))
    assert after.change.value > 1
    assert after.change.low <= after.change.value <= after.change.high


@pytest.mark.thorough
def test_passages_of_one_document_are_one_cluster() -> None:
    together = [replace(passage, document="same") for passage in NEUTRAL[:2]]
    (cost,) = rises(tiny_model("llama"), [*together, *NEUTRAL[2:]])().changes
    assert (cost.change.n, cost.change.clusters) == (4, 3)


def test_passages_are_not_read_unless_asked() -> None:
    look = HeldOutEvaluation(PackedForward(model()), ITEMS, NEUTRAL, effects=[LMS], seed=0)
    assert [change.effect for change in look().changes] == [LMS]


def test_few_much_worse_documents_are_significant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resampled in percent, three values from 170 to 640 have an interval that holds 0."""
    means = [np.zeros(3), -np.array([1.0, 1.5, 2.0])]  # nats per token, before and after
    monkeypatch.setattr(evaluation, "mean_logprobs", lambda _, texts: means.pop(0)[: len(texts)])
    passages = [replace(NEUTRAL[0], document=name) for name in "abc"]
    look = HeldOutEvaluation(PackedForward(model()), (), passages, effects=[PERPLEXITY], seed=0)
    look._perplexity_rise()
    rise = look._perplexity_rise()
    assert rise.change.value == pytest.approx(100 * np.expm1(1.5))
    assert rise.change.low > 0
    assert rise.shown_over(10.0)


@pytest.mark.thorough
def test_infinite_rise_ends_training(recwarn: pytest.WarningsRecorder) -> None:
    of = tiny_model("llama")
    look = rises(of, NEUTRAL)
    look()
    of.module.lm_head.weight.data.mul_(1e6)
    (cost,) = look().changes
    assert cost.change.value == math.inf
    assert cost.shown_over(10.0)
    assert not recwarn.list


def test_an_infinite_perplexity_can_be_written() -> None:
    by = Interval(value=math.inf, low=math.inf, high=math.inf, n=4, clusters=4)
    change = SideEffectChange(effect=PERPLEXITY, change=by, now=math.inf)
    assert change.shown_over(10.0)
    assert change.as_json() == {
        "perplexity": None, "rise": None, "low": None, "high": None, "n": 4,
    }  # fmt: skip


def test_overall_counts_every_contrast_once_and_no_interval_leaves_the_scale() -> None:
    margins = np.array([1.0] * 5 + [-1.0])
    few = [replace(ITEMS[k % len(ITEMS)], target=f"t{k % 3}") for k in range(6)]
    overall = overall_bias(margins, few, seed=0)
    assert overall.ss.value == pytest.approx(100 * 5 / 6)
    assert overall.ss.n == 6
    assert 0.0 <= overall.ss.low < overall.ss.value < overall.ss.high <= 100.0
    record = overall.as_json()
    assert (record["ss_low"], record["ss_high"]) == (overall.ss.low, overall.ss.high)
