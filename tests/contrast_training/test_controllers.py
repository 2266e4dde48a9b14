"""Controllers on hand-made standings: what turns, what rests, when it ends and why."""

import math

import pytest

from equipoise.contrast_training.controllers import (
    Band,
    Controller,
    Equivalence,
    Fixed,
    Mix,
    Printed,
    Proportional,
    Released,
    all_types,
    from_stereotypes,
)
from equipoise.contrast_training.held_out_bias import Standing
from equipoise.stats.resample import Interval

HALF = 0.12566134685507402  # standard deviations: SS would be 55
Three = tuple[float, float, float]


def interval(three: Three) -> Interval:
    value, low, high = three
    return Interval(value=value, low=low, high=high, n=20, clusters=10)


def stand(
    axis: str, *, margin: Three = (0.0, -9.0, 9.0), ss: Three = (50.0, 0.0, 100.0)
) -> Standing:
    """One type; margins are spread by 1 nat a token, so that the band of 5 points is `HALF`."""
    return Standing(axis=axis, margin=interval(margin), ss=interval(ss), spread=1.0)


def margins(**given: Three) -> dict[str, Standing]:
    return {axis: stand(axis, margin=one) for axis, one in given.items()}


def scores(**given: float) -> dict[str, Standing]:
    return {axis: stand(axis, ss=(one, one - 7, one + 7)) for axis, one in given.items()}


def mix(*, resting: tuple[str, ...] = (), strength: float = 1.0, **directions: int) -> Mix:
    weights = {axis: 0.0 if axis in resting else 1.0 for axis in directions}
    return Mix(directions=directions, weights=weights, strength=strength)


def test_the_band_is_where_normal_margins_would_have_that_ss() -> None:
    one = stand("a")
    assert one.half_band(5) == pytest.approx(HALF, abs=1e-9)
    assert one.half_band(34.1344746) == pytest.approx(1.0, abs=1e-6)
    assert Band(points=5).distance(stand("a", margin=(HALF, 0.0, 2 * HALF))).high == pytest.approx(
        2
    )
    by_ss = Band(points=5, judge="ss").distance(stand("a", ss=(45.0, 40.0, 52.5)))
    assert (by_ss.value, by_ss.low, by_ss.high) == pytest.approx((-1.0, -2.0, 0.5))


def test_margins_without_spread_have_a_band_as_good_as_none() -> None:
    flat = Standing(
        axis="a", margin=interval((0.1, 0.1, 0.1)), ss=interval((100, 100, 100)), spread=0
    )
    assert math.isfinite(Band().distance(flat).value)
    assert not Band().distance(flat).inside


def test_first_mixes() -> None:
    given = margins(a=(0.5, 0.1, 0.9), b=(-0.5, -0.9, -0.1), c=(0.0, -1.0, 1.0))
    turned = mix(a=1, b=-1, c=1)
    plain = mix(a=1, b=1, c=1)
    assert all_types(given) == Equivalence().first(given) == turned
    for controller in (Released(), Printed(), Fixed()):
        assert controller.first(given) == plain
    assert from_stereotypes(["c", "a", "b"]) == plain
    assert list(from_stereotypes(["c", "a"]).directions) == ["a", "c"]
    assert plain.active == ("a", "b", "c")
    assert mix(resting=("a",), a=1, b=1).active == ("b",)


# --- reference ----------------------------------------------------------------------------------


def test_the_released_rule_trains_the_farthest_type_alone() -> None:
    found = Released().step(scores(a=58.0, b=41.0, c=51.0), mix(a=1, b=1, c=1))
    assert found == Mix(directions={"a": 1, "b": -1, "c": 1}, weights={"a": 0, "b": 1, "c": 0})
    found = Released().step(scores(a=60.0, b=41.0, c=51.0), mix(a=-1, b=-1, c=1))
    assert found == Mix(directions={"a": 1, "b": -1, "c": 1}, weights={"a": 1, "b": 0, "c": 0})


def test_the_released_rule_stops_strictly_within_two_points_of_its_bases() -> None:
    assert isinstance(Released().step(scores(a=52.0, b=50.0), mix(a=1, b=1)), Mix)
    assert Released().step(scores(a=51.9, b=48.1), mix(a=1, b=1)) == (
        "every SS is within 2 points of its base"
    )
    based = Released(bases={"a": 49.0})
    assert isinstance(based.step(scores(a=51.0, b=50.0), mix(a=1, b=1)), Mix)
    assert isinstance(based.step(scores(a=47.1, b=50.0), mix(a=1, b=1)), str)
    found = based.step(scores(a=50.0, b=53.5), mix(a=-1, b=-1))
    assert found == Mix(directions={"a": -1, "b": 1}, weights={"a": 0.0, "b": 1.0})


def test_the_released_rule_takes_the_first_of_types_that_are_equally_far() -> None:
    found = Released().step(scores(b=45.0, a=55.0), mix(a=1, b=1))
    assert isinstance(found, Mix)
    assert found.active == ("a",)


# --- paper --------------------------------------------------------------------------------------


def test_the_printed_rule_keeps_all_types_and_turns_those_below_fifty() -> None:
    found = Printed().step(scores(a=49.9, b=50.0, c=64.0), mix(a=1, b=-1, c=1))
    assert found == mix(a=-1, b=1, c=1)


def test_the_printed_rule_stops_when_all_are_near() -> None:
    assert Printed().step(scores(a=48.1, b=51.9), mix(a=1, b=1)) == (
        "every SS is within 2 points of 50"
    )
    assert isinstance(Printed().step(scores(a=48.0, b=51.9), mix(a=1, b=1)), Mix)


