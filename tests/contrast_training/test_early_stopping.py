"""Early stopping: when it evaluates, when a phase begins, which weights are kept, checkpoints."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from contrast_items import SUPPLY, model

from equipoise.contrast_training.controllers import Controller, TypeMixture, away_from_stereotypes
from equipoise.contrast_training.early_stopping import BiasEarlyStopping
from equipoise.contrast_training.evaluation import (
    LMS,
    PERPLEXITY,
    Evaluation,
    SideEffectChange,
    TypeBias,
)
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.edits.edit import Maker
from equipoise.errors import ModelError
from equipoise.records import Supply
from equipoise.stats.resample import Interval


def stand(margin: float, spread: float) -> TypeBias:
    interval = Interval(value=margin, low=margin - 1, high=margin + 1, n=4, clusters=2)
    return TypeBias(axis="a", margin=interval, ss=interval, spread=spread)


@dataclass
class Scores:
    """A model that moves a little at every evaluation, with the side effects given by number."""

    changes: Mapping[int, Sequence[SideEffectChange]] = field(default_factory=dict)
    count: int = 0

    def __call__(self) -> Evaluation:
        self.count += 1
        return Evaluation(
            biases={"a": stand(float(self.count), spread=10.0 / self.count)},
            changes=self.changes.get(self.count, ()),
        )


@dataclass
class Scripted(Controller):
    """Gives the scripted answers, and records what it was shown."""

    answers: list[TypeMixture | str]
    seen: list[TypeBias] = field(default_factory=list)

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        self.seen.append(biases["a"])
        return START

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        assert mixture.active == ("a",)
        self.seen.append(biases["a"])
        return self.answers.pop(0)


MAKER = Maker(method="m", version="1", options={}, seed=0)
NOTHING = Interval(value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0, reason="none")
START = away_from_stereotypes(["a"])
TURNED = TypeMixture(directions={"a": -1}, weights={"a": 1.0})


def watch(*answers: TypeMixture | str) -> tuple[BiasEarlyStopping, Scripted]:
    controller = Scripted(list(answers))
    return BiasEarlyStopping(controller, Scores(), every=5, first=10), controller


def fall(points: float, low: float) -> SideEffectChange:
    change = Interval(value=points, low=low, high=points + 2, n=9, clusters=9)
    return SideEffectChange(effect=LMS, change=change, now=90.0 - points)


def rise(percent: float, low: float) -> SideEffectChange:
    change = Interval(value=percent, low=low, high=percent + 2, n=20, clusters=4)
    return SideEffectChange(effect=PERPLEXITY, change=change, now=100.0 + percent)


def guarded(*falls: SideEffectChange) -> tuple[BiasEarlyStopping, Scripted]:
    """At most two points may be lost; the falls at each evaluation after training began."""
    controller = Scripted([START] * 9)
    scores = Scores(
        {number: (change,) for number, change in enumerate((fall(0, 0), *falls), start=1)}
    )
    limits = {LMS: 2.0}
    return BiasEarlyStopping(controller, scores, every=5, first=10, limits=limits), controller


def bounded(*changes: Sequence[SideEffectChange]) -> BiasEarlyStopping:
    """At most two points of LMS and 10 % of perplexity; changes before training and after."""
    return BiasEarlyStopping(
        Scripted([START] * 9),
        Scores(dict(enumerate(changes, start=1))),
        every=5,
        first=10,
        limits={LMS: 2.0, PERPLEXITY: 10.0},
    )


def test_it_looks_before_training_and_not_again_until_it_may() -> None:
    stopping, controller = watch(START)
    assert stopping.every == 5
    assert len(stopping.evaluations) == 1
    assert not stopping.evaluate(5, last=False)
    assert len(stopping.evaluations) == 1
    assert not stopping.evaluate(10, last=False)
    assert len(stopping.evaluations) == 2
    assert len(controller.seen) == 2


def test_the_same_mix_goes_on_and_another_begins_a_phase() -> None:
    stopping, _ = watch(START, TURNED, TURNED, START)
    phases = []
    for steps in (10, 15, 20, 25):
        assert not stopping.evaluate(steps, last=False)
        phases.append((stopping.phase.number, stopping.phase.start, stopping.phase.mixture))
    assert phases == [(0, 0, START), (1, 15, TURNED), (1, 15, TURNED), (2, 25, START)]


def test_a_reason_ends_it() -> None:
    stopping, _ = watch("enough")
    assert stopping.evaluate(10, last=False)
    assert stopping.reason == "enough"
    assert stopping.report()["stopped"] == "enough"


def test_a_loss_of_lms_that_is_shown_ends_it() -> None:
    stopping, controller = guarded(fall(0.5, -1), fall(1.9, 1.0), fall(3.0, -0.1), fall(2.13, 0.1))
    assert not controller.seen[1:]
    results = []
    for steps in (5, 10, 15, 20):
        results.append((stopping.evaluate(steps, last=False), stopping.is_best, stopping.best))
    assert results == [(False, True, 5), (False, True, 10), (False, False, 10), (True, False, 10)]
    assert len(controller.seen) == 3  # before training, and from the first look on; not at the end
    report = stopping.report()
    assert report["stopped"] == (
        "held-out LMS had fallen by 2.13 points [0.10, 4.13], where keep_lms is 2"
    )
    assert report["kept_after"] == 10
    evaluations: Any = report["evaluations"]
    assert [evaluation["steps"] for evaluation in evaluations] == [0, 5, 10, 15, 20]
    assert evaluations[-1]["lms"] == {
        "lms": 87.87, "fall": 2.13, "low": 0.1, "high": 4.13, "n": 9,
    }  # fmt: skip


def test_each_bound_acts_and_both_are_told() -> None:
    """LMS within its bound, perplexity not, and the other way round; the last look: both over."""
    changes = [
        (fall(0, 0), rise(0, 0)),
        (fall(1, -1), rise(9, 8)),
        (fall(1, -1), rise(11, -1)),
        (fall(3, -1), rise(9, 8)),
        (fall(3, 1), rise(12, 8)),
    ]
    stopping = bounded(*changes)
    results = [(stopping.evaluate(steps, last=False), stopping.best) for steps in (5, 10, 15, 20)]
    assert results == [(False, 5), (False, 5), (False, 5), (True, 5)]
    assert stopping.reason == (
        "held-out LMS had fallen by 3.00 points [1.00, 5.00], where keep_lms is 2 and perplexity "
        "of held-out plain texts had risen by 12.00 % [8.00, 14.00], where keep_perplexity is 10"
    )
    assert stopping.report()["undone"] == (  # LMS after 15, perplexity after 10
        "steps 6 to 20, after which held-out LMS had fallen by more than 2 points or perplexity "
        "of held-out plain texts had risen by more than 10 %"
    )
    assert stopping.evaluations[-1]["perplexity"] == {  # type: ignore[index,call-overload]
        "perplexity": 112.0, "rise": 12.0, "low": 8.0, "high": 14.0, "n": 20,
    }  # fmt: skip


def test_of_what_is_undone_the_bounds_that_were_passed_are_named() -> None:
    changes = [
        (fall(0, 0), rise(0, 0)),
        (fall(0, -1), rise(1, 0)),
        (fall(0, -1), rise(math.inf, 1)),
    ]
    stopping = bounded(*changes)
    assert [stopping.evaluate(steps, last=False) for steps in (5, 10)] == [False, True]
    assert stopping.report()["undone"] == (
        "steps 6 to 10, after which perplexity of held-out plain texts had risen by more than 10 %"
    )


def test_what_cannot_be_told_is_not_kept() -> None:
    stopping, _ = guarded(replace(fall(1, 0), change=NOTHING), fall(1, 0))
    assert [(stopping.evaluate(steps, last=False), stopping.best) for steps in (5, 10)] == [
        (False, 0),
        (False, 10),
    ]


def test_what_comes_back_within_the_bound_is_kept_again() -> None:
    stopping, _ = guarded(fall(3.0, -0.1), fall(1.0, -1))
    stopping.evaluate(5, last=False)
    assert (stopping.is_best, stopping.best) == (False, 0)
    stopping.evaluate(10, last=False)
    assert (stopping.is_best, stopping.best) == (True, 10)


def test_where_too_much_is_lost_at_every_look_there_is_nothing_to_keep() -> None:
    said = (
        r"held-out LMS may fall by 2 points, every evaluation was over, "
        r"after 5 steps held-out LMS had fallen by 4\.00 points"
    )
    shown, _ = guarded(fall(4.0, 2.5))
    with pytest.raises(ModelError, match=said):
        shown.evaluate(5, last=False)
    ended, _ = guarded(fall(4.0, -2.5))
    with pytest.raises(ModelError, match=said):
        ended.evaluate(5, last=True)


def test_a_bound_of_none_keeps_whatever_is_last() -> None:
    stopping, _ = watch(START)
    assert not stopping.restores_best
    assert not stopping.evaluate(10, last=False)
    assert stopping.is_best
    assert "kept_after" not in stopping.report()
    assert guarded()[0].restores_best


def test_what_was_kept_survives_being_kept_as_json() -> None:
    falls = (fall(0.5, -1), fall(3.0, -0.5), fall(5.0, 4.0))
    stopping, _ = guarded(*falls)
    stopping.evaluate(5, last=False)
    stopping.evaluate(10, last=False)
    other, _ = guarded(*falls[2:])
    other.restore(json.loads(json.dumps(stopping.state())))
    assert (other.is_best, other.best) == (False, 5)
    assert (stopping.evaluate(15, last=False), other.evaluate(15, last=False)) == (True, True)
    assert (other.is_best, other.best, other.reason) == (False, 5, stopping.reason)


def test_the_last_look_comes_in_any_case_and_turns_nothing() -> None:
    early, controller = watch()
    assert not early.evaluate(5, last=True)
    assert [evaluation["steps"] for evaluation in early.evaluations] == [0, 5]  # type: ignore[call-overload,index]
    assert len(controller.seen) == 1  # before training alone
    late, _ = watch(TURNED)
    assert not late.evaluate(10, last=True)
    assert (late.phase.number, late.phase.mixture) == (0, START)
    reached, _ = watch("enough")
    assert reached.evaluate(10, last=True)
    assert reached.report()["stopped"] == "enough"


def test_the_spread_is_that_before_training() -> None:
    """A model that levels all margins must not thereby narrow its band."""
    stopping, controller = watch(START, START)
    stopping.evaluate(10, last=False)
    stopping.evaluate(15, last=False)
    assert [bias.spread for bias in controller.seen] == [10.0, 10.0, 10.0]
    assert [bias.margin.value for bias in controller.seen] == [1.0, 2.0, 3.0]


def test_it_survives_being_kept_as_json() -> None:
    stopping, _ = watch(TURNED, "enough")
    stopping.evaluate(10, last=False)
    saved = json.dumps(stopping.state())
    other, _ = watch("enough")
    other.restore(json.loads(saved))
    assert other.phase == stopping.phase
    assert other.evaluations == stopping.evaluations
    assert (stopping.evaluate(15, last=False), other.evaluate(15, last=False)) == (True, True)
    assert [evaluation["steps"] for evaluation in other.evaluations] == [0, 10, 15]  # type: ignore[call-overload]
    ended, _ = watch()
    ended.restore(json.loads(json.dumps(stopping.state())))
    assert ended.reason == "enough"
    assert ended.state() == stopping.state()


def test_a_state_is_not_changed_by_later_looks() -> None:
    stopping, _ = watch(START, TURNED)
    stopping.evaluate(10, last=False)
    saved = stopping.state()
    text = json.dumps(saved)
    stopping.evaluate(15, last=False)
    assert json.dumps(saved) == text


def test_without_held_out_contrasts_nothing_is_evaluated() -> None:
    assert training(replace(SUPPLY, dev_contrasts=())).early_stopping() is None


def test_what_an_edit_reports() -> None:
    stopping = training(SUPPLY).early_stopping()
    assert stopping is not None
    assert not stopping.evaluate(25, last=False)
    report: Any = stopping.report()
    assert report["stopped"] == "the steps were used up"
    first, second = report["evaluations"]
    assert (first["steps"], second["steps"]) == (0, 25)
    assert first["active"] == ["color", "size"]
    assert first["types"] == second["types"]
    assert first["types"]["color"]["items"] == 6
    json.dumps(report, allow_nan=False)


def training(supply: Supply) -> ContrastTraining:
    return ContrastTraining.on_contrasts(model(), supply, AdapterOptions(), MAKER)
