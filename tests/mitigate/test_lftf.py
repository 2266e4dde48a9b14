"""LFTF: which parameters it trains, what it records, and every option."""

from functools import cache

import pytest
import torch

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.block_influence import BlockInfluence
from equipoise.locate.random_block import RandomBlock
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.lftf import Lftf
from equipoise.models.anatomy import blocks
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON, Prompt, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model
from equipoise.training.pronoun_losses import CeBoth, Parity

SHAPES = ("llama", "gpt2", "opt", "gemma3")  # of blocks: names and norms differ most

SUPPLY = Supply(
    origin="tiny",
    prompts=tuple(
        Prompt(id=job + act, text=f"The {job} {act} because")
        for job in ("nurse", "baker", "pilot", "clerk")
        for act in ("ran", "smiled a lot")
    ),
    hinted=tuple(
        Prompt(id=job + word, text=f"The {job} took {word} bag because")
        for job in ("judge", "tailor")
        for word in ("his", "her")
    ),
    texts=("A door is open.",),
)


def fitted(family: str = "llama", *, seed: int = 0, **options: object) -> WeightEdit:
    method = Lftf(**{"words": ("a", "b"), **options})  # type: ignore[arg-type]  # of one byte: fast
    return method.fit(tiny_model(family, blocks=3), SUPPLY, seed=seed)


@cache
def plain() -> WeightEdit:
    """With the default options."""
    return fitted()


def names(edit: WeightEdit) -> set[str]:
    return set(edit.tensors)


@pytest.mark.thorough
@pytest.mark.parametrize("family", SHAPES)
def test_only_the_located_block_changes(family: str) -> None:
    model = tiny_model(family, blocks=3)
    edit = Lftf(words=("a", "b")).fit(model, SUPPLY, seed=0)
    (located,) = edit.info.report["blocks"]
    ranking = BlockInfluence().locate(model, SUPPLY.prompts, seed=0)
    assert located == ranking.order[0]
    named = dict(model.module.named_parameters())
    of_block = {id(parameter) for parameter in blocks(model.module)[located].parameters()}
    inside = {name for name, parameter in named.items() if id(parameter) in of_block}
    assert names(edit) == inside
    before = {name: parameter.detach().clone() for name, parameter in named.items()}
    with edit.attached(model) as edited:
        changed = {
            name
            for name, parameter in edited.module.named_parameters()
            if not torch.equal(parameter, before[name])
        }
    assert changed
    assert changed <= inside


@pytest.mark.thorough
def test_edit_info() -> None:
    info = fitted(epochs=3, batch_size=4).info
    assert info.method == "lftf"
    assert info.base == "tiny-llama@0"
    assert info.origin == "tiny"
    assert info.trained_on == {text_sha256(text) for text in SUPPLY.learnt_texts()}
    assert info.options["locator"] == {"name": "block_influence", **options_of(BlockInfluence())}
    assert info.report["steps"] == 6
    assert info.report["learning_rate"] == pytest.approx(1e-5 * 4096 / 32)
    assert info.report["last_loss"] < info.report["first_loss"]
    assert len(info.report["ranking"]["scores"]) == 3


@pytest.mark.thorough
def test_k_blocks_are_the_first_of_the_ranking() -> None:
    edit = fitted(blocks=2)
    scores = edit.info.report["ranking"]["scores"]
    expected = sorted(range(3), key=lambda block: -scores[block])[:2]
    assert list(edit.info.report["blocks"]) == expected
    assert {int(name.split(".")[2]) for name in names(edit)} == set(expected)


def test_more_blocks_than_there_are() -> None:
    with pytest.raises(RecipeError, match=r"lftf\.blocks must be at most 3 in tiny-llama@0, got 4"):
        fitted(blocks=4)


@pytest.mark.thorough
def test_any_locator() -> None:
    for seed in range(2):
        (block,) = fitted(locator=RandomBlock(), epochs=1, seed=seed).info.report["blocks"]
        ranking = RandomBlock().locate(tiny_model(blocks=3), SUPPLY.prompts, seed=seed)
        assert block == ranking.order[0]


