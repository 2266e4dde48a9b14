"""FPFT: every parameter, tied ones once, and the same objectives as LFTF."""

import pytest
import torch

from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Prompt, Supply
from equipoise.testing import tiny_model

SUPPLY = Supply(
    origin="tiny",
    prompts=tuple(
        Prompt(id=job, text=f"The {job} ran because") for job in ("nurse", "baker", "pilot")
    ),
    hinted=(Prompt(id="h", text="The judge took his bag because"),),
)


@pytest.mark.parametrize("family", ["llama", "gpt2"])  # head of its own, tied head
def test_every_parameter_is_trained_once(family: str) -> None:
    model = tiny_model(family)
    before = {name: one.detach().clone() for name, one in model.module.named_parameters()}
    edit = FullFinetune().fit(model, SUPPLY, seed=0)
    assert set(edit.tensors) == set(before)
    with edit.attached(model) as edited:
        after = dict(edited.module.named_parameters())
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        head = edited.module.get_output_embeddings().weight
        embeddings = edited.module.get_input_embeddings().weight
        assert (head is embeddings) == edited.module.config.tie_word_embeddings
    assert any("embed" in name or "wte" in name for name in moved)
    for name, one in model.module.named_parameters():
        assert torch.equal(one, before[name])


def test_the_loss_falls() -> None:
    report = FullFinetune(epochs=10).fit(tiny_model(), SUPPLY, seed=0).info.report
    assert report["steps"] == 10
    assert report["last_loss"] < report["first_loss"] - 1


def fitted(model: LanguageModel, **options: object) -> dict[str, torch.Tensor]:
    method = FullFinetune(**{"words": ("a", "b"), **options})  # type: ignore[arg-type]  # fast
    edit = method.fit(model, SUPPLY, seed=0)
    return dict(edit.tensors)


@pytest.mark.parametrize(
    "changed",
    [
        {"objective": "parity"},
        {"terms": "he"},
        {"words": (" him", " her")},
        {"target": (0.3, 0.7)},
        {"keep_hints": 1.0},
        {"learning_rate": 1e-4},
        {"epochs": 1},
        {"batch_size": 2},
        {"bf16": True},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, object]) -> None:
    model = tiny_model()
    plain, other = fitted(model), fitted(model, **changed)
    assert any(not torch.equal(plain[name], other[name]) for name in plain)


def test_the_mass_weight_changes_parity() -> None:
    model = tiny_model()
    plain = fitted(model, objective="parity")
    other = fitted(model, objective="parity", mass_weight=5.0)
    assert any(not torch.equal(plain[name], other[name]) for name in plain)


def test_options_survive_and_wrong_ones_are_refused() -> None:
    method = FullFinetune(objective="parity", epochs=3)
    assert build(Mitigation, name_of(method), options_of(method)) == method
    with pytest.raises(RecipeError, match="full_finetune"):
        build(Mitigation, "full_finetune", {"objective": "parity", "terms": "she"})
