"""Printed changes against the numbers beside them: two slips of a published table, and by hand."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.checks.changes import (
    change_interval_faults,
    difference_faults,
    direction_faults,
    seed_faults,
)
from equipoise.checks.run import check_comparison
from equipoise.conclusions import Change, Comparison
from equipoise.records import Measurement

NAN = math.nan


def change(before: float, after: float, **other: object) -> Change:
    """A gap with the ideal 0, and numbers that follow from before and after."""
    difference, nearer = after - before, abs(before) - abs(after)
    found = Change(
        metric="afgb", before=before, before_low=before, before_high=before, after=after,
        after_low=after, after_high=after, difference=difference, low=difference, high=difference,
        nearer=nearer, nearer_low=nearer, nearer_high=nearer, effect=1.0, p=0.01, p_holm=0.01,
        direction="reduced" if nearer > 0 else "worse", n=9, clusters=9, unit="probability",
        ideal=0.0,
    )  # fmt: skip
    return replace(found, **other)  # type: ignore[arg-type]


SIDE = Measurement(
    model="m", benchmark="toy", version="1", options={}, split="test", seed=0, draws=0, limit=None,
    examples_sha256="", data=(), model_info={}, environment={}, cluster=None, estimates=(),
    outcomes=(),
)  # fmt: skip


def comparison(*changes: Change, by_seed: tuple[tuple[Change, ...], ...] = ()) -> Comparison:
    return Comparison(
        before=SIDE, afters=(SIDE,), seed=0, draws=0, changes=changes, by_seed=by_seed
    )


@pytest.mark.parametrize(
    ("before", "after", "printed", "right"),
    [(0.0804, 0.1456, 0.652, 0.0652), (0.3895, 0.3673, -0.2965, -0.0222)],
)
def test_slips_of_the_ablation_table_of_lftf(
    before: float, after: float, printed: float, right: float
) -> None:
    (fault,) = difference_faults([change(before, after, difference=printed)])
    assert fault.text == (
        f"afgb went from {before:.6g} to {after:.6g}, which is {right:+.6g}, got {printed:+.6g}"
    )
    assert difference_faults([change(before, after)]) == []


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_what_follows_passes_and_what_is_a_millionth_off_does_not(
    before: float, after: float
) -> None:
    one = change(before, after)
    assert difference_faults([one]) == []
    assert change_interval_faults([one]) == []
    scale = max(abs(before), abs(after), 1e-12)
    assert len(difference_faults([replace(one, difference=one.difference + 1e-6 * scale)])) == 1


def test_what_is_missing_must_be_missing_on_both_sides() -> None:
    lost = change(NAN, 0.2, nearer=NAN, direction="unknown", reason="not defined")
    assert difference_faults([lost]) == []
    assert change_interval_faults([lost]) == []
    assert direction_faults([lost]) == []
    (fault,) = difference_faults([replace(lost, difference=0.2)])
    assert "which is +nan, got +0.2" in fault.text
    assert difference_faults([change(1.0, math.inf, ideal=None, nearer=NAN)]) == []


def test_the_fall_in_distance_is_held_against_the_ideal() -> None:
    far = change(60.0, 45.0, ideal=50.0, nearer=5.0)
    assert difference_faults([far]) == []
    (fault,) = difference_faults([replace(far, nearer=15.0)])
    assert fault.text == "afgb went from 60 to 45, nearer to 50 by 5, got 15"
    assert difference_faults([replace(far, nearer=4.0, seeds=3)]) == []  # a mean of distances


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (change(0.3, 0.1, direction="worse"), "is called worse, but it came nearer"),
        (change(0.1, 0.3, direction="reduced"), "called reduced, but it came nearer .* by -0.2"),
        (change(0.3, 0.1, direction="better"), "does not measure ability"),
        (change(0.3, 0.1, direction="reversed"), "0.3 and 0.1 lie on one side"),
        (change(NAN, 0.1, direction="reduced"), "the difference is nan"),
        (change(3.0, 1.0, ideal=None, direction="reduced"), "does not measure bias"),
        (change(3.0, 1.0, ideal=None, higher_is_better=True, direction="better"), "it went -2"),
        (change(3.0, 1.0, ideal=None, higher_is_better=False, direction="worse"), "it went -2"),
        (change(3.0, 3.0, ideal=None, higher_is_better=True, direction="worse"), r"it went \+0"),
    ],
)
def test_a_direction_against_its_numbers_is_named(one: Change, said: str) -> None:
    (fault,) = direction_faults([one])
    assert re.search(said, fault.text)


def test_directions_with_their_numbers_pass() -> None:
    ability = {"ideal": None, "nearer": NAN}
    assert (
        direction_faults(
            [
                change(0.3, 0.1),
                change(0.1, 0.3),
                change(-0.3, 0.1, direction="reversed"),
                change(0.3, 0.1, direction="unclear"),
                change(0.3, 0.1, direction="unchanged"),
                change(3.0, 1.0, **ability, higher_is_better=False, direction="better"),
                change(3.0, 1.0, **ability, higher_is_better=True, direction="worse"),
                change(3.0, 1.0, **ability, direction="changed"),
            ]
        )
        == []
    )


def test_intervals_of_both_sides_and_of_the_difference_are_looked_at() -> None:
    wrong = change(0.3, 0.1, before_low=0.4, before_high=0.5, after_high=0.0, low=0.1, high=0.2)
    assert [fault.text.partition(":")[0] for fault in change_interval_faults([wrong])] == [
        "afgb, before", "afgb, after", "afgb, difference"
    ]  # fmt: skip


def test_the_overall_change_is_the_mean_over_seeds() -> None:
    seeds = ((change(0.4, 0.2),), (change(0.4, 0.3),))
    mean = change(0.4, 0.25, seeds=2)
    group = change(0.4, 0.9, seeds=2, group={"scale": "word"})
    assert seed_faults(comparison(mean, group, by_seed=seeds)) == []
    (fault,) = seed_faults(comparison(change(0.4, 0.2, seeds=2), by_seed=seeds))
    assert fault.text == "afgb after must be 0.25, the mean of 2 seeds, got 0.2"


def test_a_comparison_says_ok_once_a_check_or_names_the_fault() -> None:
    fine = check_comparison(comparison(change(0.3, 0.1), change(0.1, 0.3)))
    assert [(one.check, one.level, one.text) for one in fine] == [
        (name, "ok", "2 changes checked") for name in ("difference", "direction", "interval")
    ]
    wrong = check_comparison(comparison(change(0.3, 0.1, difference=0.2)))
    assert [one.level for one in wrong] == ["error", "ok", "error"]
    assert check_comparison(comparison()) == []
