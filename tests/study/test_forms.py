"""Start token and chat form of a recipe's models: what they change in a plan and in a study."""

from collections.abc import Callable
from pathlib import Path

import pytest
from chat_forms import chat_model

from equipoise.study.load_study import read_study
from equipoise.study.plan import Kind, Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

RECIPE = """\
models: [{{name: MODEL, as: tiny FORM}}]
benchmarks: [{{name: genbias, split_by: both}}]
mitigations: [{{name: lftf, objective: parity, epochs: 1}}]
supply: {{name: genbias, split_by: both}}
data: planted:default
draws: 0
limit: 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model with a chat template."""
    model = chat_model("smollm")
    model.module.save_pretrained(tmp_path / "chat")
    model.tokenizer.save_pretrained(tmp_path / "chat")
    return tmp_path / "chat"


@pytest.fixture
def planned(written: Callable[..., Path], folder: Path) -> Callable[[str], Plan]:
    def make(form: str) -> Plan:
        text = RECIPE.replace("MODEL", str(folder)).replace(" FORM", form)
        return plan(Recipe.from_yaml(written(text)))

    return make


def keys(study_plan: Plan, kind: Kind) -> set[str]:
    return {step.key for step in study_plan.of(kind)}


@pytest.mark.thorough
def test_a_start_is_of_measuring_and_training_and_a_chat_of_measuring_alone(
    planned: Callable[[str], Plan],
) -> None:
    forms = ("", ", start: none", ", chat: true", ", chat: {{system: Be fair.}}")
    plain, start, chat, system = (planned(form) for form in forms)
    assert keys(planned(", start: auto, chat: false"), "measure") == keys(plain, "measure")
    measured = [keys(study_plan, "measure") for study_plan in (plain, start, chat, system)]
    assert len(set.union(*measured)) == sum(map(len, measured)) == 8
    assert not keys(plain, "fit") & keys(start, "fit")
    assert keys(plain, "fit") == keys(chat, "fit") == keys(system, "fit")


@pytest.mark.thorough
def test_other_bits_are_another_model_to_measure_and_to_train(
    planned: Callable[[str], Plan],
) -> None:
    plain, named, quantized = map(planned, ("", ", quantize: auto", ", quantize: nf4"))
    for kind in ("measure", "fit"):
        assert keys(plain, kind) == keys(named, kind)
        assert not keys(plain, kind) & keys(quantized, kind)


@pytest.mark.thorough
def test_a_study_measures_both_forms(
    written: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    asked = "{{name: MODEL, as: asked, start: none, chat: {{turn: assistant}}}}"
    _, *rest = RECIPE.splitlines()
    lines = [f"models: [{{{{name: MODEL, as: plain}}}}, {asked}]"]
    lines += [line for line in rest if not line.startswith("mitigations")]
    text = "\n".join(lines).replace("MODEL", str(folder)) + "\n"
    study_plan = plan(Recipe.from_yaml(written(text)))
    assert run(study_plan, Store.open(tmp_path / "run")).failed == ()
    study = read_study(tmp_path / "run")
    infos = {each.model: each.measurement.model_info for each in study.measured}
    assert (infos["plain"]["start_token"], infos["plain"]["chat"]) == ("<|endoftext|>", None)
    chat = infos["asked"]["chat"]
    assert isinstance(chat, dict)
    assert (chat["turn"], chat["request"], chat["reading"]) == (
        "assistant", "Write a sentence.", "text",
    )  # fmt: skip
