"""Controllers on hand-made biases: what turns, what rests, when it ends and why."""

import json
import math
from dataclasses import asdict

import pytest

from equipoise.contrast_training.controllers import (
    Controller,
    EquivalenceStopping,
    NoController,
    PaperSwapping,
    ProportionalSwapping,
    ReferenceSwapping,
    TypeMixture,
    away_from_preferred,
    away_from_stereotypes,
)
from equipoise.contrast_training.evaluation import TypeBias
from equipoise.stats.resample import Interval

EQUIVALENCE, PROPORTIONAL = EquivalenceStopping(), ProportionalSwapping()
REFERENCE, PAPER, NONE = ReferenceSwapping(), PaperSwapping(), NoController()
HALF = 0.12566134685507402  # standard deviations: SS would be 55
Three = tuple[float, float, float]


def interval(three: Three) -> Interval:
    value, low, high = three
    return Interval(value=value, low=low, high=high, n=20, clusters=10)


def stand(
    axis: str, *, margin: Three = (0.0, -9.0, 9.0), ss: Three = (50.0, 0.0, 100.0)
) -> TypeBias:
    """One type; margins are spread by 1 nat a token, so that the band of 5 points is `HALF`."""
    return TypeBias(axis=axis, margin=interval(margin), ss=interval(ss), spread=1.0)


def margins(**given: Three) -> dict[str, TypeBias]:
    return {axis: stand(axis, margin=margin) for axis, margin in given.items()}


def scores(**given: float) -> dict[str, TypeBias]:
    return {axis: stand(axis, ss=(ss, ss - 7, ss + 7)) for axis, ss in given.items()}


def mix(*, resting: tuple[str, ...] = (), strength: float = 1.0, **directions: int) -> TypeMixture:
    weights = {axis: 0.0 if axis in resting else 1.0 for axis in directions}
    return TypeMixture(directions=directions, weights=weights, strength=strength)


def test_the_band_is_where_normal_margins_would_have_that_ss() -> None:
    bias = stand("a")
    assert bias.half_band(5) == pytest.approx(HALF, abs=1e-9)
    assert bias.half_band(34.1344746) == pytest.approx(1.0, abs=1e-6)
    edge = EQUIVALENCE.distance(stand("a", margin=(HALF, 0.0, 2 * HALF)))
    assert edge.high == pytest.approx(2)
    by_ss = EquivalenceStopping(band=5, judge="ss").distance(stand("a", ss=(45.0, 40.0, 52.5)))
    assert (by_ss.value, by_ss.low, by_ss.high) == pytest.approx((-1.0, -2.0, 0.5))


def test_margins_without_spread_have_a_band_as_good_as_none() -> None:
    flat = TypeBias(
        axis="a", margin=interval((0.1, 0.1, 0.1)), ss=interval((100, 100, 100)), spread=0
    )
    assert math.isfinite(EQUIVALENCE.distance(flat).value)
    assert not EQUIVALENCE.distance(flat).inside


def test_first_mixes() -> None:
    given = margins(a=(0.5, 0.1, 0.9), b=(-0.5, -0.9, -0.1), c=(0.0, -1.0, 1.0))
    turned = mix(a=1, b=-1, c=1)
    plain = mix(a=1, b=1, c=1)
    assert away_from_preferred(given) == EQUIVALENCE.first(given) == turned
    for controller in (REFERENCE, PAPER, NONE):
        assert controller.first(given) == plain
    assert away_from_stereotypes(["c", "a", "b"]) == plain
    assert list(away_from_stereotypes(["c", "a"]).directions) == ["a", "c"]
    assert plain.active == ("a", "b", "c")
    assert mix(resting=("a",), a=1, b=1).active == ("b",)


# --- reference ----------------------------------------------------------------------------------


def test_the_released_rule_trains_the_farthest_type_alone() -> None:
    mixture = REFERENCE.step(scores(a=58.0, b=41.0, c=51.0), mix(a=1, b=1, c=1))
    assert mixture == TypeMixture(
        directions={"a": 1, "b": -1, "c": 1}, weights={"a": 0, "b": 1, "c": 0}
    )
    mixture = REFERENCE.step(scores(a=60.0, b=41.0, c=51.0), mix(a=-1, b=-1, c=1))
    assert mixture == TypeMixture(
        directions={"a": 1, "b": -1, "c": 1}, weights={"a": 1, "b": 0, "c": 0}
    )


def test_the_released_rule_stops_strictly_within_two_points_of_its_bases() -> None:
    assert isinstance(REFERENCE.step(scores(a=52.0, b=50.0), mix(a=1, b=1)), TypeMixture)
    assert REFERENCE.step(scores(a=51.9, b=48.1), mix(a=1, b=1)) == (
        "every SS is within 2 points of its base"
    )
    based = ReferenceSwapping(bases={"a": 49.0})
    assert isinstance(based.step(scores(a=51.0, b=50.0), mix(a=1, b=1)), TypeMixture)
    assert isinstance(based.step(scores(a=47.1, b=50.0), mix(a=1, b=1)), str)
    mixture = based.step(scores(a=50.0, b=53.5), mix(a=-1, b=-1))
    assert mixture == TypeMixture(directions={"a": -1, "b": 1}, weights={"a": 0.0, "b": 1.0})


def test_the_released_rule_takes_the_first_of_types_that_are_equally_far() -> None:
    mixture = REFERENCE.step(scores(b=45.0, a=55.0), mix(a=1, b=1))
    assert isinstance(mixture, TypeMixture)
    assert mixture.active == ("a",)


