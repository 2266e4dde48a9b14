"""A look at held-out contrasts: LMS by hand, its fall since the first look, what counts as lost."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contrast_items import SUPPLY, contrasts, model, standings

from equipoise.benchmarks.perplexity import Perplexity
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.contrast_training import evaluation as held_out
from equipoise.contrast_training.evaluation import HeldOut, Seen
from equipoise.contrast_training.held_out_texts import Passage, parted
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Cost
from equipoise.contrast_training.tokenized import tokenize_contrasts
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.records import Supply
from equipoise.stats.resample import CLUSTER, Interval, bootstrap
from equipoise.testing import tiny_model

ITEMS = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)


def fall_of(seen: Seen) -> Cost:
    (found,) = seen.costs
    assert found.of is LMS
    return found


def test_lms_is_the_benchmarks_with_every_example_counted_once() -> None:
    of = tiny_model("llama", context=512)
    benchmark = StereoSet(world="default")
    items = tokenize_contrasts(of, benchmark.labelled(), longest=512)
    related = {
        outcome.example: outcome.values["related"]
        for outcome in measure(of, benchmark, limit=40, draws=20).outcomes
    }
    chosen = [item for item in items if item.id in related]
    assert len(chosen) == 40
    fall = fall_of(HeldOut(PackedForward(of), chosen, costs=[LMS], seed=0)())
    assert fall.now == pytest.approx(100 * sum(related.values()) / 40)
    assert 0 < fall.now < 100


def test_the_first_look_is_what_later_ones_are_compared_with() -> None:
    one = tiny_model("llama")
    look = HeldOut(PackedForward(one), ITEMS, costs=[LMS], seed=0)
    first = fall_of(look())
    assert (first.by.value, first.by.low, first.by.high) == (0.0, 0.0, 0.0)
    assert (first.by.n, first.by.clusters) == (12, 6)
    one.module.lm_head.weight.data.mul_(-3)
    second = fall_of(look())
    assert second.by.value == pytest.approx(first.now - second.now)
    assert second.by.value != 0
    assert second.by.low <= second.by.value <= second.by.high


def test_standings_are_as_without_lms() -> None:
    reader = PackedForward(model())
    with_lms = HeldOut(reader, ITEMS, costs=[LMS], seed=0)()
    without = HeldOut(reader, ITEMS, costs=(), seed=0)()
    assert not without.costs
    assert without.standings == standings(model(), ITEMS)
    for axis, one in with_lms.standings.items():  # in other batches
        assert one.margin.value == pytest.approx(without.standings[axis].margin.value, abs=1e-6)
        assert one.ss.value == without.standings[axis].ss.value


def test_swapping_the_labels_leaves_lms() -> None:
    swapped = [
        replace(one, stereotype=one.antistereotype, antistereotype=one.stereotype) for one in ITEMS
    ]
    reader = PackedForward(model())
    one, other = (
        fall_of(HeldOut(reader, some, costs=[LMS], seed=0)()) for some in (ITEMS, swapped)
    )
    assert one.now == other.now


def test_items_without_an_unrelated_text_do_not_count() -> None:
    some = [replace(one, unrelated=None) if one.axis == "size" else one for one in ITEMS]
    reader = PackedForward(model())
    mixed = HeldOut(reader, some, costs=[LMS], seed=0)()
    color = [one for one in some if one.axis == "color"]
    alone = HeldOut(reader, color, costs=[LMS], seed=0)()
    assert fall_of(mixed).now == fall_of(alone).now
    assert fall_of(mixed).by.n == 6
    assert set(mixed.standings) == {"color", "size"}
    none = [replace(one, unrelated=None) for one in ITEMS]
    assert not HeldOut(reader, none, costs=[LMS], seed=0)().costs


def test_of_two_sentences_the_second_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        replace(contrast, groups={**contrast.groups, "task": "intersentence"})
        for contrast in contrasts(("nurse", "miner", "diver"))
    ]
    asked: list[tuple[int, ...]] = []
    read = held_out.means_of

    def noted(reader: PackedForward, texts: list) -> object:  # type: ignore[type-arg]
        asked.extend(one.scored_positions(text) for one, text in texts)
        return read(reader, texts)

    monkeypatch.setattr(held_out, "means_of", noted)
    items = tokenize_contrasts(model(), pairs, longest=60)
    HeldOut(PackedForward(model()), items, costs=[LMS], seed=0)()
    expected = [text.target_positions for item in items for text in item.pair]
    expected += [item.unrelated.target_positions for item in items if item.unrelated is not None]
    assert asked == expected


@pytest.mark.parametrize(
    ("value", "low", "lost"),
    [(3.0, 0.1, True), (3.0, 0.0, False), (3.0, -0.1, False), (2.0, 1.0, False), (-3.0, -4, False)],
)
def test_lost_is_what_is_over_the_margin_and_more_than_chance(
    value: float, low: float, lost: bool
) -> None:
    fall = Cost(of=LMS, by=Interval(value=value, low=low, high=9.0, n=5, clusters=5), now=50.0)
    assert fall.shown_over(2.0) == lost


def test_a_tie_counts_as_half() -> None:
    """Texts of the same tokens are equally likely."""
    same = [replace(one, unrelated=one.stereotype) for one in ITEMS]
    fall = fall_of(HeldOut(PackedForward(model()), same, costs=[LMS], seed=0)())
    ss = [standing.ss.value for standing in standings(model(), ITEMS).values()]
    # the stereotype ties; the other text is likelier where SS says so
    assert fall.now == pytest.approx(25 + (100 - sum(ss) / 2) / 2)


def test_without_an_interval_nothing_is_called_lost() -> None:
    """One term is no evidence, however far it fell."""
    one = Interval(value=40.0, low=math.nan, high=math.nan, n=5, clusters=1)
    fall = Cost(of=LMS, by=one, now=50.0)
    assert not fall.shown_over(2.0)
    assert fall.as_json() == {"lms": 50.0, "fall": 40.0, "low": None, "high": None, "n": 5}
    json.dumps(fall.as_json(), allow_nan=False)


# --- perplexity ---------------------------------------------------------------------------------

NEUTRAL = parted(
    model(), Supply(origin="", texts=tuple(f"Door {i} is open {i}." for i in range(40))),
    longest=60,
).apart  # fmt: skip


def rises(of: LanguageModel, passages: Sequence[Passage]) -> HeldOut:
    return HeldOut(PackedForward(of), ITEMS, passages, costs=[PERPLEXITY], seed=0)


def test_perplexity_is_the_benchmarks_on_the_same_texts(tmp_path: Path) -> None:
    of = tiny_model("llama")
    (cost,) = rises(of, NEUTRAL)().costs
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(one.text.text for one in NEUTRAL), encoding="utf-8")
    found = measure(of, Perplexity(file=str(file), items=None), draws=20).outcomes
    nats = -sum(one.values["logprob"] for one in found)
    assert cost.now == pytest.approx(
        math.exp(nats / sum(one.values["tokens"] for one in found)), rel=1e-5
    )
    assert cost.by.value == cost.by.low == cost.by.high == 0.0
    assert (cost.by.n, cost.by.clusters) == (4, 4)


def test_its_rise_is_that_of_all_tokens_together() -> None:
    of = tiny_model("llama")
    look = rises(of, NEUTRAL)
    (before,) = look().costs
    of.module.lm_head.weight.data.mul_(-3)
    (after,) = look().costs
    assert after.by.value == pytest.approx(100 * (after.now / before.now - 1))
    assert after.by.value > 1
    assert after.by.low <= after.by.value <= after.by.high


def test_passages_of_one_document_are_one_cluster() -> None:
    together = [replace(one, document="same") for one in NEUTRAL[:2]]
    (cost,) = rises(tiny_model("llama"), [*together, *NEUTRAL[2:]])().costs
    assert (cost.by.n, cost.by.clusters) == (4, 3)


def test_passages_are_not_read_unless_asked() -> None:
    look = HeldOut(PackedForward(model()), ITEMS, NEUTRAL, costs=[LMS], seed=0)
    assert [cost.of for cost in look().costs] == [LMS]


def test_few_documents_that_all_got_far_worse_are_shown() -> None:
    """Resampled in percent, three values from 170 to 640 have an interval that holds 0."""
    nats = np.array([1.0, 1.5, 2.0])
    columns = {"more": nats, "tokens": np.ones(3), CLUSTER: np.arange(3.0)}
    (found,) = bootstrap([held_out._MORE], columns, draws=500, seed=0)
    cost = Cost(of=PERPLEXITY, by=held_out._in_percent(found), now=500.0)
    assert cost.by.value == pytest.approx(100 * np.expm1(1.5))
    assert cost.by.low > 0
    assert cost.shown_over(10.0)


def test_an_infinite_rise_ends_it(recwarn: pytest.WarningsRecorder) -> None:
    of = tiny_model("llama")
    look = rises(of, NEUTRAL)
    look()
    of.module.lm_head.weight.data.mul_(1e6)
    (cost,) = look().costs
    assert cost.by.value == math.inf
    assert cost.shown_over(10.0)
    assert not recwarn.list


def test_an_infinite_perplexity_can_be_written() -> None:
    by = Interval(value=math.inf, low=math.inf, high=math.inf, n=4, clusters=4)
    found = Cost(of=PERPLEXITY, by=by, now=math.inf)
    assert found.shown_over(10.0)
    assert found.as_json() == {
        "perplexity": None, "rise": None, "low": None, "high": None, "n": 4,
    }  # fmt: skip