def trained_names(model: LanguageModel, **options: object) -> set[str]:
    """What would be trained of the second block."""
    return set(Lftf(**options)._trained_parameters(model, (1,)))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", SHAPES)
def test_parts_of_the_block(family: str) -> None:
    model = tiny_model(family)
    everything = trained_names(model)
    attention, mlp = (trained_names(model, train=part) for part in ("attention", "mlp"))
    assert attention
    assert mlp
    assert not attention & mlp
    others = everything - attention - mlp
    assert all("norm" in name or "ln_" in name for name in others)
    assert others | attention | mlp == everything
    without = trained_names(model, norms=False)
    assert without < everything
    assert not any("norm" in name or "ln_" in name for name in without)


def different(first: WeightEdit, other: WeightEdit) -> bool:
    return any(not torch.equal(first.tensors[name], other.tensors[name]) for name in names(first))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [{"objective": Parity()}, {"words": (" him", " her")}, {"keep_hints": 1.0}, {"epochs": 1}],
    ids=str,
)
def test_options_of_training_change_the_edit(changed: dict[str, object]) -> None:
    """What each does is tested on the loss and the loop (`training`)."""
    assert different(plain(), fitted(**changed))


@pytest.mark.parametrize("changed", [{"bf16": True}, {"learning_rate": 1e-4}, {"batch_size": 2}])
@pytest.mark.slow
def test_options_of_the_schedule_change_the_edit(changed: dict[str, object]) -> None:
    assert different(plain(), fitted(**changed))


@pytest.mark.thorough
def test_seed_determines_the_edit() -> None:
    first, again, other = (fitted(epochs=1, batch_size=4, seed=seed) for seed in (0, 0, 1))
    assert not different(first, again)
    assert different(first, other)


def test_options_round_trip_and_nested_ones_are_built() -> None:
    nested: dict[str, JSON] = {
        "locator": {"name": "random_block"},
        "blocks": 2,
        "objective": {"name": "parity", "mass_weight": 5.0},
    }
    method = build(Mitigation, "lftf", nested)
    assert method == Lftf(locator=RandomBlock(), blocks=2, objective=Parity(mass_weight=5.0))
    assert build(Mitigation, name_of(method), options_of(method)) == method
    targeted = Lftf(words=("a", "b", "c"), objective=CeBoth(target=(0.2, 0.3, 0.5)))
    assert build(Mitigation, "lftf", options_of(targeted)) == targeted
    assert build(Mitigation, "lftf", {"objective": "parity"}) == Lftf(objective=Parity())


@pytest.mark.parametrize(
    "options",
    [
        {"objective": {"name": "parity", "terms": "he"}},
        {"objective": {"name": "ce_both", "mass_weight": 2.0}},
        {"objective": {"name": "ce_both", "target": [0.9, 0.9]}},
        {"objective": {"name": "parity", "mass_weight": -1.0}},
        {"words": [" he"]},
        {"blocks": 0},
        {"keep_hints": -1.0},
        {"learning_rate": 0.0},
    ],
    ids=str,
)
def test_invalid_options(options: dict[str, JSON]) -> None:
    with pytest.raises(RecipeError, match="lftf"):
        build(Mitigation, "lftf", options)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_block_of_a_model_in_bfloat16(family: str) -> None:
    """Its block is trained in float32 among weights that are not."""
    model = tiny_model(family, blocks=3)
    full = Lftf(epochs=1).fit(model, SUPPLY, seed=0)
    model.module.to(torch.bfloat16)
    edit = Lftf(epochs=1).fit(model, SUPPLY, seed=0)
    assert {weight.dtype for weight in model.module.parameters()} == {torch.bfloat16}
    assert {values.dtype for values in edit.tensors.values()} == {torch.bfloat16}
    assert edit.info.report["first_loss"] == pytest.approx(full.info.report["first_loss"], rel=0.05)
