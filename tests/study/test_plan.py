"""Plans: distinct and stable keys, which hold all that results depend on and nothing else."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_folder import save_tiny

from equipoise.benchmarks.genbias import GenBias
from equipoise.edits.edit import EditInfo
from equipoise.edits.prompts import PromptEdit
from equipoise.locate.block_influence import BlockInfluence
from equipoise.mitigate.lftf import Lftf
from equipoise.records import Supply
from equipoise.study.plan import Plan, plan, without_failed
from equipoise.study.recipe import Recipe
from equipoise.supply.genbias import GenBiasSupply

from .conftest import RECIPE


@pytest.fixture
def planned(written: Callable[..., Path]) -> Callable[..., Plan]:
    def make(*changes: tuple[str, str]) -> Plan:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return plan(Recipe.from_yaml(written(text)))

    return make


def keys(plan: Plan) -> list[str]:
    return [step.key for step in plan.steps]


def test_every_combination_has_a_step_after_its_needs(base_plan: Plan) -> None:
    result = base_plan
    kinds = {kind: len(result.of(kind)) for kind in ("measure", "locate", "fit", "compare")}  # type: ignore[arg-type]
    assert kinds == {"measure": 3 + 2 * 2, "locate": 2, "fit": 2, "compare": 2}
    assert len(set(keys(result))) == len(result.steps)
    earlier: set[str] = set()
    for step in result.steps:
        assert {need.key for need in step.needs} <= earlier
        earlier.add(step.key)
    assert result.steps[0].title == "measure genbias on tiny"
    assert "measure stereoset on tiny with parity, seed 1" in [step.title for step in result.steps]


def test_keys_are_stable_and_labels_and_written_defaults_are_no_part_of_them(
    planned: Callable[..., Plan], base_plan: Plan
) -> None:
    renamed = planned(
        ("as: parity", "as: mine"), ("as: tiny", "as: small"), ("epochs: 1", "epochs: 1, blocks: 1")
    )
    assert keys(renamed) == keys(base_plan)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("epochs: 1", "epochs: 2", {"measure": 3, "locate": 2}),
        ("draws: 20", "draws: 21", {"fit": 2, "locate": 2}),
        ("seeds: [0, 1]", "seeds: [0, 2]", {"measure": 3 + 2, "locate": 2, "fit": 1}),
        ("sample: 10", "sample: 11", {"measure": 7, "fit": 2, "compare": 2}),
        ("- stereoset", "- {{name: stereoset, task: intrasentence}}", {
            "measure": 4, "locate": 2, "fit": 2, "compare": 1,
        }),
        ("draws: 20", "draws: 20\nmargins: {{stereoset.ss: 3}}", {
            "measure": 7, "locate": 2, "fit": 2, "compare": 1,
        }),
        ("limit: 40", "limit: 41", {"fit": 2, "locate": 2}),
    ],
)  # fmt: skip
def test_a_change_gives_new_keys_to_what_depends_on_it_alone(
    planned: Callable[..., Plan], base_plan: Plan, old: str, new: str, kept: dict[str, int]
) -> None:
    same = {*keys(base_plan)} & {*keys(planned((old, new)))}
    actual = {kind: sum(item.startswith(kind) for item in same) for kind in kept}
    assert actual == kept
    assert len(same) == sum(kept.values())


@pytest.mark.parametrize(
    ("plug_in", "kept"),
    [
        (Lftf, {"measure": 3, "locate": 2}),
        (GenBias, {"measure": 3, "locate": 2, "fit": 2, "compare": 1}),  # stereoset's are the same
        (GenBiasSupply, {"measure": 3}),  # those of unedited models
        (BlockInfluence, {"measure": 3, "locate": 1}),  # it is an option of the method, too
    ],
)
def test_a_new_version_of_a_plug_in_gives_new_keys_to_what_uses_it(
    planned: Callable[..., Plan],
    base_plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    plug_in: type,
    kept: dict[str, int],
) -> None:
    monkeypatch.setattr(plug_in, "version", "99")
    same = {*keys(base_plan)} & {*keys(planned())}
    assert Counter(key.partition("-")[0] for key in same) == kept


LISTS = {"axes": {"gender": {"f": ["aunt"], "m": ["uncle"]}}}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "method", ["cda, source: {{name: texts, LISTS}}, supply: planted", "cafie, LISTS"]
)
def test_changed_word_lists_give_a_new_key(
    planned: Callable[..., Plan], tmp_path: Path, method: str
) -> None:
    file = tmp_path / "words.json"
    change = (
        "lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.001",
        method.replace("LISTS", f"axes: [gender], lists: {file}"),
    )
    outcome = []
    for word in ("aunt", "niece"):
        file.write_text(json.dumps(LISTS).replace("aunt", word), encoding="utf-8")
        outcome.append({step.key for step in planned(change).of("fit")})
    assert outcome[0].isdisjoint(outcome[1])


OWN = '''
from equipoise.locate.block_influence import BlockInfluence

class Mine(BlockInfluence):
    """Of a file that is still being written."""
'''


@pytest.mark.thorough
def test_changed_plug_in_file_gives_a_new_key(planned: Callable[..., Plan], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"

    def located() -> set[str]:
        for name in [
            module for module in sys.modules if module.startswith("equipoise_plugin_mine_")
        ]:
            del sys.modules[name]  # as in another process
        plan = planned(("[block_influence,", f"['{file}:Mine',"))
        return {step.key for step in plan.of("locate")}

    file.write_text(OWN)
    first = located()
    file.write_text(OWN + "# changed\n")
    assert len(first - located()) == 1


def test_what_is_supplied_is_part_of_a_fit_whatever_file_it_came_from(
    planned: Callable[..., Plan], base_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply_all = GenBiasSupply.supply

    def supply_less(supplier: GenBiasSupply) -> Supply:
        supply = supply_all(supplier)
        return replace(supply, prompts=supply.prompts[:-1])

    monkeypatch.setattr(GenBiasSupply, "supply", supply_less)
    after = {*keys(planned())}
    assert after.isdisjoint(step.key for step in base_plan.of("fit"))
    assert after >= {step.key for step in base_plan.of("measure") if not step.needs}


def test_a_changed_model_folder_is_another_model(
    planned: Callable[..., Plan], base_plan: Plan, tiny_folder: Path
) -> None:
    config = tiny_folder / "generation_config.json"
    text = config.read_text()
    try:
        config.write_text(text + "\n")
        after = planned()
    finally:
        config.write_text(text)
    assert set(keys(base_plan)).isdisjoint(keys(after))


def save_prompt(folder: Path, base: Path | None) -> Path:
    """An edit in a folder; None: it does not say of what."""
    info = EditInfo(
        method="prompt_prefix", version="1", options={}, seed=0, base="", base_fingerprint="",
        trained_on=frozenset(), origin="", base_name="" if base is None else str(base),
    )  # fmt: skip
    PromptEdit(info=info, prompts=("A ",)).save(folder)
    return folder


def save_adapter(folder: Path, base: Path | None) -> Path:
    """Of a PEFT adapter what a plan reads."""
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": None if base is None else str(base)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("given", [True, False], ids=["given", "named"])
@pytest.mark.parametrize("kind", ["adapter", "edit", "edit of an edit"])
def test_a_changed_base_folder_is_another_model(
    written: Callable[..., Path], tmp_path: Path, kind: str, given: bool
) -> None:
    base = bottom = save_tiny(tmp_path / "base")
    if kind == "edit of an edit":
        base = save_prompt(tmp_path / "first", base)
    save = save_adapter if kind == "adapter" else save_prompt
    folder = save(tmp_path / "edit", None if given else base)
    text = "benchmarks: [genbias]\ndata: planted:default\nmodels: {{name: MODEL}}\n"
    text = text.replace("MODEL", f"{folder}, base: {base}" if given else str(folder))

    def planned_keys() -> list[str]:
        return keys(plan(Recipe.from_yaml(written(text))))

    first = planned_keys()
    assert planned_keys() == first
    config = bottom / "generation_config.json"
    config.write_text(config.read_text() + "\n")
    assert set(first).isdisjoint(planned_keys())


def test_a_comparison_does_without_seeds_that_failed(base_plan: Plan) -> None:
    recipe, step = base_plan.recipe, base_plan.of("compare")[0]
    before, first, second = step.needs
    assert without_failed(recipe, step, set()) is step
    left = without_failed(recipe, step, {first.key})
    assert left is not None
    assert [need.key for need in left.needs] == [before.key, second.key]
    assert left.key != step.key
    assert without_failed(recipe, step, {first.key, second.key}) is None
    assert without_failed(recipe, step, {before.key}) is None
    assert without_failed(recipe, first, {first.needs[0].key}) is None


def test_the_resolved_recipe_has_every_option_with_its_default(base_plan: Plan) -> None:
    method = base_plan.resolved["mitigations"]["parity"]  # type: ignore[index, call-overload]
    assert method["name"] == "lftf"  # type: ignore[index, call-overload]
    assert method["options"]["batch_size"] == 32  # type: ignore[index, call-overload]


def test_steps_are_equal_by_content(base_plan: Plan) -> None:
    step = base_plan.steps[0]
    assert replace(step, seed=3).key == step.key
