"""Blocks: a panel a locator, a line a seed, and what the seeds agree on."""

import math
from dataclasses import replace

from equipoise.conclusions import RankStability
from equipoise.report.block_plot import block_plots

from .making import located


def test_locators_of_one_model_stand_side_by_side() -> None:
    other = replace(located(), model="pythia")
    plots = block_plots([located(), other, located("gender_contrast", seeds=1)])
    assert [(plot.model, [panel.locator for panel in plot.panels]) for plot in plots] == [
        ("gpt2", ["block_influence", "gender_contrast"]),
        ("pythia", ["block_influence"]),
    ]


def test_a_line_a_seed_a_point_a_block() -> None:
    panel = block_plots([located()])[0].panels[0]
    assert [line.seed for line in panel.lines] == [0, 1]
    assert [x for x, _ in panel.lines[0].points] == [2.5, 50.0, 97.5]
    heights = [point.value for _, point in panel.lines[0].points]
    assert heights == sorted(heights)
    assert all(w.low <= w.value <= w.high for _, w in panel.lines[0].points)
    assert [block.text for block in panel.blocks] == ["0", "1", "2"]
    assert panel.notes == ("the first token is out",)


def test_the_caption_says_how_stable_the_order_is() -> None:
    panel = block_plots([located()])[0].panels[0]
    assert panel.stability == (
        "2 seeds of 64 prompts; Spearman 0.93 between seeds (lowest 0.88; 1: always the same order)"
    )
    assert panel.first == "first: block 2 (2 of 2)"


def test_what_has_no_correlation_says_why() -> None:
    point = located(seeds=1)
    alone = replace(point.stability, spearman=math.nan, spearman_low=math.nan, reason="one seed")
    panel = block_plots([replace(point, stability=alone)])[0].panels[0]
    assert panel.stability == "1 seed of 64 prompts; Spearman n/a (one seed)"


def test_many_blocks_have_few_numbers_and_nan_is_not_drawn() -> None:
    ranking = replace(
        located().stability.rankings[0],
        scores=(math.nan, *[0.1] * 31), low=(0.0,) * 32, high=(0.2,) * 32,
    )  # fmt: skip
    stability = replace(located().stability, rankings=(ranking,), seeds=(0,))
    panel = block_plots([replace(located(), stability=stability)])[0].panels[0]
    assert [block.text for block in panel.blocks] == ["0", "6", "12", "18", "24", "30"]
    assert len(panel.lines[0].points) == 31


def test_no_ranking_at_all_is_an_empty_panel() -> None:
    nothing = RankStability(
        rankings=(), seeds=(), sample=0, spearman=math.nan, spearman_low=math.nan, first={}
    )
    panel = block_plots([replace(located(), stability=nothing)])[0].panels[0]
    assert panel.lines == ()
