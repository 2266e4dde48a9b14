"""A forest plot: one scale for all groups, and the gravest kept where there are too many."""

from dataclasses import replace

from equipoise.conclusions import Change, Direction
from equipoise.report.forest import forest, gravest

from .making import CHANGE


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


def test_groups_share_a_scale_with_the_ideal() -> None:
    plot = forest(CHANGES, most=99)
    assert plot is not None
    assert [row.name for row in plot.rows] == [f"axis {name}" for name in "abcdef"]
    assert {row.axis for row in plot.rows} == {plot.axis}
    assert (plot.metric, plot.unit, plot.left_out) == ("ss", "%", 0)
    assert plot.axis.ideal is not None
    assert plot.axis.low == 49.0


def test_of_too_many_those_stay_that_went_wrong_then_small_p_then_large_differences() -> None:
    plot = forest(CHANGES, most=4)
    assert plot is not None
    assert [row.name for row in plot.rows] == ["axis b", "axis c", "axis d", "axis e"]
    assert plot.left_out == 2
    assert gravest(CHANGES, most=0) == []


def test_without_groups_there_is_no_plot() -> None:
    assert forest([], most=9) is None
