"""Log-probabilities and divergences from an output layer equal plain autograd, in any chunks."""

from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from equipoise.inference.lm_head import OutputLayer
from equipoise.training import chunked_head as head_losses
from equipoise.training.chunked_head import (
    Direction,
    divergence,
    token_logprobs,
    truncated_divergence,
)

Kind: TypeAlias = tuple[float, float, float | None]

PLACES, WIDTH, VOCABULARY = 7, 5, 11
#: scale, divisor and cap: of most families, of Gemma 2, of Cohere, of Granite, and all
KINDS = [(1.0, 1.0, None), (1.0, 1.0, 2.0), (0.25, 1.0, None), (1.0, 6.0, None), (3.0, 2.0, 1.5)]


@pytest.fixture(params=[3, 100], ids="chunks of {}".format)
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_losses, "_CHUNK", request.param * VOCABULARY)


def head(*, bias: bool, kind: Kind = KINDS[0]) -> OutputLayer:
    layer = nn.Linear(WIDTH, VOCABULARY, bias=bias)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4))
            )
    scale, divisor, cap = kind
    layer.requires_grad_(False)
    return OutputLayer(linear=layer, scale=scale, divisor=divisor, cap=cap)


def logits(layer: OutputLayer, hidden: Tensor) -> Tensor:
    """As the families write it."""
    logits: Tensor = layer.linear(hidden) * layer.scale / layer.divisor
    return logits if layer.cap is None else layer.cap * torch.tanh(logits / layer.cap)


def states(seed: int) -> Tensor:
    return torch.randn(PLACES, WIDTH, generator=torch.Generator().manual_seed(seed))


def gradient(value: Tensor, of: Tensor) -> Tensor:
    """Of a weighted sum, so that each place's own gradient counts."""
    (grad,) = torch.autograd.grad((value * torch.arange(1.0, len(value) + 1)).sum(), of)
    return grad


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_token_logprobs_and_gradients_match_autograd(bias: bool, kind: Kind) -> None:
    layer, hidden = head(bias=bias, kind=kind), states(0).requires_grad_()
    tokens = torch.tensor([0, 10, 3, 3, 7, 1, 2])
    truth = logits(layer, hidden).log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    values = token_logprobs(hidden, layer, tokens)
    torch.testing.assert_close(values, truth)
    torch.testing.assert_close(gradient(values, hidden), gradient(truth, hidden))


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", KINDS)
def test_divergence_and_gradient_match_torch(bias: bool, direction: Direction, kind: Kind) -> None:
    layer, hidden, before = head(bias=bias, kind=kind), states(0).requires_grad_(), states(1)
    now, was = logits(layer, hidden).log_softmax(-1), logits(layer, before).log_softmax(-1)
    first, second = (
        (now, was) if direction == "forward" else (was, now)
    )  # kl_div: KL(second || first)
    truth = kl_div(first, second, log_target=True, reduction="none").sum(-1)
    values = divergence(hidden, before, layer, direction=direction)
    assert float(values.detach().min()) > 0.01
    torch.testing.assert_close(values, truth)
    torch.testing.assert_close(gradient(values, hidden), gradient(truth, hidden))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_self_divergence_and_its_gradient_are_zero(direction: Direction) -> None:
    hidden = states(0).requires_grad_()
    values = divergence(hidden, hidden.detach().clone(), head(bias=True), direction=direction)
    assert float(values.detach().abs().max()) < 1e-6
    assert float(gradient(values, hidden).abs().max()) < 1e-6


def test_lm_head_gets_no_gradient() -> None:
    layer, hidden = head(bias=True), states(0).requires_grad_()
    layer.linear.requires_grad_()
    token_logprobs(hidden, layer, torch.zeros(PLACES, dtype=torch.long)).sum().backward()
    assert hidden.grad is not None
    assert layer.linear.weight.grad is None


def test_half_precision_gives_float32_values_and_half_precision_gradients() -> None:
    layer = head(bias=False)
    layer.linear.bfloat16()
    hidden = states(0).bfloat16().requires_grad_()
    tokens = torch.zeros(PLACES, dtype=torch.long)
    values = token_logprobs(hidden, layer, tokens)
    assert values.dtype == torch.float32
    values.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
    truth = logits(layer, hidden.detach()).float().log_softmax(-1)[:, 0]
    torch.testing.assert_close(values.detach(), truth)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("kind", KINDS)
def test_truncated_divergence_and_gradients_match_autograd(kind: Kind) -> None:
    layer, hidden = head(bias=True, kind=kind), states(0).requires_grad_()
    target = logits(layer, states(3)).softmax(-1)
    top = target.topk(4)
    shares = torch.cat([top.values, 1 - top.values.sum(-1, keepdim=True)], dim=-1)
    model = logits(layer, hidden).softmax(-1).gather(1, top.indices)
    model = torch.cat([model, 1 - model.sum(-1, keepdim=True)], dim=-1)
    truth = kl_div(model.log(), shares, reduction="none").sum(-1)
    value = truncated_divergence(hidden, layer, top.indices, shares)
    assert torch.allclose(value, truth, atol=1e-6)
    assert torch.allclose(gradient(value, hidden), gradient(truth, hidden), atol=1e-5)


def test_truncated_divergence_of_logits_is_that_behind_the_layer() -> None:
    layer, hidden = head(bias=True), states(0)
    top = logits(layer, states(3)).softmax(-1).topk(4)
    shares = torch.cat([top.values, 1 - top.values.sum(-1, keepdim=True)], dim=-1)
    values = logits(layer, hidden).requires_grad_()
    value = truncated_divergence(values, None, top.indices, shares)
    assert torch.allclose(value, truncated_divergence(hidden, layer, top.indices, shares))
    assert gradient(value, values).abs().max() > 0


def test_truncated_divergence_of_all_but_a_token_is_the_whole() -> None:
    layer, hidden = head(bias=True), states(0)
    target = logits(layer, states(3)).softmax(-1)
    top = target.topk(VOCABULARY - 1)
    shares = torch.cat([top.values, 1 - top.values.sum(-1, keepdim=True)], dim=-1)
    whole = kl_div(logits(layer, hidden).log_softmax(-1), target, reduction="none").sum(-1)
    value = truncated_divergence(hidden, layer, top.indices, shares)
    assert torch.allclose(value, whole, atol=1e-5)
