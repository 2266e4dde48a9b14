"""Directions at every border, and Holm's correction by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.conclusions import Change
from equipoise.stats.directions import direction_of, holm, holm_corrected

CHANGE = Change(
    metric="m", unit="", ideal=0.0, n=40, clusters=40, effect=-1.0, p=0.001, p_holm=0.001,
    before=1.0, before_low=0.9, before_high=1.1, after=0.5, after_low=0.4, after_high=0.6,
    difference=-0.5, low=-0.6, high=-0.4, nearer=0.5, nearer_low=0.4, nearer_high=0.6,
    direction="reduced",
)  # fmt: skip


def test_holm_by_hand() -> None:
    base = CHANGE
    ps = {"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan}
    family = [replace(base, group={"g": name}, p=p, p_holm=p) for name, p in ps.items()]
    found = holm([replace(base, p=0.5, p_holm=0.5), *family])
    assert [one.p_holm for one in found[:4]] == pytest.approx([0.5, 0.03, 0.06, 0.06])
    assert math.isnan(found[4].p_holm)


def test_direction_needs_finite_numbers() -> None:
    base = replace(CHANGE, before=1.0, after=0.0)
    assert base.direction == "reduced"
    assert direction_of(replace(base, difference=math.nan)) == "unknown"


def test_rounding_is_no_change_whatever_its_interval_says() -> None:
    moved = replace(CHANGE, difference=2e-7, low=1e-7, high=3e-7)
    assert direction_of(moved) == "unchanged"
    assert direction_of(replace(moved, difference=-2e-7, low=-3e-7, high=-1e-7)) == "unchanged"
    assert direction_of(replace(moved, difference=2e-5, low=1e-5, high=3e-5)) != "unchanged"


def test_direction_of_a_move_across_the_ideal() -> None:
    base = replace(
        CHANGE, ideal=50.0, before=56.0, before_low=53.0, before_high=59.0,
        after=46.0, after_low=43.0, after_high=49.0, difference=-10.0, low=-12.0, high=-8.0,
        nearer=2.0, nearer_low=-3.0, nearer_high=6.0,
    )  # fmt: skip
    assert direction_of(base) == "reversed"
    assert direction_of(replace(base, after_high=50.5)) == "unclear"
    assert direction_of(replace(base, after_high=50.5, nearer_low=0.5)) == "reduced"
    assert direction_of(replace(base, higher_is_better=True)) == "worse"


def test_without_a_small_p_no_change_is_shown() -> None:
    assert direction_of(CHANGE) == "reduced"
    assert direction_of(replace(CHANGE, p_holm=0.051)) == "unchanged"
    assert direction_of(replace(CHANGE, p_holm=math.nan)) == "reduced"


def test_holm_changes_the_direction_of_a_group_that_it_leaves_without_a_small_p() -> None:
    rows = [replace(CHANGE, group={"g": str(k)}, p=0.02, p_holm=0.02) for k in range(3)]
    assert {one.direction for one in holm(rows)} == {"unchanged"}
    kinds = [replace(row, group={str(k): "x"}) for k, row in enumerate(rows)]
    assert {one.direction for one in holm(kinds)} == {"reduced"}


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    found = holm_corrected(ps)
    assert all(p <= h <= min(1.0, len(ps) * p) + 1e-12 for p, h in zip(ps, found, strict=True))
    order = np.argsort(ps, kind="stable")
    assert list(np.array(found)[order]) == sorted(found)


@pytest.mark.parametrize(("better", "difference", "said"), [
    (True, 1.0, "better"), (True, -1.0, "worse"), (False, 1.0, "worse"), (False, -1.0, "better"),
    (None, 1.0, "changed"),
])  # fmt: skip
def test_ability_has_a_direction(better: bool | None, difference: float, said: str) -> None:
    ends = (0.5, 1.5) if difference > 0 else (-1.5, -0.5)
    moved = replace(
        CHANGE, higher_is_better=better, ideal=None, difference=difference, low=ends[0],
        high=ends[1],
    )  # fmt: skip
    assert direction_of(moved) == said
