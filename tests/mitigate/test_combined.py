"""Two mitigations as one: the same edits as alone, in their order, saved, merged and refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_adapters import adapter_for
from tiny_folder import save_tiny
from worlds import in_world

from equipoise.checks.learnt import read_learnt
from equipoise.edits.edit import fingerprint
from equipoise.edits.registry import CombinedEdit, load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.mitigate.base import Mitigation, single_parts
from equipoise.mitigate.combined import Combined
from equipoise.mitigate.lftf import Lftf
from equipoise.mitigate.prompt_explain import PromptExplain
from equipoise.mitigate.self_debias import SelfDebias
from equipoise.mitigate.transfer import Transfer
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON, Continuation, Supply
from equipoise.study.execution import EDIT, LEARNT
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import check_mitigation, tiny_model, tiny_supply

SUPPLY = replace(tiny_supply(), measured=())
TRAINED = Lftf(epochs=1, learning_rate=0.01)
REQUESTS = [
    Continuation(context="The nurse said that", continuation=word) for word in (" he", " x")
]


def fit(method: Mitigation, supply: Supply = SUPPLY) -> CombinedEdit:
    edit = method.fit(model(), supply, seed=3)
    assert isinstance(edit, CombinedEdit)
    return edit


def model() -> LanguageModel:
    return tiny_model(context=512)


@pytest.mark.thorough
def test_without_the_first_the_second_is_the_edit_that_it_is_alone() -> None:
    alone = TRAINED.fit(model(), SUPPLY, seed=3)
    asked = PromptExplain().fit(model(), SUPPLY, seed=3)
    combined = fit(Combined(first=PromptExplain(), second=TRAINED, second_on="base"))
    assert (combined.first.content, combined.second.content) == (asked.content, alone.content)
    assert combined.second.info == alone.info
    assert combined.info.trained_on == alone.info.trained_on != frozenset()


@pytest.mark.thorough
def test_both_are_on_the_model_and_the_record_names_both() -> None:
    combined, tiny = fit(Combined(first=TRAINED, second=PromptExplain())), model()
    plain = tiny.score(REQUESTS)
    with combined.attached(tiny) as both:
        scores = both.score(REQUESTS)
        with combined.first.attached(model()) as once, combined.second.attached(once) as twice:
            assert scores == twice.score(REQUESTS) != once.score(REQUESTS)
        assert both.identity.endswith(f"+combined:{combined.content[:8]}")
        assert both.trained_on == combined.info.trained_on
        methods = [edit["method"] for edit in both.source["edits"]]  # type: ignore[index, union-attr, call-overload]
        assert methods == ["lftf", "prompt_explain", "combined"]
    assert tiny.score(REQUESTS) == plain


@pytest.mark.thorough
def test_the_second_learns_on_the_model_with_the_first() -> None:
    twice = Combined(first=TRAINED, second=Lftf(epochs=1, learning_rate=0.01))
    combined = fit(twice)
    assert combined.second.info.base_fingerprint != combined.first.info.base_fingerprint
    with pytest.raises(ModelError, match="'lftf' and 'lftf' must go together") as caught:
        fit(replace(twice, second_on="base"))
    # the remedy of the message is what worked above
    assert str(caught.value).endswith("learn the second on the edited model (second_on: edited)")


def test_two_that_cannot_stand_on_one_model_are_refused() -> None:
    rules = Combined(first=SelfDebias(), second=SelfDebias(decay=1.0))
    with pytest.raises(ModelError, match="must have a single decoding rule") as caught:
        fit(rules)
    assert str(caught.value).endswith("take one of them")


@pytest.mark.thorough
def test_it_is_saved_with_both_parts_and_an_exchanged_part_is_found(tmp_path: Path) -> None:
    combined = fit(Combined(first=PromptExplain(), second=TRAINED))
    combined.save(tmp_path / "edit")
    assert "`second`, which is put on the model" in (tmp_path / "edit" / "README.md").read_text()
    again = load_edit(tmp_path / "edit")
    assert (again.info, again.content) == (combined.info, combined.content)
    assert load_edit(tmp_path / "edit" / "second").content == combined.second.content
    with again.attached(model()) as read, combined.attached(model()) as learnt:
        assert read.score(REQUESTS) == learnt.score(REQUESTS)
    other = fit(Combined(first=PromptExplain(only=1), second=TRAINED))
    assert other.content != combined.content
    (tmp_path / "edit" / "first").rename(tmp_path / "first")
    other.first.save(tmp_path / "edit" / "first")
    with pytest.raises(StoreError, match="first must have the content"):
        load_edit(tmp_path / "edit")


@pytest.mark.thorough
def test_parts_of_parts(tmp_path: Path) -> None:
    method = Combined(
        first=Combined(first=TRAINED, second=PromptExplain()), second=PromptExplain(only=2)
    )
    assert [name_of(part) for part in single_parts(method)] == [
        "lftf", "prompt_explain", "prompt_explain",
    ]  # fmt: skip
    combined = fit(method)
    combined.save(tmp_path / "edit")
    with load_edit(tmp_path / "edit").attached(model()) as edited:
        (prompt,) = edited.prompts
    # the later prompt is inside
    assert prompt.count("Task: ") == 2
    assert prompt.count("{input}") == 1


@pytest.mark.thorough
def test_weights_are_merged_and_a_prompt_is_named_as_what_cannot_be(tmp_path: Path) -> None:
    tiny = model()
    name = "model.norm.weight"
    weights = WeightEdit(
        info=replace(TRAINED.fit(tiny, SUPPLY, seed=0).info,
                     base_fingerprint=fingerprint(tiny.module, [name])),
        tensors={name: tiny.module.get_parameter(name).detach() * 1.5},
    )  # fmt: skip
    combined = CombinedEdit(info=weights.info, first=weights, second=adapter_for(tiny))
    merge(combined.apply(model()), tmp_path / "merged")
    merged = load(str(tmp_path / "merged"))
    with combined.attached(tiny) as edited:
        for read, expected in zip(merged.score(REQUESTS), edited.score(REQUESTS), strict=True):
            assert read.logprob == pytest.approx(expected.logprob, abs=1e-4)
        assert merged.trained_on == edited.trained_on
    asked = fit(Combined(first=PromptExplain(), second=TRAINED)).apply(model())
    with pytest.raises(ModelError, match="has the prompt 'Task: "):
        merge(asked, tmp_path / "asked")


def test_what_it_learns_and_is_told_is_what_its_parts_are() -> None:
    typed: JSON = {"name": "oracle_type", "type": "gender"}
    oracle = build(Mitigation, "self_debias", {"mode": typed})
    oracular = Combined(first=PromptExplain(), second=oracle)
    assert (oracular.learns, oracular.item_info) == (False, ("bias type",))
    learning = Combined(first=PromptExplain(), second=TRAINED)
    assert (learning.learns, learning.item_info) == (True, ())
    bias_edit = build(Mitigation, "bias_edit")
    assert Combined(first=bias_edit, second=PromptExplain()).taught_by == bias_edit.taught_by


@pytest.mark.thorough
def test_options_are_names_or_mappings_and_survive() -> None:
    method = build(
        Mitigation, "combined", {"first": "prompt_explain", "second": {"name": "lftf", "epochs": 1}}
    )
    assert build(Mitigation, name_of(method), options_of(method)) == method
    check_mitigation(Combined(first=SelfDebias(), second=PromptExplain()))
    with pytest.raises(RecipeError, match=r"combined\.second must be given"):
        build(Mitigation, "combined", {"first": "prompt_explain"})


# --- in a study -----------------------------------------------------------------------------------

RECIPE = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: genbias, split_by: both}}]
mitigations:
  - {{name: prompt_explain, as: asked, instruction: 'Q: {{input}} '}}
  - {{name: lftf, as: trained, epochs: 1, learning_rate: 0.01}}
  - name: combined
    as: both
    first: {{name: prompt_explain, instruction: 'Q: {{input}} '}}
    second: {{name: lftf, epochs: 1, learning_rate: 0.01}}
    second_on: base
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 20
limit: 12
"""


