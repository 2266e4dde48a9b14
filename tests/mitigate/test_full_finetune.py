"""FPFT: every parameter, tied ones once, and the same objectives as LFTF."""

from dataclasses import fields

import pytest
import torch

from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON, Prompt, Supply
from equipoise.testing import tiny_model
from equipoise.training.pronoun_losses import Parity
from equipoise.training.pronoun_training import PronounOptions

SUPPLY = Supply(
    origin="tiny",
    prompts=tuple(
        Prompt(id=job, text=f"The {job} ran because") for job in ("nurse", "baker", "pilot")
    ),
    hinted=(Prompt(id="h", text="The judge took his bag because"),),
)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["llama", "gpt2"])  # head of its own, tied head
def test_every_parameter_is_trained_once(family: str) -> None:
    model = tiny_model(family)
    named = model.module.named_parameters()
    before = {name: parameter.detach().clone() for name, parameter in named}
    edit = FullFinetune().fit(model, SUPPLY, seed=0)
    assert set(edit.tensors) == set(before)
    with edit.attached(model) as edited:
        after = dict(edited.module.named_parameters())
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        head = edited.module.get_output_embeddings().weight
        embeddings = edited.module.get_input_embeddings().weight
        assert (head is embeddings) == edited.module.config.tie_word_embeddings
    assert any("embed" in name or "wte" in name for name in moved)
    for name, parameter in model.module.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.thorough
def test_the_loss_falls() -> None:
    report = FullFinetune(epochs=10).fit(tiny_model(), SUPPLY, seed=0).info.report
    assert report["steps"] == 10
    assert report["last_loss"] < report["first_loss"] - 1


def test_options_are_those_of_lftf_and_round_trip() -> None:
    shared = {field.name for field in fields(PronounOptions)}
    assert {field.name for field in fields(FullFinetune)} == shared
    assert shared < {field.name for field in fields(Lftf)}
    method = FullFinetune(objective=Parity(mass_weight=2.0), epochs=3)
    assert build(Mitigation, name_of(method), options_of(method)) == method
    wrong: JSON = {"name": "parity", "terms": "she"}
    with pytest.raises(RecipeError, match="full_finetune"):
        build(Mitigation, "full_finetune", {"objective": wrong})
