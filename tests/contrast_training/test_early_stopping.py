"""The watch: when it looks, what a changed mix begins, and that it survives a kill."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from contrast_items import SUPPLY, model

from equipoise.contrast_training.controllers import Controller, Fixed, Mix, from_stereotypes
from equipoise.contrast_training.early_stopping import BiasEarlyStopping, report_of
from equipoise.contrast_training.evaluation import Seen
from equipoise.contrast_training.held_out_bias import Standing
from equipoise.contrast_training.held_out_texts import PlainTexts
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.session import Lesson
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Cost
from equipoise.contrast_training.tokenized import tokenize_contrasts
from equipoise.errors import ModelError
from equipoise.stats.resample import Interval


def stand(margin: float, spread: float) -> Standing:
    found = Interval(value=margin, low=margin - 1, high=margin + 1, n=4, clusters=2)
    return Standing(axis="a", margin=found, ss=found, spread=spread)


@dataclass
class Stands:
    """A model that moves a little at every look, and loses LMS as told, by its looks."""

    costs: Mapping[int, Sequence[Cost]] = field(default_factory=dict)
    looks: int = 0

    def __call__(self) -> Seen:
        self.looks += 1
        return Seen(
            standings={"a": stand(float(self.looks), spread=10.0 / self.looks)},
            costs=self.costs.get(self.looks, ()),
        )


@dataclass
class Scripted(Controller):
    """Says what it was told to, and keeps what it was shown."""

    answers: list[Mix | str]
    seen: list[Standing] = field(default_factory=list)

    def first(self, standings: Mapping[str, Standing]) -> Mix:
        self.seen.append(standings["a"])
        return START

    def step(self, standings: Mapping[str, Standing], mix: Mix) -> Mix | str:
        assert mix.active == ("a",)
        self.seen.append(standings["a"])
        return self.answers.pop(0)


def lesson(**more: Any) -> Lesson:
    """Nothing to learn, unless told."""
    of = model()
    known = {"model": of, "supply": SUPPLY, "longest": 60, "reader": PackedForward(of)}
    return Lesson(**(known | {"plain": PlainTexts(learnt=())} | more))


NOTHING = Interval(value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0, reason="none")
START = from_stereotypes(["a"])
TURNED = Mix(directions={"a": -1}, weights={"a": 1.0})


def watch(*answers: Mix | str) -> tuple[BiasEarlyStopping, Scripted]:
    controller = Scripted(list(answers))
    return BiasEarlyStopping(controller, Stands(), every=5, first_look=10), controller


def fall(points: float, low: float) -> Cost:
    found = Interval(value=points, low=low, high=points + 2, n=9, clusters=9)
    return Cost(of=LMS, by=found, now=90.0 - points)


def rise(percent: float, low: float) -> Cost:
    found = Interval(value=percent, low=low, high=percent + 2, n=20, clusters=4)
    return Cost(of=PERPLEXITY, by=found, now=100.0 + percent)


def guarded(*falls: Cost) -> tuple[BiasEarlyStopping, Scripted]:
    """Two points may be lost; what is lost before training and at each look after."""
    controller = Scripted([START] * 9)
    stands = Stands({index: (one,) for index, one in enumerate((fall(0, 0), *falls), start=1)})
    return BiasEarlyStopping(
        controller, stands, every=5, first_look=10, bounds={LMS: 2.0}
    ), controller


def bounded(*costs: Sequence[Cost]) -> BiasEarlyStopping:
    """Two points of LMS and 10 % of perplexity may be lost; what is, before training and after."""
    return BiasEarlyStopping(
        Scripted([START] * 9),
        Stands(dict(enumerate(costs, start=1))),
        every=5,
        first_look=10,
        bounds={LMS: 2.0, PERPLEXITY: 10.0},
    )


def test_it_looks_before_training_and_not_again_until_it_may() -> None:
    one, controller = watch(START)
    assert one.every == 5
    assert len(one.looks) == 1
    assert not one.evaluate(5, last=False)
    assert len(one.looks) == 1
    assert not one.evaluate(10, last=False)
    assert len(one.looks) == 2
    assert len(controller.seen) == 2


def test_the_same_mix_goes_on_and_another_begins_a_phase() -> None:
    one, _ = watch(START, TURNED, TURNED, START)
    phases = []
    for steps in (10, 15, 20, 25):
        assert not one.evaluate(steps, last=False)
        phases.append((one.phase.number, one.phase.start, one.phase.mix))
    assert phases == [(0, 0, START), (1, 15, TURNED), (1, 15, TURNED), (2, 25, START)]


def test_a_reason_ends_it() -> None:
    one, _ = watch("enough")
    assert one.evaluate(10, last=False)
    assert one.reason == "enough"
    assert report_of(one, [], [])["stopped"] == "enough"


def test_a_loss_of_lms_that_is_shown_ends_it() -> None:
    one, controller = guarded(fall(0.5, -1), fall(1.9, 1.0), fall(3.0, -0.1), fall(2.13, 0.1))
    assert not controller.seen[1:]
    found = []
    for steps in (5, 10, 15, 20):
        found.append((one.evaluate(steps, last=False), one.is_best, one.kept))
    assert found == [(False, True, 5), (False, True, 10), (False, False, 10), (True, False, 10)]
    assert len(controller.seen) == 3  # before training, and from the first look on; not at the end
    report = report_of(one, [], [])
    assert report["stopped"] == (
        "held-out LMS had fallen by 2.13 points [0.10, 4.13], where keep_lms is 2"
    )
    assert report["kept_after"] == 10
    looks = report["looks"]
    assert isinstance(looks, list)
    assert [look["steps"] for look in looks] == [0, 5, 10, 15, 20]  # type: ignore[index,call-overload]
    assert looks[-1]["lms"] == {  # type: ignore[index,call-overload]
        "lms": 87.87, "fall": 2.13, "low": 0.1, "high": 4.13, "n": 9,
    }  # fmt: skip


def test_each_bound_acts_and_both_are_told() -> None:
    """LMS within its bound, perplexity not, and the other way round; the last look: both over."""
    several = [
        (fall(0, 0), rise(0, 0)),
        (fall(1, -1), rise(9, 8)),
        (fall(1, -1), rise(11, -1)),
        (fall(3, -1), rise(9, 8)),
        (fall(3, 1), rise(12, 8)),
    ]
    one = bounded(*several)
    found = [(one.evaluate(steps, last=False), one.kept) for steps in (5, 10, 15, 20)]
    assert found == [(False, 5), (False, 5), (False, 5), (True, 5)]
    assert one.reason == (
        "held-out LMS had fallen by 3.00 points [1.00, 5.00], where keep_lms is 2 and perplexity "
        "of held-out plain texts had risen by 12.00 % [8.00, 14.00], where keep_perplexity is 10"
    )
    assert one.undone == (  # LMS after 15, perplexity after 10
        "steps 6 to 20, after which held-out LMS had fallen by more than 2 points or perplexity "
        "of held-out plain texts had risen by more than 10 %"
    )
    assert one.looks[-1]["perplexity"] == {  # type: ignore[index,call-overload]
        "perplexity": 112.0, "rise": 12.0, "low": 8.0, "high": 14.0, "n": 20,
    }  # fmt: skip


def test_of_what_is_undone_the_bounds_that_were_passed_are_named() -> None:
    several = [
        (fall(0, 0), rise(0, 0)),
        (fall(0, -1), rise(1, 0)),
        (fall(0, -1), rise(math.inf, 1)),
    ]
    one = bounded(*several)
    assert [one.evaluate(steps, last=False) for steps in (5, 10)] == [False, True]
    assert one.undone == (
        "steps 6 to 10, after which perplexity of held-out plain texts had risen by more than 10 %"
    )


def test_what_cannot_be_told_is_not_kept() -> None:
    one, _ = guarded(replace(fall(1, 0), by=NOTHING), fall(1, 0))
    assert [(one.evaluate(steps, last=False), one.kept) for steps in (5, 10)] == [
        (False, 0),
        (False, 10),
    ]


def test_what_comes_back_within_the_bound_is_kept_again() -> None:
    one, _ = guarded(fall(3.0, -0.1), fall(1.0, -1))
    one.evaluate(5, last=False)
    assert (one.is_best, one.kept) == (False, 0)
    one.evaluate(10, last=False)
    assert (one.is_best, one.kept) == (True, 10)


def test_where_too_much_is_lost_at_every_look_there_is_nothing_to_keep() -> None:
    said = (
        r"held-out LMS may fall by 2 points, every look found more, "
        r"after 5 steps held-out LMS had fallen by 4\.00 points"
    )
    shown, _ = guarded(fall(4.0, 2.5))
    with pytest.raises(ModelError, match=said):
        shown.evaluate(5, last=False)
    ended, _ = guarded(fall(4.0, -2.5))
    with pytest.raises(ModelError, match=said):
        ended.evaluate(5, last=True)


def test_a_bound_of_none_keeps_whatever_is_last() -> None:
    one, _ = watch(START)
    assert not one.restores_best
    assert not one.evaluate(10, last=False)
    assert one.is_best
    assert "kept_after" not in report_of(one, [], [])
    assert guarded()[0].restores_best


def test_what_was_kept_survives_being_kept_as_json() -> None:
    falls = (fall(0.5, -1), fall(3.0, -0.5), fall(5.0, 4.0))
    one, _ = guarded(*falls)
    one.evaluate(5, last=False)
    one.evaluate(10, last=False)
    other, _ = guarded(*falls[2:])
    other.restore(json.loads(json.dumps(one.state())))
    assert (other.is_best, other.kept) == (False, 5)
    assert (one.evaluate(15, last=False), other.evaluate(15, last=False)) == (True, True)
    assert (other.is_best, other.kept, other.reason) == (False, 5, one.reason)


def test_the_last_look_comes_in_any_case_and_turns_nothing() -> None:
    early, controller = watch()
    assert not early.evaluate(5, last=True)
    assert [look["steps"] for look in early.looks] == [0, 5]  # type: ignore[call-overload,index]
    assert len(controller.seen) == 1  # before training alone
    late, _ = watch(TURNED)
    assert not late.evaluate(10, last=True)
    assert (late.phase.number, late.phase.mix) == (0, START)
    reached, _ = watch("enough")
    assert reached.evaluate(10, last=True)
    assert report_of(reached, [], [])["stopped"] == "enough"


def test_the_spread_is_that_before_training() -> None:
    """A model that levels all margins must not thereby narrow its band."""
    one, controller = watch(START, START)
    one.evaluate(10, last=False)
    one.evaluate(15, last=False)
    assert [found.spread for found in controller.seen] == [10.0, 10.0, 10.0]
    assert [found.margin.value for found in controller.seen] == [1.0, 2.0, 3.0]


def test_it_survives_being_kept_as_json() -> None:
    one, _ = watch(TURNED, "enough")
    one.evaluate(10, last=False)
    kept = json.dumps(one.state())
    other, _ = watch("enough")
    other.restore(json.loads(kept))
    assert other.phase == one.phase
    assert other.looks == one.looks
    assert (one.evaluate(15, last=False), other.evaluate(15, last=False)) == (True, True)
    assert [look["steps"] for look in other.looks] == [0, 10, 15]  # type: ignore[call-overload]
    ended, _ = watch()
    ended.restore(json.loads(json.dumps(one.state())))
    assert ended.reason == "enough"
    assert ended.state() == one.state()


def test_a_state_is_not_changed_by_later_looks() -> None:
    one, _ = watch(START, TURNED)
    one.evaluate(10, last=False)
    kept = one.state()
    text = json.dumps(kept)
    one.evaluate(15, last=False)
    assert json.dumps(kept) == text


def test_without_held_out_contrasts_there_is_no_watch() -> None:
    assert lesson().watch(Fixed(), every=1, first_look=0, seed=0) is None
    assert report_of(None, [], []) == {"items": 0, "held_out_items": 0}


def test_what_an_edit_reports() -> None:
    dev = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    one = lesson(dev=dev).watch(Fixed(), every=1, first_look=0, seed=0)
    assert one is not None
    assert not one.evaluate(1, last=False)
    found = report_of(one, dev[:2], dev)
    assert (found["items"], found["held_out_items"]) == (2, len(dev))
    assert found["stopped"] == "the steps were used up"
    first, second = found["looks"]  # type: ignore[misc]
    assert (first["steps"], second["steps"]) == (0, 1)
    assert first["active"] == ["color", "size"]
    assert first["standings"] == second["standings"]
    assert first["standings"]["color"]["items"] == 6
    json.dumps(found, allow_nan=False)