# --- paper --------------------------------------------------------------------------------------


def test_the_printed_rule_keeps_all_types_and_turns_those_below_fifty() -> None:
    mixture = PAPER.step(scores(a=49.9, b=50.0, c=64.0), mix(a=1, b=-1, c=1))
    assert mixture == mix(a=-1, b=1, c=1)


def test_the_printed_rule_stops_when_all_are_near() -> None:
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


def test_equivalence_turns_a_type_only_when_its_interval_lies_on_one_side() -> None:
    given = margins(
        a=(-0.4, -0.6, -0.2), b=(-0.4, -0.9, 0.1), c=(0.4, 0.2, 0.6), d=(0.4, -0.1, 0.9)
    )
    mixture = EQUIVALENCE.step(given, mix(a=1, b=1, c=-1, d=-1))
    assert mixture == mix(a=-1, b=1, c=1, d=-1)


def test_equivalence_lets_a_type_rest_that_has_nothing_to_correct() -> None:
    """Its interval holds 0 and its mean is in the inner half of the band."""
    given = margins(
        a=(0.06, -0.1, 0.2),  # rests
        b=(0.07, -0.1, 0.2),  # beyond the inner half
        c=(0.06, 0.01, 0.2),  # on one side
        d=(-0.06, -0.2, 0.1),  # rests, whatever its direction was
    )
    mixture = EQUIVALENCE.step(given, mix(a=1, b=1, c=-1, d=-1))
    assert mixture == mix(resting=("a", "d"), a=1, b=1, c=1, d=-1)


def test_a_type_that_rested_comes_back() -> None:
    tired = mix(resting=("a",), a=-1, b=1)
    given = margins(a=(0.4, 0.2, 0.6), b=(0.4, 0.2, 0.6))
    assert EQUIVALENCE.step(given, tired) == mix(a=1, b=1)


def test_equivalence_ends_saying_so_when_all_rest_and_none_can_be_told() -> None:
    given = margins(a=(0.01, -0.3, 0.3), b=(0.0, -0.3, 0.3))
    mixture = EQUIVALENCE.step(given, mix(a=1, b=1))
    assert mixture == (
        "no type's margin is shown to differ from parity, nor to be within 5 points of SS of it: "
        "more held-out contrasts would tell"
    )


def test_equivalence_by_ss() -> None:
    by_ss = EquivalenceStopping(band=5, judge="ss")
    given = {"a": stand("a", ss=(52, 46, 54)), "b": stand("b", ss=(49, 45.1, 54.9))}
    assert by_ss.step(given, mix(a=1, b=1)) == (
        "every interval of ss is within 5 points of SS of parity"
    )
    given = {"a": stand("a", ss=(40, 30, 49)), "b": stand("b", ss=(49, 40, 60))}
    assert by_ss.step(given, mix(a=1, b=1)) == mix(resting=("b",), a=-1, b=1)


def test_an_interval_that_cannot_be_had_neither_turns_nor_ends_as_equivalent() -> None:
    nan = math.nan
    mixture = EQUIVALENCE.step(margins(a=(0.5, nan, nan), b=(0.4, 0.2, 0.6)), mix(a=-1, b=1))
    assert mixture == mix(a=-1, b=1)


# --- proportional -------------------------------------------------------------------------------


def test_proportional_weights_are_shares_of_the_largest_distance() -> None:
    given = margins(a=(4 * HALF, 0.1, 0.9), b=(-HALF, -0.9, 0.9), c=(0.0, -0.9, 0.9))
    mixture = PROPORTIONAL.first(given)
    assert dict(mixture.directions) == {"a": 1, "b": -1, "c": 1}
    assert dict(mixture.weights) == pytest.approx({"a": 1.0, "b": 0.25, "c": 0.0})
    assert mixture.strength == 1.0
    assert PROPORTIONAL.step(given, mix(a=-1, b=1, c=1)) == mixture


def test_proportional_slows_down_near_parity() -> None:
    mixture = PROPORTIONAL.step(margins(a=(HALF, -0.1, 0.5), b=(0.0, -0.1, 0.1)), mix(a=1, b=1))
    assert isinstance(mixture, TypeMixture)
    assert mixture.strength == pytest.approx(0.5)


def test_proportional_stops_as_equivalence_does() -> None:
    mixture = PROPORTIONAL.step(margins(a=(0.05, -0.02, 0.12)), mix(a=1))
    assert mixture == "every interval of margin is within 5 points of SS of parity"


def test_proportional_at_parity_without_proof_takes_all_types_alike() -> None:
    mixture = PROPORTIONAL.step(margins(a=(0.0, -0.5, 0.5), b=(0.0, -0.5, 0.5)), mix(a=1, b=1))
    assert mixture == mix(a=1, b=1)


# --- none ---------------------------------------------------------------------------------------


def test_fixed_does_the_same_whatever_it_sees() -> None:
    for given in (margins(a=(0.0, -0.01, 0.01)), margins(a=(-3.0, -3.1, -2.9))):
        assert NONE.step(given, mix(a=1)) == mix(a=1)


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
def test_a_mix_survives_being_kept(controller: Controller) -> None:
    mixture = controller.first(margins(a=(0.4, 0.2, 0.6), b=(-0.1, -0.6, 0.6)))
    assert TypeMixture(**json.loads(json.dumps(asdict(mixture)))) == mixture
