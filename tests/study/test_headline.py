"""What a recipe names as a benchmark's headline, in its results and in its verdicts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

from .conftest import RECIPE

CHOSEN = RECIPE.replace("  - stereoset\n", "  - {{name: stereoset, headline: [icat, ss]}}\n")


@pytest.mark.thorough
def test_a_headline_changes_what_is_said_and_no_step(
    written: Callable[..., Path], finished: Path, tmp_path: Path
) -> None:
    usual, chosen = (plan(Recipe.from_yaml(written(text))) for text in (RECIPE, CHOSEN))
    assert [step.key for step in chosen.steps] == [step.key for step in usual.steps]
    # the finished steps, read under the other recipe
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "steps").symlink_to(finished / "steps")
    (folder / "edits").symlink_to(finished / "edits")
    summary = run(chosen, Store.open(folder))
    assert (summary.done, summary.failed) == (0, ())
    study = read_study(folder)
    measured = [each.measurement for each in study.measured]
    assert {each.headline for each in measured if each.benchmark == "stereoset"} == {("icat", "ss")}
    (verdict,) = [chapter.verdict for chapter in study.chapters]
    assert ("stereoset", "icat") in [
        (each.benchmark, each.change.metric) for each in verdict.ability
    ]
    assert ("stereoset", "lms") not in [
        (each.benchmark, each.change.metric) for each in verdict.ability
    ]
    assert [each.change.metric for each in verdict.bias] == ["afgb", "ss"]