@pytest.mark.thorough
def test_a_study_takes_the_edits_that_it_has_learnt_alone(
    tmp_path: Path, study_plan: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = study_plan(RECIPE)
    fitted: list[int] = []
    learn = Lftf.fit

    def counted(method: Lftf, *given: object, seed: int) -> object:
        fitted.append(seed)
        return learn(method, *given, seed=seed)  # type: ignore[arg-type]

    monkeypatch.setattr(Lftf, "fit", counted)
    store = Store.open(tmp_path / "run")
    assert run(planned, store).failed == ()
    assert fitted == [0, 1]  # not once more for both together
    of = {(str(s.mitigation and s.mitigation.label), s.seed): s.key for s in planned.of("fit")}
    for seed in (0, 1):
        both = load_edit(store.step(of["both", seed]) / EDIT)
        assert isinstance(both, CombinedEdit)
        for part, label in ((both.first, "asked"), (both.second, "trained")):
            key = of.get((label, seed)) or of[label, 0]  # a prompt uses no seed
            assert part.content == load_edit(store.step(key) / EDIT).content
        learnt = [read_learnt(store.step(of[name, seed]) / LEARNT) for name in ("both", "trained")]
        assert learnt[0] == learnt[1]
    study = read_study(tmp_path / "run")
    assert {chapter.mitigation for chapter in study.chapters} == {"asked", "trained", "both"}
    assert study.missing == ()


@pytest.mark.thorough
def test_a_recipe_that_measures_what_a_part_learnt_is_refused(
    tmp_path: Path, study_plan: Callable[[str], Plan]
) -> None:
    leak = RECIPE.replace("split_by: both}}]", "split_by: both, split: train}}]", 1)
    only_both = "\n".join(line for line in leak.splitlines() if "as: trained" not in line)
    with pytest.raises(RecipeError, match="among what 'both' learns from"):
        study_plan(only_both)
    with in_world():
        taught = GenBiasSupply(split_by="both").supply().learnt_hashes()
    adapter = adapter_for(tiny_model("llama"))
    info = replace(adapter.info, trained_on=taught)
    replace(adapter, info=info).save(tmp_path / "edit")
    transfer = f"{{{{name: transfer, edit: {tmp_path / 'edit'}}}}}"
    second = "{{name: lftf, epochs: 1, learning_rate: 0.01}}\n    second_on"
    with pytest.raises(RecipeError, match="among what the edits of 'both' learnt from"):
        study_plan(only_both.replace(second, f"{transfer}\n    second_on"))
    assert Combined(first=Transfer(edit="x"), second=PromptExplain()).learns


@pytest.fixture
def study_plan(tmp_path: Path, tiny_folder: Path) -> Callable[[str], Plan]:
    def make(text: str) -> Plan:
        (tmp_path / "study.yaml").write_text(text.format(model=tiny_folder), encoding="utf-8")
        return plan(Recipe.from_yaml(tmp_path / "study.yaml"))

    return make


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")
