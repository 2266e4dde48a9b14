"""The heat map of heads: places and steps by hand, files by their ending, what has none."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.conclusions import Ranking, RankStability
from equipoise.errors import RecipeError
from equipoise.report.heat_map import heat_map, write_heat_map
from equipoise.report.html import study_page
from equipoise.report.plots import panels
from equipoise.stats.stability import rank_stability
from equipoise.study.study import Located, Study

SCORES = (0.0, -2.0, 1.0, 4.0, 0.4, math.nan)


def ranking(*scores: float, chosen: tuple[int, ...] = ()) -> Ranking:
    return Ranking(
        locator="head_attribution", scores=scores, low=scores, high=scores, prompts=9, unit="nats",
        kind="head", labels=("0.0", "0.1", "1.0", "1.1", "2.0", "2.1"), chosen=chosen,
    )  # fmt: skip


def located(*rankings: Ranking) -> Located:
    stability: RankStability = rank_stability(rankings, range(len(rankings)), sample=9, top=2)
    return Located(model="gpt2", locator="head_attribution", stability=stability)


def test_cells_have_their_place_and_step() -> None:
    drawn = heat_map([ranking(*SCORES, chosen=(3,))])
    assert drawn is not None
    assert (drawn.layers, drawn.heads, drawn.largest) == (3, 2, "4.00")
    assert [(cell.layer, cell.head) for cell in drawn.cells][3] == (1, 1)
    assert [cell.step for cell in drawn.cells] == [3, 1, 4, 6, 3, None]
    assert [cell.chosen for cell in drawn.cells] == [False, False, False, True, False, False]


def test_seeds_are_averaged_and_all_must_choose() -> None:
    drawn = heat_map([ranking(*range(6), chosen=(5, 4)), ranking(*range(0, 12, 2), chosen=(5,))])
    assert drawn is not None
    assert drawn.largest == "7.50"
    assert [cell.chosen for cell in drawn.cells] == [False] * 5 + [True]
    still = heat_map([ranking(*[0.0] * 6)])
    assert still is not None
    assert {cell.step for cell in still.cells} == {3}
    assert heat_map([replace(ranking(*SCORES), kind="block")]) is None


def test_the_page_shows_the_map_and_what_seeds_share() -> None:
    drawn = located(ranking(*range(6), chosen=(5,)), ranking(*range(6), chosen=(5,)))
    (panel,) = panels([drawn])["gpt2"]
    assert panel.heads is not None
    assert panel.overlap.startswith("of the first 2 of each seed 2 are shared by all: 2.1, 2.0 (")
    page = study_page(Study(title="t", recipe={}, located=(drawn,)))
    assert page.count("<rect class=") == 6
    assert page.count(' chosen"') == 1
    assert "head 2.1: 5.00, passes" in page
    assert "2 are shared by all: 2.1, 2.0" in page


@pytest.mark.thorough
def test_a_figure_is_written_by_its_ending_and_repeats(tmp_path: Path) -> None:
    rankings = [ranking(*SCORES, chosen=(3,))]
    first = write_heat_map(tmp_path / "a.svg", rankings, title="t").read_bytes()
    assert first == write_heat_map(tmp_path / "b.svg", rankings, title="t").read_bytes()
    assert b">layer</text>" in first
    picture = write_heat_map(tmp_path / "c.PNG", rankings, title="t").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_another_ending_and_blocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a \.svg or \.png file, got 'a\.pdf'; rename it"):
        write_heat_map(tmp_path / "a.pdf", [ranking(*SCORES)], title="t")
    with pytest.raises(RecipeError, match="must be of heads, head_attribution ranks blocks"):
        write_heat_map(tmp_path / "a.svg", [replace(ranking(*SCORES), kind="block")], title="t")
