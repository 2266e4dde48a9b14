"""A study of a transfer: keys cover the edit's bytes, leaks are found, controls are compared."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_adapters import adapter_for
from worlds import in_world

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.registry import load_edit
from equipoise.errors import RecipeError
from equipoise.rows import text_sha256
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import tiny_model

TEXT = """\
title: A transfer
models: [{{name: {model}, as: sibling}}]
benchmarks: [{{name: genbias, split_by: both}}]
mitigations:
  - {{name: transfer, as: real, edit: EDIT}}
  - {{name: transfer, as: random, edit: EDIT, control: random}}
  - {{name: transfer, as: off, edit: EDIT, scale: 0}}
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 20
limit: 12
"""

Written = Callable[..., Path]


@pytest.fixture
def edit(tmp_path: Path) -> Path:
    """An adapter of a sibling of the study's model, which learnt the supply's first prompt."""
    adapter = adapter_for(tiny_model("llama", seed=9))
    with in_world():
        taught = GenBiasSupply(split_by="both").supply().prompts[0].text
    info = replace(adapter.info, trained_on=frozenset({text_sha256(taught)}))
    replace(adapter, info=info).save(tmp_path / "edit")
    return tmp_path / "edit"


@pytest.fixture
def planned(written: Written, edit: Path) -> Callable[..., Plan]:
    def make(text: str = TEXT) -> Plan:
        return plan(Recipe.from_yaml(written(text.replace("EDIT", str(edit)))))

    return make


@pytest.mark.thorough
def test_keys_cover_the_bytes_of_the_edit(planned: Callable[..., Plan], edit: Path) -> None:
    before = planned()
    old = load_edit(edit)
    assert isinstance(old, AdapterEdit)
    shutil.rmtree(edit)
    replace(old, tensors={name: 2 * tensor for name, tensor in old.tensors.items()}).save(edit)
    after = {step.key for step in planned().steps}
    same = [step.title for step in before.steps if step.key in after]
    assert len(before.of("fit")) == 3 * 2
    assert same == ["measure genbias on sibling"]  # the unedited model


@pytest.mark.thorough
def test_controls_are_compared_over_seeds(planned: Callable[..., Plan], tmp_path: Path) -> None:
    alone = "\n".join(line for line in TEXT.splitlines() if not {"real,", "off,"} & {*line.split()})
    assert run(planned(alone), Store.open(tmp_path / "run")).failed == ()
    study = read_study(tmp_path / "run")
    assert study.missing == ()
    (chapter,) = study.chapters
    assert chapter.mitigation == "random"
    (comparison,) = chapter.comparisons
    first, second = comparison.by_seed
    assert first[0].after != second[0].after
    assert {change.seeds for change in comparison.changes} == {2}


@pytest.mark.thorough
def test_a_recipe_that_measures_what_the_edit_learnt_is_refused(
    planned: Callable[..., Plan],
) -> None:
    text = TEXT.replace("split_by: both}}]", "split_by: both, split: train}}]", 1)
    with pytest.raises(RecipeError) as caught:
        planned(text.replace("limit: 12\n", ""))
    assert "line 3: 1 of the " in str(caught.value)
    assert "are among what the edits of 'real' learnt from" in str(caught.value)


@pytest.mark.parametrize("file", ["edit.json", "adapter_model.safetensors"])
def test_missing_or_damaged_edit_is_refused_with_its_line(
    planned: Callable[..., Plan], edit: Path, file: str
) -> None:
    if file == "edit.json":
        shutil.rmtree(edit)
    else:
        (edit / file).write_bytes((edit / file).read_bytes()[:-5])
    with pytest.raises(RecipeError, match=rf"line 5: .*{edit.name}"):
        planned()
