"""Mitigations of one recipe may learn from different supplies: rows here, controls there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.edits.registry import load_edit
from equipoise.errors import RecipeError
from equipoise.rows import text_sha256
from equipoise.study.load_study import EDIT
from equipoise.study.plan import Plan, Step, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

TRAINING = "training: {{rank: 2, epochs: 1, batch_size: 50}}"
RECIPE = (
    """\
title: Two supplies
models: [{{name: {model}, as: tiny}}]
benchmarks: [%s]
mitigations:
  - {{name: finetune, as: shared, """
    + TRAINING
    + """}}
  - {{name: finetune, as: own, """
    + TRAINING
    + """, supply: %s}}
%s
data: planted:default
draws: 0
limit: 2
"""
)
MINE = "{{name: rows, path: %s}}"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    names = []
    for name in ("first", "second"):
        file = tmp_path / f"{name}.txt"
        file.write_text(f"A {name} door is open.\nThe {name} lamp is lit.\n")
        names.append(str(file))
    return names[0], names[1]


def planned(write: Callable[..., Path], benchmark: str, second: str, shared: str) -> Plan:
    return plan(Recipe.from_yaml(write(RECIPE % (benchmark, second, shared))))


def fits(of: Plan) -> dict[str, Step]:
    return {step.mitigation.label: step for step in of.of("fit") if step.mitigation is not None}


@pytest.mark.thorough
def test_another_supply_is_another_step_and_leaves_others_as_they_are(
    written: Callable[..., Path], files: tuple[str, str]
) -> None:
    first, second = (f"supply: {MINE % file}" for file in files)
    same, other, elsewhere = (
        fits(planned(written, "facts", MINE % file, shared))
        for file, shared in ((files[0], first), (files[1], first), (files[1], second))
    )
    # a step that is the same is done once
    assert [step.key for step in same.values()] == [other["shared"].key]
    assert [step.key for step in elsewhere.values()] == [other["own"].key]
    assert other["own"].key != other["shared"].key


def test_what_any_of_them_learns_is_not_measured(
    written: Callable[..., Path], files: tuple[str, str]
) -> None:
    benchmark = "{{name: perplexity, file: %s}}"
    with pytest.raises(RecipeError, match=r"2 of the 2 examples .*'own' learns from"):
        planned(written, benchmark % files[1], MINE % files[1], f"supply: {MINE % files[0]}")
    with pytest.raises(RecipeError, match="what 'shared' learns from"):
        planned(written, benchmark % files[0], MINE % files[1], f"supply: {MINE % files[0]}")


def test_a_misspelt_option_of_it_is_refused_with_its_line(
    written: Callable[..., Path], files: tuple[str, str]
) -> None:
    with pytest.raises(RecipeError, match=r"line 6: .*'pathh'"):
        planned(written, "facts", "{{name: rows, pathh: x}}", f"supply: {MINE % files[0]}")


@pytest.mark.thorough
def test_each_learns_from_its_own(
    written: Callable[..., Path], files: tuple[str, str], tmp_path: Path
) -> None:
    whole = planned(
        written, "{{name: facts, edited: false}}", MINE % files[1], f"supply: {MINE % files[0]}"
    )
    store = Store.open(tmp_path / "store")
    run(whole, store)
    learnt = {
        label: load_edit(store.step(step.key) / EDIT).info.trained_on
        for label, step in fits(whole).items()
    }
    for label, name in (("shared", "first"), ("own", "second")):
        texts = (f"A {name} door is open.", f"The {name} lamp is lit.")
        assert learnt[label] == set(map(text_sha256, texts))
