"""Early stopping: controllers on hand-made biases; when it evaluates, and what is kept."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest
from contrast_items import SUPPLY, model

from equipoise.contrast_training.early_stopping import (
    BiasEarlyStopping,
    Controller,
    EquivalenceStopping,
    NoController,
    PaperSwapping,
    ProportionalSwapping,
    ReferenceSwapping,
    TypeMixture,
    away_from_stereotypes,
)
from equipoise.contrast_training.evaluation import (
    LMS,
    PERPLEXITY,
    Evaluation,
    SideEffectChange,
    TypeBias,
)
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
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
    received: list[TypeBias] = field(default_factory=list)

    def first(self, biases: Mapping[str, TypeBias]) -> TypeMixture:
        self.received.append(biases["a"])
        return START

    def step(self, biases: Mapping[str, TypeBias], mixture: TypeMixture) -> TypeMixture | str:
        assert mixture.active == ("a",)
        self.received.append(biases["a"])
        return self.answers.pop(0)


NOTHING = Interval(value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0, reason="none")
START = away_from_stereotypes(["a"])
TURNED = TypeMixture(directions={"a": -1}, weights={"a": 1.0})


def watch(*answers: TypeMixture | str) -> tuple[BiasEarlyStopping, Scripted]:
    controller = Scripted(list(answers))
    return BiasEarlyStopping(controller, Scores(), every=5, first=10, limits={}), controller


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


def test_first_evaluation_is_before_training_and_the_next_after_the_minimum() -> None:
    stopping, controller = watch(START)
    assert stopping.every == 5
    assert len(stopping.evaluations) == 1
    assert not stopping.evaluate(5, last=False)
    assert len(stopping.evaluations) == 1
    assert not stopping.evaluate(10, last=False)
    assert len(stopping.evaluations) == 2
    assert len(controller.received) == 2


def test_only_a_new_mixture_begins_a_phase() -> None:
    stopping, _ = watch(START, TURNED, TURNED, START)
    phases = []
    for steps in (10, 15, 20, 25):
        assert not stopping.evaluate(steps, last=False)
        phases.append((stopping.phase.number, stopping.phase.start, stopping.phase.mixture))
    assert phases == [(0, 0, START), (1, 15, TURNED), (1, 15, TURNED), (2, 25, START)]


def test_reason_from_the_controller_ends_training() -> None:
    stopping, _ = watch("enough")
    assert stopping.evaluate(10, last=False)
    assert stopping.reason == "enough"
    assert stopping.report()["stopped"] == "enough"


def test_significant_lms_fall_ends_training() -> None:
    stopping, controller = guarded(fall(0.5, -1), fall(1.9, 1.0), fall(3.0, -0.1), fall(2.13, 0.1))
    assert not controller.received[1:]
    results = []
    for steps in (5, 10, 15, 20):
        results.append((stopping.evaluate(steps, last=False), stopping.is_best, stopping.best))
    assert results == [(False, True, 5), (False, True, 10), (False, False, 10), (True, False, 10)]
    # before training, and from the first look on; not at the end
    assert len(controller.received) == 3
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


def test_each_limit_applies_and_both_are_reported() -> None:
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


def test_undone_steps_name_the_exceeded_limits() -> None:
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


def test_unmeasurable_fall_is_not_best() -> None:
    stopping, _ = guarded(replace(fall(1, 0), change=NOTHING), fall(1, 0))
    assert [(stopping.evaluate(steps, last=False), stopping.best) for steps in (5, 10)] == [
        (False, 0),
        (False, 10),
    ]


def test_evaluation_back_within_the_limit_is_best() -> None:
    stopping, _ = guarded(fall(3.0, -0.1), fall(1.0, -1))
    stopping.evaluate(5, last=False)
    assert (stopping.is_best, stopping.best) == (False, 0)
    stopping.evaluate(10, last=False)
    assert (stopping.is_best, stopping.best) == (True, 10)


def test_every_evaluation_over_the_limit_is_an_error() -> None:
    message = (
        r"held-out LMS may fall by 2 points, every evaluation was over, "
        r"after 5 steps held-out LMS had fallen by 4\.00 points"
    )
    shown, _ = guarded(fall(4.0, 2.5))
    with pytest.raises(ModelError, match=message):
        shown.evaluate(5, last=False)
    ended, _ = guarded(fall(4.0, -2.5))
    with pytest.raises(ModelError, match=message):
        ended.evaluate(5, last=True)


def test_without_limits_the_last_evaluation_is_best() -> None:
    stopping, _ = watch(START)
    assert not stopping.restores_best
    assert not stopping.evaluate(10, last=False)
    assert stopping.is_best
    assert "kept_after" not in stopping.report()
    assert guarded()[0].restores_best


def test_best_evaluation_survives_a_json_round_trip() -> None:
    falls = (fall(0.5, -1), fall(3.0, -0.5), fall(5.0, 4.0))
    stopping, _ = guarded(*falls)
    stopping.evaluate(5, last=False)
    stopping.evaluate(10, last=False)
    other, _ = guarded(*falls[2:])
    other.restore(json.loads(json.dumps(stopping.state())))
    assert (other.is_best, other.best) == (False, 5)
    assert (stopping.evaluate(15, last=False), other.evaluate(15, last=False)) == (True, True)
    assert (other.is_best, other.best, other.reason) == (False, 5, stopping.reason)


def test_last_evaluation_always_runs_and_never_swaps() -> None:
    early, controller = watch()
    assert not early.evaluate(5, last=True)
    assert [evaluation["steps"] for evaluation in early.evaluations] == [0, 5]  # type: ignore[call-overload,index]
    assert len(controller.received) == 1  # before training alone
    late, _ = watch(TURNED)
    assert not late.evaluate(10, last=True)
    assert (late.phase.number, late.phase.mixture) == (0, START)
    reached, _ = watch("enough")
    assert reached.evaluate(10, last=True)
    assert reached.report()["stopped"] == "enough"


def test_spread_is_fixed_before_training() -> None:
    """A model that levels all margins must not thereby narrow its band."""
    stopping, controller = watch(START, START)
    stopping.evaluate(10, last=False)
    stopping.evaluate(15, last=False)
    assert [bias.spread for bias in controller.received] == [10.0, 10.0, 10.0]
    assert [bias.margin.value for bias in controller.received] == [1.0, 2.0, 3.0]


def test_state_survives_a_json_round_trip() -> None:
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


def test_state_is_not_changed_by_later_evaluations() -> None:
    stopping, _ = watch(START, TURNED)
    stopping.evaluate(10, last=False)
    saved = stopping.state()
    text = json.dumps(saved)
    stopping.evaluate(15, last=False)
    assert json.dumps(saved) == text


def test_without_held_out_contrasts_nothing_is_evaluated() -> None:
    assert training(replace(SUPPLY, dev_contrasts=())).early_stopping() is None


@pytest.mark.thorough
def test_report_of_an_edit() -> None:
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
    return ContrastTraining.on_contrasts(model(), supply, AdapterOptions(), seed=0)


# --- controllers --------------------------------------------------------------------------------

EQUIVALENCE, PROPORTIONAL = EquivalenceStopping(), ProportionalSwapping()
REFERENCE, PAPER, NONE = ReferenceSwapping(), PaperSwapping(), NoController()
HALF = 0.12566134685507402  # standard deviations: SS would be 55
Three = tuple[float, float, float]


def interval(three: Three) -> Interval:
    value, low, high = three
    return Interval(value=value, low=low, high=high, n=20, clusters=10)


def type_bias(
    axis: str, *, margin: Three = (0.0, -9.0, 9.0), ss: Three = (50.0, 0.0, 100.0)
) -> TypeBias:
    """One type; margins are spread by 1 nat a token, so that the band of 5 points is `HALF`."""
    return TypeBias(axis=axis, margin=interval(margin), ss=interval(ss), spread=1.0)


def margins(**intervals: Three) -> dict[str, TypeBias]:
    return {axis: type_bias(axis, margin=margin) for axis, margin in intervals.items()}


def scores(**scores_by_type: float) -> dict[str, TypeBias]:
    return {axis: type_bias(axis, ss=(ss, ss - 7, ss + 7)) for axis, ss in scores_by_type.items()}


def mix(*, resting: tuple[str, ...] = (), strength: float = 1.0, **directions: int) -> TypeMixture:
    weights = {axis: 0.0 if axis in resting else 1.0 for axis in directions}
    return TypeMixture(directions=directions, weights=weights, strength=strength)


def test_band_of_margins_matches_ss_of_normal_margins() -> None:
    bias = type_bias("a")
    assert bias.half_band(5) == pytest.approx(HALF, abs=1e-9)
    assert bias.half_band(34.1344746) == pytest.approx(1.0, abs=1e-6)
    edge = EQUIVALENCE.distance(type_bias("a", margin=(HALF, 0.0, 2 * HALF)))
    assert edge.high == pytest.approx(2)
    by_ss = EquivalenceStopping(band=5, judge="ss").distance(type_bias("a", ss=(45.0, 40.0, 52.5)))
    assert (by_ss.value, by_ss.low, by_ss.high) == pytest.approx((-1.0, -2.0, 0.5))


def test_zero_spread_gives_a_negligible_band() -> None:
    flat = TypeBias(
        axis="a", margin=interval((0.1, 0.1, 0.1)), ss=interval((100, 100, 100)), spread=0
    )
    assert math.isfinite(EQUIVALENCE.distance(flat).value)
    assert not EQUIVALENCE.distance(flat).inside


def test_first_mixtures() -> None:
    biases = margins(a=(0.5, 0.1, 0.9), b=(-0.5, -0.9, -0.1), c=(0.0, -1.0, 1.0))
    turned = mix(a=1, b=-1, c=1)
    plain = mix(a=1, b=1, c=1)
    assert EQUIVALENCE.first(biases) == turned
    for controller in (REFERENCE, PAPER, NONE):
        assert controller.first(biases) == plain
    assert away_from_stereotypes(["c", "a", "b"]) == plain
    assert list(away_from_stereotypes(["c", "a"]).directions) == ["a", "c"]
    assert plain.active == ("a", "b", "c")
    assert mix(resting=("a",), a=1, b=1).active == ("b",)


# --- reference ----------------------------------------------------------------------------------


def test_reference_swapping_trains_the_farthest_type_alone() -> None:
    mixture = REFERENCE.step(scores(a=58.0, b=41.0, c=51.0), mix(a=1, b=1, c=1))
    assert mixture == TypeMixture(
        directions={"a": 1, "b": -1, "c": 1}, weights={"a": 0, "b": 1, "c": 0}
    )
    mixture = REFERENCE.step(scores(a=60.0, b=41.0, c=51.0), mix(a=-1, b=-1, c=1))
    assert mixture == TypeMixture(
        directions={"a": 1, "b": -1, "c": 1}, weights={"a": 1, "b": 0, "c": 0}
    )


def test_reference_swapping_stops_strictly_within_two_points_of_its_bases() -> None:
    assert isinstance(REFERENCE.step(scores(a=52.0, b=50.0), mix(a=1, b=1)), TypeMixture)
    assert REFERENCE.step(scores(a=51.9, b=48.1), mix(a=1, b=1)) == (
        "every SS is within 2 points of its base"
    )
    based = ReferenceSwapping(bases={"a": 49.0})
    assert isinstance(based.step(scores(a=51.0, b=50.0), mix(a=1, b=1)), TypeMixture)
    assert isinstance(based.step(scores(a=47.1, b=50.0), mix(a=1, b=1)), str)
    mixture = based.step(scores(a=50.0, b=53.5), mix(a=-1, b=-1))
    assert mixture == TypeMixture(directions={"a": -1, "b": 1}, weights={"a": 0.0, "b": 1.0})


def test_reference_swapping_takes_the_first_of_tied_types() -> None:
    mixture = REFERENCE.step(scores(b=45.0, a=55.0), mix(a=1, b=1))
    assert isinstance(mixture, TypeMixture)
    assert mixture.active == ("a",)


# --- paper --------------------------------------------------------------------------------------


def test_paper_swapping_keeps_all_types_and_swaps_those_below_fifty() -> None:
    mixture = PAPER.step(scores(a=49.9, b=50.0, c=64.0), mix(a=1, b=-1, c=1))
    assert mixture == mix(a=-1, b=1, c=1)


def test_paper_swapping_stops_when_all_types_are_near_parity() -> None:
    assert PAPER.step(scores(a=48.1, b=51.9), mix(a=1, b=1)) == (
        "every SS is within 2 points of 50"
    )
    assert isinstance(PAPER.step(scores(a=48.0, b=51.9), mix(a=1, b=1)), TypeMixture)


# --- equivalence --------------------------------------------------------------------------------


def test_equivalence_stops_when_every_interval_is_inside_its_band() -> None:
    inside = (0.05, -0.02, 0.12)
    assert EQUIVALENCE.step(margins(a=inside, b=(-0.01, -0.1, 0.1)), mix(a=1, b=1)) == (
        "every interval of margin is within 5 points of SS of parity"
    )
    for outside in ((0.05, -0.02, 0.13), (0.0, -0.13, 0.1)):
        mixture = EQUIVALENCE.step(margins(a=inside, b=outside), mix(a=1, b=1))
        assert not isinstance(mixture, str) or "more held-out contrasts would tell" in mixture


def test_equivalence_swaps_a_type_only_when_its_interval_excludes_parity() -> None:
    biases = margins(
        a=(-0.4, -0.6, -0.2), b=(-0.4, -0.9, 0.1), c=(0.4, 0.2, 0.6), d=(0.4, -0.1, 0.9)
    )
    mixture = EQUIVALENCE.step(biases, mix(a=1, b=1, c=-1, d=-1))
    assert mixture == mix(a=-1, b=1, c=1, d=-1)


def test_equivalence_rests_types_near_parity() -> None:
    """Its interval holds 0 and its mean is in the inner half of the band."""
    biases = margins(
        a=(0.06, -0.1, 0.2),  # rests
        b=(0.07, -0.1, 0.2),  # beyond the inner half
        c=(0.06, 0.01, 0.2),  # on one side
        d=(-0.06, -0.2, 0.1),  # rests, whatever its direction was
    )
    mixture = EQUIVALENCE.step(biases, mix(a=1, b=1, c=-1, d=-1))
    assert mixture == mix(resting=("a", "d"), a=1, b=1, c=1, d=-1)


def test_resting_type_becomes_active_again() -> None:
    tired = mix(resting=("a",), a=-1, b=1)
    biases = margins(a=(0.4, 0.2, 0.6), b=(0.4, 0.2, 0.6))
    assert EQUIVALENCE.step(biases, tired) == mix(a=1, b=1)


def test_equivalence_ends_as_undecided_when_all_types_rest() -> None:
    biases = margins(a=(0.01, -0.3, 0.3), b=(0.0, -0.3, 0.3))
    mixture = EQUIVALENCE.step(biases, mix(a=1, b=1))
    assert mixture == (
        "no type's margin is shown to differ from parity, nor to be within 5 points of SS of it: "
        "more held-out contrasts would tell"
    )


def test_equivalence_by_ss() -> None:
    by_ss = EquivalenceStopping(band=5, judge="ss")
    biases = {"a": type_bias("a", ss=(52, 46, 54)), "b": type_bias("b", ss=(49, 45.1, 54.9))}
    assert by_ss.step(biases, mix(a=1, b=1)) == (
        "every interval of ss is within 5 points of SS of parity"
    )
    biases = {"a": type_bias("a", ss=(40, 30, 49)), "b": type_bias("b", ss=(49, 40, 60))}
    assert by_ss.step(biases, mix(a=1, b=1)) == mix(resting=("b",), a=-1, b=1)


def test_nan_interval_neither_swaps_nor_ends_as_equivalent() -> None:
    nan = math.nan
    mixture = EQUIVALENCE.step(margins(a=(0.5, nan, nan), b=(0.4, 0.2, 0.6)), mix(a=-1, b=1))
    assert mixture == mix(a=-1, b=1)


# --- proportional -------------------------------------------------------------------------------


def test_proportional_weights_are_shares_of_the_largest_distance() -> None:
    biases = margins(a=(4 * HALF, 0.1, 0.9), b=(-HALF, -0.9, 0.9), c=(0.0, -0.9, 0.9))
    mixture = PROPORTIONAL.first(biases)
    assert dict(mixture.directions) == {"a": 1, "b": -1, "c": 1}
    assert dict(mixture.weights) == pytest.approx({"a": 1.0, "b": 0.25, "c": 0.0})
    assert mixture.strength == 1.0
    assert PROPORTIONAL.step(biases, mix(a=-1, b=1, c=1)) == mixture


def test_proportional_slows_down_near_parity() -> None:
    mixture = PROPORTIONAL.step(margins(a=(HALF, -0.1, 0.5), b=(0.0, -0.1, 0.1)), mix(a=1, b=1))
    assert isinstance(mixture, TypeMixture)
    assert mixture.strength == pytest.approx(0.5)


def test_proportional_stops_as_equivalence_does() -> None:
    mixture = PROPORTIONAL.step(margins(a=(0.05, -0.02, 0.12)), mix(a=1))
    assert mixture == "every interval of margin is within 5 points of SS of parity"


def test_proportional_near_parity_weights_types_equally() -> None:
    mixture = PROPORTIONAL.step(margins(a=(0.0, -0.5, 0.5), b=(0.0, -0.5, 0.5)), mix(a=1, b=1))
    assert mixture == mix(a=1, b=1)


# --- none ---------------------------------------------------------------------------------------


def test_no_controller_never_changes_the_mixture() -> None:
    for biases in (margins(a=(0.0, -0.01, 0.01)), margins(a=(-3.0, -3.1, -2.9))):
        assert NONE.step(biases, mix(a=1)) == mix(a=1)


@pytest.mark.parametrize(
    "controller",
    [
        REFERENCE,
        PAPER,
        EQUIVALENCE,
        PROPORTIONAL,
        NONE,
    ],
    ids=repr,
)
def test_mixture_survives_a_json_round_trip(controller: Controller) -> None:
    mixture = controller.first(margins(a=(0.4, 0.2, 0.6), b=(-0.1, -0.6, 0.6)))
    assert TypeMixture(**json.loads(json.dumps(asdict(mixture)))) == mixture
