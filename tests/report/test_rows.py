"""Rows: texts, sorting keys and scales of changes and estimates; the gravest of many groups."""

import math
from dataclasses import replace

from equipoise.conclusions import Change, Direction
from equipoise.report.rows import (
    Badge,
    badge_of,
    cell,
    estimate_axis,
    gravest,
    p_cell,
    plain_cell,
    row_name,
    shared_axis,
)

from .making import ABILITY, CHANGE, measurement, not_worse, within


def test_a_row_has_every_number_with_its_interval() -> None:
    assert cell(65.64, 62.0, 69.0).text == "65.6 [62.0, 69.0]"
    assert cell(-13.2, -17.0, -9.5).text == "−13.2 [−17.0, −9.5]"
    assert (plain_cell(-0.8).text, p_cell(math.nan).text) == ("−0.80", "n/a")
    assert (badge_of(CHANGE).tone, badge_of(CHANGE).word) == ("reduced", "reduced")


def test_sort_key_is_the_value_or_nan() -> None:
    nothing = plain_cell(math.nan)
    assert (cell(65.64, 62.0, 69.0).key, cell(-13.2, -17.0, -9.5).key) == ("65.64", "-13.2")
    assert (nothing.text, nothing.key) == ("n/a", "nan")


def test_marks_lie_on_the_scale_in_their_order() -> None:
    axis = shared_axis([CHANGE])
    assert axis.ideal is not None
    values = (49.0, 50.0, 52.4, 55.9, 62.0, 65.64, 69.0)
    assert [axis.at(value) for value in values] == sorted(axis.at(value) for value in values)
    assert (axis.at(49.0), axis.ideal.place, axis.at(69.0)) == (2.5, axis.at(50.0), 97.5)


def test_a_missing_value_keeps_its_interval() -> None:
    assert cell(math.nan, 49.0, 55.9).text == "n/a [49.0, 55.9]"


def test_different_ideals_make_no_common_line() -> None:
    assert shared_axis([CHANGE, CHANGE]).ideal is not None
    assert shared_axis([CHANGE, replace(CHANGE, ideal=0.0)]).ideal is None


def test_a_row_is_named_by_metric_and_group() -> None:
    overall, race, _ = measurement().estimates
    shown = (CHANGE, replace(CHANGE, group={"axis": "age"}), overall, race)
    assert [row_name(each) for each in shown] == ["ss", "ss, axis age", "ss", "ss, axis race"]


def test_the_scale_of_an_estimate_has_its_ideal() -> None:
    axis = estimate_axis(measurement().estimates[0])
    assert axis.ideal is not None
    assert axis.low == 50.0  # the ideal lies below the interval


def test_no_change_shown_is_not_called_unchanged() -> None:
    assert badge_of(replace(CHANGE, direction="unchanged")).word == "no change shown"
    assert badge_of(replace(CHANGE, direction="reversed")).word == "over-corrected"


def test_a_loss_within_its_margin_is_no_alarm() -> None:
    lost = replace(ABILITY, direction="worse")
    shown = badge_of(replace(lost, claim=not_worse(0.01, 0.005, 0.015)))
    assert (shown.tone, shown.word) == ("within", "worse, within the margin")
    for other in (
        lost,
        replace(lost, claim=not_worse(0.01, 0.005, 0.03, shown=False)),
        replace(CHANGE, direction="worse", claim=within(1.0, 0.5, 1.5, shown=True)),
    ):
        assert badge_of(other) == Badge("worse", "worse")
    ability = replace(ABILITY, claim=not_worse(0.0, -0.01, 0.01))
    assert badge_of(ability) == Badge("unchanged", "no change shown")


def group(name: str, direction: Direction, p: float, difference: float = 1.0) -> Change:
    return replace(
        CHANGE, group={"axis": name}, direction=direction, p_holm=p, difference=difference
    )


CHANGES = [
    group("a", "unchanged", 0.9),
    group("b", "reduced", 0.001),
    group("c", "worse", 0.04),
    group("d", "reversed", 0.03),
    group("e", "reduced", 0.002, difference=-9.0),
    group("f", "reduced", 0.002),
]


def test_gravest_changes_are_worse_then_small_p_then_large_differences() -> None:
    assert [change.group["axis"] for change in gravest(CHANGES, 4)] == ["b", "c", "d", "e"]
    assert gravest(CHANGES, 99) == CHANGES
    assert gravest(CHANGES, 0) == []
