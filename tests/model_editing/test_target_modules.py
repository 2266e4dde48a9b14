"""Edited modules: a shift tried is a shift made, and the gradients are those of the weights."""

import pytest
import torch
from torch import Tensor, nn

from equipoise.edits.edit import parameter
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.target_modules import gradient_rows, select_target_modules, shifted
from equipoise.testing import tiny_model

FAMILIES = ("llama", "gpt2", "opt", "gpt_neox", "gemma2")
IDS = torch.tensor([[3, 70, 80, 90, 91], [3, 70, 75, 90, 92]])


def totals(model: LanguageModel) -> Tensor:
    """The log-probability of each text."""
    logprobs = model.module(input_ids=IDS).logits.float().log_softmax(-1)[:, :-1]
    return logprobs.gather(-1, IDS[:, 1:, None])[..., 0].sum(-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shift_that_is_tried_is_the_shift_that_is_made(family: str) -> None:
    model = tiny_model(family)
    targets = select_target_modules(model, None)
    generator = torch.Generator().manual_seed(0)
    shifts = [0.1 * torch.randn(shape, generator=generator) for shape in targets.shapes]
    with torch.no_grad():
        plain = totals(model)
        with shifted(targets, shifts):
            tried = totals(model)
        assert torch.equal(totals(model), plain)
        for name, weight in targets.weights(shifts).items():
            parameter(model.module, name).copy_(weight)
        changed = totals(model)
    assert not torch.allclose(tried, plain, atol=1e-2)
    torch.testing.assert_close(tried, changed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_keys_and_gradients_make_the_gradient_of_the_weight(family: str) -> None:
    model = tiny_model(family)
    targets = select_target_modules(model, (-2, -1))
    every_place = ([text for text in range(2) for _ in range(5)], [*range(5), *range(5)])
    rows = gradient_rows(targets, lambda: totals(model).square().sum(), every_place)
    shifts = [torch.zeros(shape, requires_grad=True) for shape in targets.shapes]
    with shifted(targets, shifts):
        expected = torch.autograd.grad(totals(model).square().sum(), shifts)
    for (keys, gradients), by_shift in zip(rows, expected, strict=True):
        torch.testing.assert_close(keys.T @ gradients, by_shift, rtol=1e-3, atol=1e-2)


@pytest.mark.thorough
def test_the_last_three_blocks_are_edited_or_all_of_fewer() -> None:
    assert select_target_modules(tiny_model(blocks=5), None).blocks == (2, 3, 4)
    assert select_target_modules(tiny_model(blocks=2), None).blocks == (0, 1)
    assert select_target_modules(tiny_model(blocks=5), (-1, 0)).blocks == (0, 4)


@pytest.mark.parametrize("numbers", [(2,), (-3,), (0, -2), ()])
def test_blocks_that_do_not_exist_or_are_named_twice_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError, match=r"from -2 to 1 .* got \["):
        select_target_modules(tiny_model(), numbers)


def test_a_module_without_a_plain_weight_is_refused() -> None:
    class Wrapped(nn.Module):
        def __init__(self, base: nn.Module) -> None:
            super().__init__()
            self.base = base

    model = tiny_model()
    mlp = model.module.get_submodule("model.layers.1.mlp")
    mlp.down_proj = Wrapped(mlp.down_proj)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"mlp output of block 1 .* Wrapped"):
        select_target_modules(model, None)
