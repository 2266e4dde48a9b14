"""Hooks read what the blocks really see, and replaying from a block changes nothing."""

import pytest
import torch
from torch import Tensor, nn

from equipoise.models.anatomy import blocks, final_norm, head
from equipoise.models.hooks import (
    block_states,
    differentiable_states,
    frozen,
    read_at,
    replayed,
)
from equipoise.models.kernels import fused_gelu
from equipoise.testing import CAUSAL_FAMILIES, FAMILIES, tiny_model

TOKENS = torch.tensor([[1, 20, 30, 40, 50, 60], [1, 7, 8, 9, 10, 11]])


def states(module: nn.Module) -> tuple[dict[int, Tensor], dict[int, Tensor], Tensor]:
    with torch.no_grad(), block_states(list(blocks(module))) as recorded:
        logits = module(input_ids=TOKENS).logits
    return recorded.before, recorded.after, logits


@pytest.mark.parametrize("family", FAMILIES)
def test_states_equal_transformers_hidden_states_before_the_final_norm(family: str) -> None:
    module = tiny_model(family, blocks=3).module
    before, after, _ = states(module)
    with torch.no_grad():
        theirs = module(input_ids=TOKENS, output_hidden_states=True).hidden_states
    for block in range(3):
        assert torch.equal(before[block], theirs[block])
    for block in range(2):
        assert torch.equal(after[block], theirs[block + 1])


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_last_transformers_hidden_state_is_after_the_final_norm(family: str) -> None:
    module = tiny_model(family, blocks=3).module
    _, after, _ = states(module)
    with torch.no_grad():
        theirs = module(input_ids=TOKENS, output_hidden_states=True).hidden_states[-1]
        normed = final_norm(module)(after[2])
    assert torch.allclose(normed, theirs, atol=1e-6)
    assert not torch.allclose(after[2], theirs, atol=1e-2)


@pytest.mark.thorough
@pytest.mark.parametrize("start", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_replaying_equals_a_full_forward_bit_for_bit(family: str, start: int) -> None:
    module = tiny_model(family, blocks=3).module
    before, _, logits = states(module)
    with torch.no_grad(), replayed(list(blocks(module)), start, before[start]):
        again = module(input_ids=TOKENS).logits
    assert torch.equal(again, logits)


def test_replaying_does_not_run_earlier_blocks() -> None:
    module = tiny_model(blocks=3).module
    before, _, logits = states(module)
    with torch.no_grad():
        for block in list(blocks(module))[:2]:
            for parameter in block.parameters():
                parameter.fill_(torch.nan)
        with replayed(list(blocks(module)), 2, before[2]):
            again = module(input_ids=TOKENS).logits
    assert torch.equal(again, logits)


def test_gradients_stop_at_the_first_replayed_block() -> None:
    module = tiny_model(blocks=3).module
    before, _, _ = states(module)
    model_blocks = list(blocks(module))
    with replayed(model_blocks, 1, before[1]):
        module(input_ids=TOKENS).logits.sum().backward()
    assert all(parameter.grad is None for parameter in model_blocks[0].parameters())
    assert all(parameter.grad is not None for parameter in model_blocks[1].parameters())


def test_hooks_are_removed_after_an_error() -> None:
    module = tiny_model(blocks=3).module
    before, _, logits = states(module)
    model_blocks = list(blocks(module))
    with pytest.raises(RuntimeError, match="stop"), replayed(model_blocks, 2, before[2]):
        raise RuntimeError("stop")
    for block in model_blocks:
        assert "forward" not in vars(block)
        assert not block._forward_hooks
        assert not block._forward_pre_hooks
    assert torch.equal(states(module)[2], logits)


def test_an_already_wrapped_forward_is_restored() -> None:
    module = tiny_model(blocks=2).module
    before, _, logits = states(module)
    first = next(iter(blocks(module)))
    wrapped = first.forward
    first.forward = wrapped
    with replayed(list(blocks(module)), 1, before[1]):
        assert vars(first)["forward"] is not wrapped
    assert vars(first)["forward"] is wrapped
    assert torch.equal(states(module)[2], logits)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_logits_read_at_positions_are_those_of_the_whole_sequence(family: str) -> None:
    module = tiny_model(family).module
    full = states(module)[2]
    positions = torch.tensor([[5, 2], [3, 0]])
    with torch.no_grad(), read_at(head(module), positions):
        logits = module(input_ids=TOKENS).logits
    assert logits.shape == (2, 2, full.shape[-1])
    assert torch.allclose(logits, full[torch.arange(2)[:, None], positions], atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
def test_differentiable_states_equal_the_plain_states(
    family: str,
) -> None:
    module = tiny_model(family, blocks=3).module
    before, after, logits = states(module)
    model_blocks = list(blocks(module))
    with torch.no_grad(), frozen(module), differentiable_states(model_blocks) as recorded:
        answered = module(input_ids=TOKENS).logits
        every = [*recorded.before.values(), *recorded.after.values()]
        gradients = torch.autograd.grad(answered[:, -1, 0].sum(), every)
    assert torch.equal(answered, logits)
    for block in range(3):
        assert torch.equal(recorded.before[block], before[block])
        assert torch.equal(recorded.after[block], after[block])
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model_blocks)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_requires_grad_is_restored_after_an_error() -> None:
    module = tiny_model().module
    first = next(module.parameters()).requires_grad_(False)
    flags = [parameter.requires_grad for parameter in module.parameters()]
    with frozen(module):
        assert not any(parameter.requires_grad for parameter in module.parameters())
    assert [parameter.requires_grad for parameter in module.parameters()] == flags
    with pytest.raises(RuntimeError, match="stop"), frozen(module):
        raise RuntimeError("stop")
    assert not first.requires_grad
    assert [parameter.requires_grad for parameter in module.parameters()] == flags


def test_the_fused_kernel_computes_the_same_and_is_removed() -> None:
    module = tiny_model("gpt2").module
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = module(ids).logits
        with fused_gelu(module):
            replaced = [part for part in module.modules() if "forward" in vars(part)]
            inside = module(ids).logits
        after = module(ids).logits
    assert len(replaced) == 2  # one a block
    torch.testing.assert_close(inside, before, rtol=1e-5, atol=1e-5)
    assert torch.equal(after, before)


def test_the_fused_kernel_is_removed_after_an_error() -> None:
    module = tiny_model("gpt2").module
    with pytest.raises(ZeroDivisionError), fused_gelu(module):
        _ = 1 / 0
    assert not [part for part in module.modules() if "forward" in vars(part)]