# --- equivalence --------------------------------------------------------------------------------


def test_equivalence_stops_when_every_interval_is_inside_its_band() -> None:
    inside = (0.05, -0.02, 0.12)
    assert Equivalence().step(margins(a=inside, b=(-0.01, -0.1, 0.1)), mix(a=1, b=1)) == (
        "every interval of margin is within 5 points of SS of parity"
    )
    for outside in ((0.05, -0.02, 0.13), (0.0, -0.13, 0.1)):
        found = Equivalence().step(margins(a=inside, b=outside), mix(a=1, b=1))
        assert not isinstance(found, str) or "more held-out contrasts would tell" in found


def test_equivalence_turns_a_type_only_when_its_interval_lies_on_one_side() -> None:
    given = margins(
        a=(-0.4, -0.6, -0.2), b=(-0.4, -0.9, 0.1), c=(0.4, 0.2, 0.6), d=(0.4, -0.1, 0.9)
    )
    found = Equivalence().step(given, mix(a=1, b=1, c=-1, d=-1))
    assert found == mix(a=-1, b=1, c=1, d=-1)


def test_equivalence_lets_a_type_rest_that_has_nothing_to_correct() -> None:
    """Its interval holds 0 and its mean is in the inner half of the band."""
    given = margins(
        a=(0.06, -0.1, 0.2),  # rests
        b=(0.07, -0.1, 0.2),  # beyond the inner half
        c=(0.06, 0.01, 0.2),  # on one side
        d=(-0.06, -0.2, 0.1),  # rests, whatever its direction was
    )
    found = Equivalence().step(given, mix(a=1, b=1, c=-1, d=-1))
    assert found == mix(resting=("a", "d"), a=1, b=1, c=1, d=-1)


def test_a_type_that_rested_comes_back() -> None:
    tired = mix(resting=("a",), a=-1, b=1)
    given = margins(a=(0.4, 0.2, 0.6), b=(0.4, 0.2, 0.6))
    assert Equivalence().step(given, tired) == mix(a=1, b=1)


def test_equivalence_ends_saying_so_when_all_rest_and_none_can_be_told() -> None:
    given = margins(a=(0.01, -0.3, 0.3), b=(0.0, -0.3, 0.3))
    found = Equivalence().step(given, mix(a=1, b=1))
    assert found == (
        "no type's margin is shown to differ from parity, nor to be within 5 points of SS of it: "
        "more held-out contrasts would tell"
    )


def test_equivalence_by_ss() -> None:
    by_ss = Equivalence(band=Band(points=5, judge="ss"))
    given = {"a": stand("a", ss=(52, 46, 54)), "b": stand("b", ss=(49, 45.1, 54.9))}
    assert by_ss.step(given, mix(a=1, b=1)) == (
        "every interval of ss is within 5 points of SS of parity"
    )
    given = {"a": stand("a", ss=(40, 30, 49)), "b": stand("b", ss=(49, 40, 60))}
    assert by_ss.step(given, mix(a=1, b=1)) == mix(resting=("b",), a=-1, b=1)


def test_an_interval_that_cannot_be_had_neither_turns_nor_ends_as_equivalent() -> None:
    nan = math.nan
    found = Equivalence().step(margins(a=(0.5, nan, nan), b=(0.4, 0.2, 0.6)), mix(a=-1, b=1))
    assert found == mix(a=-1, b=1)


# --- proportional -------------------------------------------------------------------------------


def test_proportional_weights_are_shares_of_the_largest_distance() -> None:
    given = margins(a=(4 * HALF, 0.1, 0.9), b=(-HALF, -0.9, 0.9), c=(0.0, -0.9, 0.9))
    found = Proportional().first(given)
    assert dict(found.directions) == {"a": 1, "b": -1, "c": 1}
    assert dict(found.weights) == pytest.approx({"a": 1.0, "b": 0.25, "c": 0.0})
    assert found.strength == 1.0
    assert Proportional().step(given, mix(a=-1, b=1, c=1)) == found


def test_proportional_slows_down_near_parity() -> None:
    found = Proportional().step(margins(a=(HALF, -0.1, 0.5), b=(0.0, -0.1, 0.1)), mix(a=1, b=1))
    assert isinstance(found, Mix)
    assert found.strength == pytest.approx(0.5)


def test_proportional_stops_as_equivalence_does() -> None:
    found = Proportional().step(margins(a=(0.05, -0.02, 0.12)), mix(a=1))
    assert found == "every interval of margin is within 5 points of SS of parity"


def test_proportional_at_parity_without_proof_takes_all_types_alike() -> None:
    found = Proportional().step(margins(a=(0.0, -0.5, 0.5), b=(0.0, -0.5, 0.5)), mix(a=1, b=1))
    assert found == mix(a=1, b=1)


# --- none ---------------------------------------------------------------------------------------


def test_fixed_does_the_same_whatever_it_sees() -> None:
    for given in (margins(a=(0.0, -0.01, 0.01)), margins(a=(-3.0, -3.1, -2.9))):
        assert Fixed().step(given, mix(a=1)) == mix(a=1)


@pytest.mark.parametrize(
    "controller", [Released(), Printed(), Equivalence(), Proportional(), Fixed()], ids=repr
)
def test_a_mix_survives_being_kept(controller: Controller) -> None:
    found = controller.first(margins(a=(0.4, 0.2, 0.6), b=(-0.1, -0.6, 0.6)))
    kept = found.as_json()
    assert isinstance(kept, dict)
    assert Mix(**kept) == found  # type: ignore[arg-type]
