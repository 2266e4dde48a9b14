"""Edited modules: a shift tried is a shift made, and the gradients are those of the weights."""

import pytest
import torch
from torch import Tensor, nn

from equipoise.edits.edit import parameter
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import Query
from equipoise.model_editing.bias_edit_reading import pairs_of, readable, scores_of
from equipoise.model_editing.target_modules import shifted, sites, watched
from equipoise.records import Contrast
from equipoise.testing import tiny_model

FAMILIES = ("llama", "gpt2", "opt", "gpt_neox", "gemma2")
CONTRAST = Contrast(id="x", context="The cook", stereotype=" sang.", antistereotype=" slept well.")


def queries(model: LanguageModel) -> list[Query]:
    (pair,) = pairs_of(model, [CONTRAST], whole=True)
    return [pair.stereotype, pair.antistereotype]


def totals(model: LanguageModel) -> Tensor:
    return scores_of(model, queries(model)).total


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["mlp", "attention"])
def test_a_shift_that_is_tried_is_the_shift_that_is_made(family: str, part: str) -> None:
    model = tiny_model(family)
    found = sites(model, None, part)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    shifts = [0.1 * torch.randn(shape, generator=generator) for shape in found.shapes]
    with readable(model), torch.no_grad():
        plain = totals(model)
        with shifted(found, shifts):
            tried = totals(model)
        assert torch.equal(totals(model), plain)
        for name, weight in found.weights(shifts).items():
            parameter(model.module, name).copy_(weight)
        made = totals(model)
    assert not torch.allclose(tried, plain, atol=1e-2)
    torch.testing.assert_close(tried, made, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_keys_and_gradients_make_the_gradient_of_the_weight(family: str) -> None:
    model = tiny_model(family)
    found = sites(model, (-2, -1), "mlp")
    with readable(model):
        with watched(found) as seen:
            loss = totals(model).square().sum()
            by = torch.autograd.grad(loss, [seen.zeros[0], seen.zeros[1]])
        made = [
            seen.keys[index].flatten(0, 1).T @ gradient.flatten(0, 1)
            for index, gradient in enumerate(by)
        ]
        shifts = [torch.zeros(shape, requires_grad=True) for shape in found.shapes]
        with shifted(found, shifts):
            expected = torch.autograd.grad(totals(model).square().sum(), shifts)
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-2)


def test_the_last_three_blocks_are_edited_or_all_of_fewer() -> None:
    assert sites(tiny_model(blocks=5), None, "mlp").blocks == (2, 3, 4)
    assert sites(tiny_model(blocks=2), None, "mlp").blocks == (0, 1)
    assert sites(tiny_model(blocks=5), (-1, 0), "mlp").blocks == (0, 4)


@pytest.mark.parametrize("numbers", [(2,), (-3,), (0, -2), ()])
def test_blocks_that_are_not_there_or_named_twice_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError, match=r"blocks must be different ones from -2 to 1 .* got \["):
        sites(tiny_model(), numbers, "mlp")


def test_a_module_without_a_plain_weight_is_refused() -> None:
    class Wrapped(nn.Module):
        def __init__(self, base: nn.Module) -> None:
            super().__init__()
            self.base = base

    model = tiny_model()
    mlp = model.module.get_submodule("model.layers.1.mlp")
    mlp.down_proj = Wrapped(mlp.down_proj)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"mlp output of block 1 .* must be a Linear .* Wrapped"):
        sites(model, None, "mlp")
