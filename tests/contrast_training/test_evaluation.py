"""Evaluation: LMS by hand, its fall since the first one, perplexity, what is over a limit."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
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
)
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import Passage, split_texts, tokenize_contrasts
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.records import Supply
from equipoise.stats.draws import CLUSTER
from equipoise.stats.resample import Interval, bootstrap
from equipoise.testing import tiny_model

ITEMS = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)


def fall_of(result: Evaluation) -> SideEffectChange:
    (change,) = result.changes
    assert change.effect is LMS
    return change


def test_lms_is_the_benchmarks_with_every_example_counted_once() -> None:
    of = tiny_model("llama", context=512)
    with in_world():
        labelled = StereoSet().labelled()
        found = measure(of, StereoSet(), limit=40, draws=20)
    items = tokenize_contrasts(of, labelled, longest=512)
    related = {outcome.example: outcome.values["related"] for outcome in found.outcomes}
    chosen = [item for item in items if item.id in related]
    assert len(chosen) == 40
    fall = fall_of(HeldOutEvaluation(PackedForward(of), chosen, effects=[LMS], seed=0)())
    assert fall.now == pytest.approx(100 * sum(related.values()) / 40)
    assert 0 < fall.now < 100


def test_the_first_evaluation_is_what_later_ones_are_compared_with() -> None:
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


def test_biases_are_as_without_lms() -> None:
    reader = PackedForward(model())
    with_lms = HeldOutEvaluation(reader, ITEMS, effects=[LMS], seed=0)()
    without = HeldOutEvaluation(reader, ITEMS, effects=(), seed=0)()
    assert not without.changes
    assert without.biases == type_biases(model(), ITEMS)
    for axis, bias in with_lms.biases.items():  # in other batches
        assert bias.margin.value == pytest.approx(without.biases[axis].margin.value, abs=1e-6)
        assert bias.ss.value == without.biases[axis].ss.value


def test_swapping_the_labels_leaves_lms() -> None:
    swapped = [
        replace(item, stereotype=item.antistereotype, antistereotype=item.stereotype)
        for item in ITEMS
    ]
    reader = PackedForward(model())
    first, second = (
        HeldOutEvaluation(reader, i, effects=[LMS], seed=0)() for i in (ITEMS, swapped)
    )
    assert fall_of(first).now == fall_of(second).now


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


def test_of_two_sentences_the_second_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        replace(contrast, groups={**contrast.groups, "task": "intersentence"})
        for contrast in contrasts(("nurse", "miner", "diver"))
    ]
    scored: list[tuple[int, ...]] = []
    read = evaluation.scored_means

    def noted(reader: PackedForward, texts: list) -> object:  # type: ignore[type-arg]
        scored.extend(item.scored_positions(text) for item, text in texts)
        return read(reader, texts)

    monkeypatch.setattr(evaluation, "scored_means", noted)
    items = tokenize_contrasts(model(), pairs, longest=60)
    HeldOutEvaluation(PackedForward(model()), items, effects=[LMS], seed=0)()
    expected = [text.target_positions for item in items for text in item.pair]
    expected += [item.unrelated.target_positions for item in items if item.unrelated is not None]
    assert scored == expected


@pytest.mark.parametrize(
    ("value", "low", "lost"),
    [(3.0, 0.1, True), (3.0, 0.0, False), (3.0, -0.1, False), (2.0, 1.0, False), (-3.0, -4, False)],
)
def test_lost_is_what_is_over_the_margin_and_more_than_chance(
    value: float, low: float, lost: bool
) -> None:
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


def test_without_an_interval_nothing_is_called_lost() -> None:
    """One term is no evidence, however far it fell."""
    far = Interval(value=40.0, low=math.nan, high=math.nan, n=5, clusters=1)
    fall = SideEffectChange(effect=LMS, change=far, now=50.0)
    assert not fall.shown_over(2.0)
    assert fall.as_json() == {"lms": 50.0, "fall": 40.0, "low": None, "high": None, "n": 5}
    json.dumps(fall.as_json(), allow_nan=False)


# --- perplexity ---------------------------------------------------------------------------------

NEUTRAL = split_texts(
    model(), Supply(origin="", texts=tuple(f"Door {i} is open {i}." for i in range(40))),
    longest=60,
).held_out  # fmt: skip


def rises(of: LanguageModel, passages: Sequence[Passage]) -> HeldOutEvaluation:
    return HeldOutEvaluation(PackedForward(of), ITEMS, passages, effects=[PERPLEXITY], seed=0)


def test_perplexity_is_the_benchmarks_on_the_same_texts(tmp_path: Path) -> None:
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


def test_its_rise_is_that_of_all_tokens_together() -> None:
    of = tiny_model("llama")
    look = rises(of, NEUTRAL)
    (before,) = look().changes
    of.module.lm_head.weight.data.mul_(-3)
    (after,) = look().changes
    assert after.change.value == pytest.approx(100 * (after.now / before.now - 1))
    assert after.change.value > 1
    assert after.change.low <= after.change.value <= after.change.high


def test_passages_of_one_document_are_one_cluster() -> None:
    together = [replace(passage, document="same") for passage in NEUTRAL[:2]]
    (cost,) = rises(tiny_model("llama"), [*together, *NEUTRAL[2:]])().changes
    assert (cost.change.n, cost.change.clusters) == (4, 3)


def test_passages_are_not_read_unless_asked() -> None:
    look = HeldOutEvaluation(PackedForward(model()), ITEMS, NEUTRAL, effects=[LMS], seed=0)
    assert [change.effect for change in look().changes] == [LMS]


def test_few_documents_that_all_got_far_worse_are_shown() -> None:
    """Resampled in percent, three values from 170 to 640 have an interval that holds 0."""
    nats = np.array([1.0, 1.5, 2.0])
    columns = {"more": nats, "tokens": np.ones(3), CLUSTER: np.arange(3.0)}
    (nats_more,) = bootstrap([evaluation._MORE], columns, draws=500, seed=0)
    cost = SideEffectChange(effect=PERPLEXITY, change=evaluation._in_percent(nats_more), now=500.0)
    assert cost.change.value == pytest.approx(100 * np.expm1(1.5))
    assert cost.change.low > 0
    assert cost.shown_over(10.0)


def test_an_infinite_rise_ends_it(recwarn: pytest.WarningsRecorder) -> None:
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
