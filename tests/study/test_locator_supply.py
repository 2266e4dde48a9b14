"""Locators of one recipe may rank on different supplies: prompts here, questions there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, Step, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

HEADS = "{{name: head_attribution, target: France, draws: 20, permutations: 20%s}}"
ASSOCIATION = ", supply: {{name: association, questions: 9, paragraphs: 0}}"
RECIPE = """\
title: Blocks and heads
models: [{{name: {model}, as: tiny}}]
benchmarks: [genbias]
locators: [random_block, %s]
data: planted:default
draws: 20
limit: 20
rankings: 2
sample: 6
"""


def planned(write: Callable[..., Path], heads: str, more: str = "") -> Plan:
    return plan(Recipe.from_yaml(write(RECIPE % heads + more)))


def located(of: Plan) -> dict[str, Step]:
    return {step.plugin.label: step for step in of.of("locate") if step.plugin is not None}


@pytest.mark.thorough
def test_a_locator_ranks_on_its_own_supply(written: Callable[..., Path], tmp_path: Path) -> None:
    file = written(RECIPE % (HEADS % ASSOCIATION))
    store = Store.open(tmp_path / "store")
    run(plan(Recipe.from_yaml(file)), store)
    study = read_study(tmp_path / "store")
    by_name = {each.locator: each.stability for each in study.located}
    assert [ranking.kind for ranking in by_name["random_block"].rankings] == ["block"] * 2
    assert [ranking.kind for ranking in by_name["head_attribution"].rankings] == ["head"] * 2
    assert by_name["head_attribution"].sample == 6
    assert by_name["head_attribution"].top is not None


@pytest.mark.thorough
def test_without_a_supply_it_is_the_locators_usual_one(written: Callable[..., Path]) -> None:
    usual = located(planned(written, HEADS % ""))
    named = located(planned(written, HEADS % ", supply: association"))
    assert {name: step.key for name, step in usual.items()} == {
        name: step.key for name, step in named.items()
    }
    fewer = located(planned(written, HEADS % ASSOCIATION))
    assert fewer["head_attribution"].key != usual["head_attribution"].key
    # that of the other locator is what it was before there were supplies of their own
    assert fewer["random_block"].key == usual["random_block"].key


@pytest.mark.thorough
def test_the_recipes_supply_counts_where_it_is_written(written: Callable[..., Path]) -> None:
    shared = located(planned(written, HEADS % "", "supply: association\n"))
    usual = located(planned(written, HEADS % ""))
    assert shared["head_attribution"].key == usual["head_attribution"].key
    with pytest.raises(
        RecipeError,
        match=r"line 4: head_attribution ranks on questions .* genbias has 0; .*supply: associ",
    ):
        planned(written, HEADS % "", "supply: genbias\n")


def test_a_misspelt_option_of_it_is_refused_with_its_line(written: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError, match=r"line 4: .*'question'"):
        planned(written, HEADS % ", supply: {{name: association, question: 3}}")
