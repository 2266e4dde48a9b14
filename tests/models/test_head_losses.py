"""Log-probabilities and divergences from an output layer equal plain autograd, in any chunks."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from equipoise.models import head_losses
from equipoise.models.abilities import causal_layout
from equipoise.models.head_losses import Direction, divergence, plain_head, token_logprobs
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

PLACES, WIDTH, VOCABULARY = 7, 5, 11
CAPPED = ("gemma2",)  # families whose logits are not what the layer alone gives


@pytest.fixture(params=[1, 3, 100], ids="chunks of {}".format)
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_losses, "_CHUNK", request.param * VOCABULARY)


def head(*, bias: bool) -> nn.Linear:
    layer = nn.Linear(WIDTH, VOCABULARY, bias=bias)
    with torch.no_grad():
        for one in layer.parameters():
            one.copy_(torch.randn(one.shape, generator=torch.Generator().manual_seed(4)))
    return layer.requires_grad_(False)


def states(seed: int) -> Tensor:
    return torch.randn(PLACES, WIDTH, generator=torch.Generator().manual_seed(seed))


def gradient(value: Tensor, of: Tensor) -> Tensor:
    """Of a weighted sum, so that each place's own gradient counts."""
    (found,) = torch.autograd.grad((value * torch.arange(1.0, len(value) + 1)).sum(), of)
    return found


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("bias", [True, False])
def test_token_logprobs_are_those_of_autograd(bias: bool) -> None:
    layer, hidden = head(bias=bias), states(0).requires_grad_()
    tokens = torch.tensor([0, 10, 3, 3, 7, 1, 2])
    truth = layer(hidden).log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    found = token_logprobs(hidden, layer, tokens)
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(gradient(found, hidden), gradient(truth, hidden))


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_divergence_is_torchs_with_its_gradient(bias: bool, direction: Direction) -> None:
    layer, hidden, before = head(bias=bias), states(0).requires_grad_(), states(1)
    now, was = layer(hidden).log_softmax(-1), layer(before).log_softmax(-1)
    one, other = (now, was) if direction == "forward" else (was, now)  # kl_div: KL(other || one)
    truth = kl_div(one, other, log_target=True, reduction="none").sum(-1)
    found = divergence(hidden, before, layer, direction=direction)
    assert float(found.detach().min()) > 0.01
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(gradient(found, hidden), gradient(truth, hidden))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_no_divergence_from_oneself_and_no_gradient(direction: Direction) -> None:
    hidden = states(0).requires_grad_()
    found = divergence(hidden, hidden.detach().clone(), head(bias=True), direction=direction)
    assert float(found.detach().abs().max()) < 1e-6
    assert float(gradient(found, hidden).abs().max()) < 1e-6


def test_the_layer_itself_takes_no_gradient() -> None:
    layer, hidden = head(bias=True).requires_grad_(), states(0).requires_grad_()
    token_logprobs(hidden, layer, torch.zeros(PLACES, dtype=torch.long)).sum().backward()
    assert hidden.grad is not None
    assert layer.weight.grad is None


def test_half_precision_gives_float32_values_and_gradients_of_its_own() -> None:
    layer = head(bias=False).bfloat16()
    hidden = states(0).bfloat16().requires_grad_()
    tokens = torch.zeros(PLACES, dtype=torch.long)
    found = token_logprobs(hidden, layer, tokens)
    assert found.dtype == torch.float32
    found.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
    truth = layer(hidden.detach()).float().log_softmax(-1)[:, 0]
    torch.testing.assert_close(found.detach(), truth)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_layer_is_plain_unless_the_family_caps_its_logits(family: str) -> None:
    module = tiny_model(family).module
    found = plain_head(module, causal_layout(module))
    assert (found is None) == (family in CAPPED)
    assert found is None or found is module.get_output_embeddings()


def test_a_module_that_scales_its_logits_has_no_plain_head(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_model("llama").module
    layout, plain = causal_layout(module), module.forward

    def scaled(**inputs: Any) -> Any:
        found = plain(**inputs)
        found.logits = found.logits * 0.99
        return found

    assert plain_head(module, layout) is not None
    monkeypatch.setattr(module, "forward", scaled)
    assert plain_head(module, layout) is None
