"""A recipe of several families: each method learns from its usual supply unless one is named, and
what cannot be learnt is known before anything is done."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equipoise import cli
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import available
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.testing import tiny_model

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: facts, edited: false}}]
mitigations: [%s]
data: planted:targets=40
controls: false
draws: 0
limit: 2
%s
"""
#: Options without a default.
NEEDED = {
    "combined": "{{name: combined, first: prompt_explain, second: lftf}}",
    "prompt_avoid": "{{name: prompt_avoid, statement: Nurses are women.}}",
}
EVERY = [NEEDED.get(name, name) for name in available(Mitigation) if name != "transfer"]

Written = Callable[..., Path]


@pytest.fixture
def planned(written: Written) -> Callable[..., Plan]:
    def make(*methods: str, more: str = "", world: str = "targets=40") -> Plan:
        text = TEXT % (", ".join(methods), more)
        return plan(Recipe.from_yaml(written(text.replace("targets=40", world))))

    return make


def taught(of: Plan) -> dict[str, str]:
    """The supply of each method."""
    contents: dict[str, Any] = {step.mitigation.label: step.content for step in of.of("fit")}
    return {label: content["supply"]["name"] for label, content in contents.items()}


@pytest.mark.thorough
def test_every_method_has_its_usual_supply(planned: Callable[..., Plan]) -> None:
    of = planned(*EVERY)
    assert of.left_out == ()
    supplies = taught(of)
    assert len(supplies) == len(EVERY)
    others = {
        **dict.fromkeys(("bias_token", "head_steering"), "association"),
        **dict.fromkeys(("finetune", "data_filtering", "npo"), "mix"),
        **dict.fromkeys(("dual_objective", "gradient_ascent"), "mix"),
    }
    assert supplies == {label: others.get(label, "planted") for label in supplies}


@pytest.mark.thorough
def test_a_supply_that_is_named_counts_for_one_or_for_all(planned: Callable[..., Plan]) -> None:
    named = "{{name: lftf, supply: genbias}}"
    assert taught(planned(named, "sft")) == {"lftf": "genbias", "sft": "planted"}
    every = planned("lftf", "{{name: sft, supply: planted}}", more="supply: genbias")
    assert taught(every) == {"lftf": "genbias", "sft": "planted"}


@pytest.mark.thorough
def test_what_a_named_supply_cannot_teach_is_refused_with_its_line(
    planned: Callable[..., Plan],
) -> None:
    for method, more in (("sft", "supply: genbias"), ("{{name: sft, supply: genbias}}", "")):
        with pytest.raises(RecipeError) as refused:
            planned("lftf", method, more=more)
        assert str(refused.value).endswith(
            "line 3: sft must be taught with contrasts, the supply genbias has none; give it "
            "another, as 'supply: stereoset'"
        )
    with pytest.raises(RecipeError, match="with rows, probes, the supply stereoset has none"):
        planned("{{name: npo, supply: stereoset}}")
    with pytest.raises(RecipeError, match="the labels of measured items, the supply genbias"):
        planned("{{name: bias_edit_transductive, supply: genbias}}")
    assert planned("{{name: sft, supply: planted}}").left_out == ()  # the remedy


def test_what_a_world_cannot_teach_is_left_out_with_a_sentence(
    planned: Callable[..., Plan],
) -> None:
    of = planned("lftf", "sft", "{{name: dpo, against: sft}}", world="default")
    assert {step.mitigation.label for step in of.of("fit") if step.mitigation} == {"lftf"}
    (title, why), (_, beside) = of.left_out
    assert title == "fit on tiny with sft"
    assert why == (
        "sft must be taught with contrasts, the supply planted has none; take a world that has "
        "them, as planted:targets=40, or leave the method out"
    )
    assert "dpo must be taught with contrasts" in beside


def test_what_stands_beside_it_is_left_out_too(planned: Callable[..., Plan]) -> None:
    of = planned("sft", "{{name: prompt_explain, against: sft}}", world="default")
    assert of.of("fit") == ()
    assert of.left_out[1][1] == "it stands beside sft, which cannot be learnt on this model"


@pytest.mark.thorough
def test_a_masked_model_is_measured_and_what_needs_another_kind_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("bert")
    for part in (model.module, model.tokenizer):
        part.save_pretrained(tmp_path / "bert")
    recipe = tmp_path / "study.yaml"
    text = TEXT % ("sft, {{name: prompt_explain, as: prompt}}", "")
    recipe.write_text(text.format(model="bert"))  # a folder beside the recipe
    assert cli.run(["run", str(recipe), "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "left out: fit on tiny with sft: sft edits causal models, tiny is masked" in said
    study = read_study(tmp_path / "run")
    assert [(each.what, each.why) for each in study.missing] == [
        ("fit on tiny with sft", "sft edits causal models, tiny is masked")
    ]
    assert study.planned == 3


@pytest.mark.thorough
def test_a_model_behind_http_is_only_measured(
    written: Written,
) -> None:
    text = (TEXT % ("lftf", "")).replace("{{name: {model}, as: tiny}}", "'decision:http://h:1#m'")
    ((_, why),) = plan(Recipe.from_yaml(written(text))).left_out
    assert why.endswith("decision:http://h:1#m is behind HTTP")


@pytest.mark.thorough
def test_paths_are_relative_to_the_recipe(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "recipes"
    place.mkdir()
    (place / "tiny").symlink_to(tiny_folder)
    (place / "rows.txt").write_text("The door is open.\nThe lamp is lit.\n")
    rows = "{{name: rows, path: rows.txt}}"
    method = f"{{{{name: finetune, training: {{{{rank: 2, epochs: 1}}}}, supply: {rows}}}}}"
    file = place / "study.yaml"
    text = (TEXT % (method, "")).replace("facts, edited: false", "perplexity, file: texts.txt")
    file.write_text(text.format(model="tiny"))
    (place / "texts.txt").write_text("Snow fell.\nRain fell.\n")
    keys = []
    for number, here in enumerate((tmp_path, place)):
        monkeypatch.chdir(here)
        relative = Path(os.path.relpath(file, here))
        steps = plan(Recipe.from_yaml(relative))
        keys.append([step.key for step in steps.steps])
        store = Store.open(Path(f"run{number}"))
        assert run(steps, store).failed == ()
        assert Path.cwd() == here
        head = json.loads((here / f"run{number}" / "study.json").read_text())
        assert "tiny" in head["recipe"]["models"]
    assert keys[0] == keys[1]
