"""Professions: means by hand, lines by hand, and only what can be drawn."""

import math
from dataclasses import replace

import pytest

from equipoise.records import Outcome
from equipoise.report.scatter import STEPS, Scatter, scatter

from .making import comparison, measurement, outcomes


def found(**over: object) -> Scatter:
    plot = scatter(comparison(**over), most=3)  # type: ignore[arg-type]
    assert plot is not None
    return plot


def test_a_dot_is_the_mean_of_its_profession() -> None:
    plot = found()
    dots = {dot.name: dot for dot in plot.dots}
    assert dots["nurse"].before == pytest.approx(-1.8)
    assert dots["nurse"].after == pytest.approx(-0.18)
    assert dots["nurse"].score == -0.9
    assert dots["nurse"].told == "−1.80 → −0.18 nats, stereotype score −0.900"
    assert dots["writer"].x == dots["writer"].y == plot.zero
    assert dots["nurse"].x == 2.5  # the smallest value of both sides
    assert dots["miner"].x == 97.5


def test_colors_run_from_female_to_male_with_0_in_the_middle() -> None:
    steps = {dot.name: dot.step for dot in found().dots}
    assert steps == {"nurse": 0, "clerk": 2, "writer": STEPS // 2, "pilot": 5, "miner": STEPS - 1}


def test_lines_through_all_have_intervals() -> None:
    """After is 0.1 of before, and before 2 times the score: no residuals, intervals of no width."""
    plot = found()
    assert plot.slope == "0.100 [0.100, 0.100]"
    correlation, slope = plot.fits
    assert (correlation.before, correlation.after) == ("1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]")
    assert (slope.before, slope.after) == ("2.00 [2.00, 2.00]", "0.200 [0.200, 0.200]")


def test_several_seeds_are_averaged() -> None:
    afters = tuple(measurement(f"m{k}", factor=k) for k in (0.0, 1.0))
    dots = {dot.name: dot for dot in found(afters=afters).dots}
    assert dots["miner"].after == pytest.approx(0.5)
    assert found(afters=afters).seeds == 2


def test_what_has_no_finite_value_is_left_out_and_counted() -> None:
    rows = [
        replace(outcome, values={"lo": math.nan, "s": 1.0})
        if "miner" in outcome.example
        else outcome
        for outcome in outcomes(0.2)
    ]
    plot = found(afters=(measurement("m", outcomes=tuple(rows)),))
    assert len(plot.dots) == 4
    assert plot.left_out == 1


def test_no_score_is_no_color() -> None:
    rows = tuple(
        replace(outcome, values=dict(outcome.values) | {"s": math.nan}) for outcome in outcomes(2.0)
    )
    plot = found(before=measurement(outcomes=rows))
    assert {dot.step for dot in plot.dots} == {None}
    assert plot.fits[0].before == "n/a"


def test_what_moved_most_is_listed_first() -> None:
    assert [dot.name for dot in found().listed] == ["miner", "nurse", "pilot"]


def test_names_in_the_plot_do_not_cover_one_another() -> None:
    crowd = tuple(
        Outcome(
            example=f"p{k}", values={"lo": 1.0 + k / 1e5, "s": 0.5}, groups={"profession": f"p{k}"}
        )
        for k in range(200)
    )
    same = measurement(outcomes=crowd)
    plot = found(before=same, afters=(same,))
    assert sum(dot.label_x is not None for dot in plot.dots) == 1


def test_other_benchmarks_have_no_such_plot() -> None:
    bare = tuple(replace(outcome, values={"x": 1.0}) for outcome in outcomes(1.0))
    other = measurement(outcomes=bare)
    assert scatter(comparison(before=other, afters=(other,)), most=9) is None


def test_two_professions_are_too_few_for_a_line() -> None:
    few = measurement(outcomes=outcomes(2.0)[:4])
    plot = found(before=few, afters=(few,))
    assert plot.slope == "n/a"
    assert {fit.before for fit in plot.fits} == {"n/a"}
