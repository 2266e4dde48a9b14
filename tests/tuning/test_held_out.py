"""A look at held-out contrasts: LMS by hand, its fall since the first look, what counts as lost."""

import json
import math
from dataclasses import replace

import pytest
from contrast_items import SUPPLY, contrasts, model, standings

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.measure import measure
from equipoise.stats.resample import Interval
from equipoise.testing import tiny_model
from equipoise.tuning import held_out
from equipoise.tuning.coded import coded_items
from equipoise.tuning.held_out import Fall, HeldOut
from equipoise.tuning.reader import TextReader

ITEMS = coded_items(model(), SUPPLY.dev_contrasts, longest=60)


def test_lms_is_the_benchmarks_with_every_example_counted_once() -> None:
    of = tiny_model("llama", context=512)
    benchmark = StereoSet(world="default")
    items = coded_items(of, benchmark.labelled(), longest=512)
    related = {
        one.example: one.values["related"]
        for one in measure(of, benchmark, limit=40, draws=20).outcomes
    }
    chosen = [one for one in items if one.id in related]
    assert len(chosen) == 40
    fall = HeldOut(TextReader(of), chosen, lms=True, seed=0)().fall
    assert fall is not None
    assert fall.lms == pytest.approx(100 * sum(related.values()) / 40)
    assert 0 < fall.lms < 100


def test_the_first_look_is_what_later_ones_are_compared_with() -> None:
    one = tiny_model("llama")
    look = HeldOut(TextReader(one), ITEMS, lms=True, seed=0)
    first = look().fall
    assert first is not None
    assert (first.points.value, first.points.low, first.points.high) == (0.0, 0.0, 0.0)
    assert (first.points.n, first.points.clusters) == (12, 6)
    one.module.lm_head.weight.data.mul_(-3)
    second = look().fall
    assert second is not None
    assert second.points.value == pytest.approx(first.lms - second.lms)
    assert second.points.value != 0
    assert second.points.low <= second.points.value <= second.points.high


def test_standings_are_as_without_lms() -> None:
    reader = TextReader(model())
    with_lms = HeldOut(reader, ITEMS, lms=True, seed=0)()
    without = HeldOut(reader, ITEMS, lms=False, seed=0)()
    assert without.fall is None
    assert without.standings == standings(model(), ITEMS)
    for axis, one in with_lms.standings.items():  # in other batches
        assert one.margin.value == pytest.approx(without.standings[axis].margin.value, abs=1e-6)
        assert one.ss.value == without.standings[axis].ss.value


def test_swapping_the_labels_leaves_lms() -> None:
    swapped = [
        replace(one, stereotype=one.antistereotype, antistereotype=one.stereotype) for one in ITEMS
    ]
    reader = TextReader(model())
    one, other = (HeldOut(reader, some, lms=True, seed=0)().fall for some in (ITEMS, swapped))
    assert one is not None
    assert other is not None
    assert one.lms == other.lms


def test_items_without_an_unrelated_text_do_not_count() -> None:
    some = [replace(one, unrelated=None) if one.axis == "size" else one for one in ITEMS]
    reader = TextReader(model())
    mixed = HeldOut(reader, some, lms=True, seed=0)()
    alone = HeldOut(reader, [one for one in some if one.axis == "color"], lms=True, seed=0)()
    assert mixed.fall is not None
    assert alone.fall is not None
    assert mixed.fall.lms == alone.fall.lms
    assert mixed.fall.points.n == 6
    assert set(mixed.standings) == {"color", "size"}
    none = [replace(one, unrelated=None) for one in ITEMS]
    assert HeldOut(reader, none, lms=True, seed=0)().fall is None


def test_of_two_sentences_the_second_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        replace(one, groups={**one.groups, "task": "intersentence"})
        for one in contrasts(("nurse", "miner", "diver"))
    ]
    asked: list[tuple[int, ...]] = []
    read = held_out.means_of

    def noted(reader: TextReader, texts: list) -> object:  # type: ignore[type-arg]
        asked.extend(one.judged_at(text) for one, text in texts)
        return read(reader, texts)

    monkeypatch.setattr(held_out, "means_of", noted)
    items = coded_items(model(), pairs, longest=60)
    HeldOut(TextReader(model()), items, lms=True, seed=0)()
    expected = [text.span for one in items for text in one.pair]
    expected += [one.unrelated.span for one in items if one.unrelated is not None]
    assert asked == expected


@pytest.mark.parametrize(
    ("value", "low", "lost"),
    [(3.0, 0.1, True), (3.0, 0.0, False), (3.0, -0.1, False), (2.0, 1.0, False), (-3.0, -4, False)],
)
def test_lost_is_what_is_over_the_margin_and_more_than_chance(
    value: float, low: float, lost: bool
) -> None:
    fall = Fall(points=Interval(value=value, low=low, high=9.0, n=5, clusters=5), lms=50.0)
    assert fall.shown_over(2.0) == lost


def test_a_tie_counts_as_half() -> None:
    """Texts of the same tokens are equally likely."""
    same = [replace(one, unrelated=one.stereotype) for one in ITEMS]
    fall = HeldOut(TextReader(model()), same, lms=True, seed=0)().fall
    ss = [one.ss.value for one in standings(model(), ITEMS).values()]
    assert fall is not None
    # the stereotype ties; the other text is likelier where SS says so
    assert fall.lms == pytest.approx(25 + (100 - sum(ss) / 2) / 2)


def test_without_an_interval_nothing_is_called_lost() -> None:
    """One term is no evidence, however far it fell."""
    one = Interval(value=40.0, low=math.nan, high=math.nan, n=5, clusters=1)
    fall = Fall(points=one, lms=50.0)
    assert not fall.shown_over(2.0)
    assert fall.as_json() == {"lms": 50.0, "fall": 40.0, "low": None, "high": None, "items": 5}
    json.dumps(fall.as_json(), allow_nan=False)
