"""Plots: professions, blocks and calibrations; means and lines by hand, only what can be drawn."""

import math
from dataclasses import replace

import pytest

from equipoise.conclusions import RankStability
from equipoise.records import Outcome
from equipoise.report.plots import STEPS, Scatter, curve_plots, panels, scatter

from .making import calibration, comparison, located, measurement, outcomes


def plot_of(**over: object) -> Scatter:
    plot = scatter(comparison(**over), 3)  # type: ignore[arg-type]
    assert plot is not None
    return plot


def test_a_dot_is_the_mean_of_its_profession() -> None:
    plot = plot_of()
    dots = {dot.name: dot for dot in plot.dots}
    assert dots["nurse"].before == pytest.approx(-1.8)
    assert dots["nurse"].after == pytest.approx(-0.18)
    assert dots["nurse"].score == -0.9
    assert [text for text, _ in dots["nurse"].cells] == ["−1.80", "−0.18", "−0.900"]
    assert plot.axis.at(dots["nurse"].before) == 2.5  # the smallest value of both sides
    assert plot.axis.at(dots["miner"].before) == 97.5


def test_colors_run_from_female_to_male_with_0_in_the_middle() -> None:
    steps = {dot.name: dot.step for dot in plot_of().dots}
    assert steps == {"nurse": 0, "clerk": 2, "writer": STEPS // 2, "pilot": 5, "miner": STEPS - 1}


def test_lines_through_all_have_intervals() -> None:
    """After is 0.1 of before, and before 2 times the score: no residuals, intervals of no width."""
    plot = plot_of()
    assert plot.slope == "0.100 [0.100, 0.100]"
    correlation, slope = plot.fits
    assert correlation[1:] == ("1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]")
    assert slope[1:] == ("2.00 [2.00, 2.00]", "0.200 [0.200, 0.200]")


def test_several_seeds_are_averaged() -> None:
    afters = tuple(measurement(f"m{k}", factor=k) for k in (0.0, 1.0))
    dots = {dot.name: dot for dot in plot_of(afters=afters).dots}
    assert dots["miner"].after == pytest.approx(0.5)


def test_what_has_no_finite_value_is_left_out_and_counted() -> None:
    rows = [
        replace(outcome, values={"lo": math.nan, "s": 1.0})
        if "miner" in outcome.example
        else outcome
        for outcome in outcomes(0.2)
    ]
    plot = plot_of(afters=(measurement("m", outcomes=tuple(rows)),))
    assert len(plot.dots) == 4
    assert plot.left_out == 1


def test_no_score_is_no_color() -> None:
    rows = tuple(
        replace(outcome, values=dict(outcome.values) | {"s": math.nan}) for outcome in outcomes(2.0)
    )
    plot = plot_of(before=measurement(outcomes=rows))
    assert {dot.step for dot in plot.dots} == {None}
    assert plot.fits[0][1] == "n/a"


def test_largest_changes_are_listed_first() -> None:
    assert [dot.name for dot in plot_of().listed] == ["miner", "nurse", "pilot"]


def test_names_in_the_plot_do_not_cover_one_another() -> None:
    crowd = tuple(
        Outcome(
            example=f"p{k}", values={"lo": 1.0 + k / 1e5, "s": 0.5}, groups={"profession": f"p{k}"}
        )
        for k in range(50)
    )
    same = measurement(outcomes=crowd)
    plot = plot_of(before=same, afters=(same,))
    assert len(plot.labels) == 1


def test_other_benchmarks_have_no_such_plot() -> None:
    bare = tuple(replace(outcome, values={"x": 1.0}) for outcome in outcomes(1.0))
    other = measurement(outcomes=bare)
    assert scatter(comparison(before=other, afters=(other,)), 9) is None


def test_two_professions_are_too_few_for_a_line() -> None:
    few = measurement(outcomes=outcomes(2.0)[:4])
    plot = plot_of(before=few, afters=(few,))
    assert plot.slope == "n/a"
    assert {before for _, before, _ in plot.fits} == {"n/a"}


def test_locators_of_one_model_stand_side_by_side() -> None:
    other = replace(located(), model="pythia")
    by_model = panels([located(), other, located("gender_contrast", seeds=1)])
    locators = {model: [panel.locator for panel in plots] for model, plots in by_model.items()}
    assert locators == {
        "gpt2": ["block_influence", "gender_contrast"],
        "pythia": ["block_influence"],
    }


def test_a_line_a_seed_a_point_a_block() -> None:
    panel = panels([located()])["gpt2"][0]
    assert [seed for seed, _ in panel.lines] == [0, 1]
    assert [x for x, _ in panel.lines[0][1]] == [2.5, 50.0, 97.5]
    heights = [point.value for _, point in panel.lines[0][1]]
    assert heights == sorted(heights)
    assert all(w.low <= w.value <= w.high for _, w in panel.lines[0][1])
    assert [block.text for block in panel.blocks] == ["0", "1", "2"]
    assert panel.notes == ("the first token is out",)


def test_the_caption_says_how_stable_the_order_is() -> None:
    panel = panels([located()])["gpt2"][0]
    assert panel.stability == (
        "2 seeds of 64 prompts; Spearman 0.93 between seeds (lowest 0.88; 1: always the same "
        "order); variance of a score over seeds 0.0017 (mean over components)"
    )
    assert panel.first == "first: block 2 (2 of 2)"


def test_what_has_no_correlation_says_why() -> None:
    point = located(seeds=1)
    alone = replace(point.stability, spearman=math.nan, spearman_low=math.nan, reason="one seed")
    panel = panels([replace(point, stability=alone)])["gpt2"][0]
    assert panel.stability == "1 seed of 64 prompts; Spearman n/a (one seed)"


def test_many_blocks_have_few_numbers_and_nan_is_not_drawn() -> None:
    ranking = replace(
        located().stability.rankings[0],
        scores=(math.nan, *[0.1] * 31), low=(0.0,) * 32, high=(0.2,) * 32,
    )  # fmt: skip
    stability = replace(located().stability, rankings=(ranking,), seeds=(0,))
    panel = panels([replace(located(), stability=stability)])["gpt2"][0]
    assert [block.text for block in panel.blocks] == ["0", "6", "12", "18", "24", "30"]
    assert len(panel.lines[0][1]) == 31


def test_no_ranking_at_all_is_an_empty_panel() -> None:
    nothing = RankStability(
        rankings=(), seeds=(), sample=0, spearman=math.nan, spearman_low=math.nan, first={}
    )
    panel = panels([replace(located(), stability=nothing)])["gpt2"][0]
    assert panel.lines == ()


def test_a_metric_that_reads_what_was_planted() -> None:
    (plot,) = curve_plots(calibration())
    assert plot.curve.metric == "afgb"
    assert [x for x, _ in plot.points] == [2.5, 50.0, 97.5]


def test_the_line_runs_through_the_points() -> None:
    (plot,) = curve_plots(calibration())
    ends = [(x, w.value) for x, w in plot.points]
    assert plot.line[0] == pytest.approx(ends[0], abs=0.1)
    assert plot.line[1] == pytest.approx(ends[-1], abs=0.1)
    assert plot.axis.ideal is not None
