"""Log-probabilities and divergences from what a frozen output layer reads, in chunks.

The layer is a matrix product to the vocabulary. Neither the logits of all places nor their
gradients are ever kept: for each place one number comes out, and its gradient with respect to the
hidden state is computed with it, at the cost of one more product and without computing anything
twice.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from equipoise.models.forward import Layout, has_output_layer, hidden_at, logits_at
from equipoise.models.packing import tree

Direction: TypeAlias = Literal["forward", "reverse"]

_CHUNK = 2**24  # elements of logits at a time
_CLOSE = 1e-4  # of the spread of the logits


def token_logprobs(
    hidden: Float[Tensor, "place width"], head: nn.Linear, tokens: Int[Tensor, " place"]
) -> Float[Tensor, " place"]:
    """Log-probability (nats) of one token a place; gradients reach `hidden` alone."""
    return _chunked(hidden, head, _of_tokens(tokens))


def divergence(
    hidden: Float[Tensor, "place width"],
    reference: Float[Tensor, "place width"],
    head: nn.Linear,
    *,
    direction: Direction = "forward",
) -> Float[Tensor, " place"]:
    """KL divergence (nats, 0: equal) of next-token distributions at each place.

    forward: KL(reference || model); reverse: KL(model || reference). Gradients reach `hidden`.
    """
    return _chunked(hidden, head, _from_reference(reference, head, direction))


def plain_head(module: PreTrainedModel, layout: Layout) -> nn.Linear | None:
    """The output layer when it alone makes the logits; None where the module does more to them.

    Tried on a few tokens: some families cap or scale what the layer gives.
    """
    head = module.get_output_embeddings() if has_output_layer(module) else None
    if not isinstance(head, nn.Linear):
        return None
    row = tree(((5, 6, 7, 2),), (0,))
    places = torch.arange(4, device=module.device)
    with torch.no_grad():
        truth = logits_at(module, [row], places, layout).float()
        found = head(hidden_at(module, [row], places, layout)).float()
    same = found.shape == truth.shape
    close = same and bool((found - truth).abs().max() <= _CLOSE * truth.std())
    return head if close else None


def _chunked(hidden: Tensor, head: nn.Linear, rule: "_Rule") -> Tensor:
    found: Tensor = _Chunked.apply(hidden, head.weight, head.bias, rule)  # type: ignore[no-untyped-call]
    return found


def _rows(weight: Tensor) -> int:
    return max(1, _CHUNK // weight.shape[0])


def _logprobs(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return linear(hidden, weight, bias).float().log_softmax(-1)


def _times(grad: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the logits to that of the hidden state: [place, vocabulary] to [place, width]."""
    return linear(grad.to(weight.dtype), weight.T)


class _Chunked(torch.autograd.Function):
    """One number a place, by a rule of the log-probabilities there; its gradient beside it."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, rule: "_Rule"
    ) -> Tensor:
        found = hidden.new_empty(len(hidden), dtype=torch.float32)
        grads = torch.empty_like(hidden)
        step = _rows(weight)
        for at in range(0, len(hidden), step):
            part = slice(at, at + step)
            found[part], grad = rule(part, _logprobs(hidden[part], weight, bias))
            if ctx.needs_input_grad[0]:
                grads[part] = _times(grad(), weight)
        ctx.save_for_backward(grads)
        return found

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (grads,) = ctx.saved_tensors
        return (outer[0][:, None] * grads).to(grads.dtype), None, None, None


#: (places, log-probabilities there) → a number a place, and what makes its gradient with respect
#: to the logits: asked for once, when it is wanted, and may write over the log-probabilities.
_Rule: TypeAlias = Callable[[slice, Tensor], tuple[Tensor, Callable[[], Tensor]]]


def _of_tokens(tokens: Tensor) -> _Rule:
    def rule(part: slice, logprobs: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        chosen = tokens[part, None]

        def gradient() -> Tensor:
            grad = logprobs.exp_().neg_()
            return grad.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=grad.dtype))

        return logprobs.gather(1, chosen)[:, 0], gradient

    return rule


def _from_reference(reference: Tensor, head: nn.Linear, direction: Direction) -> _Rule:
    def rule(part: slice, model: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        before = _logprobs(reference[part], head.weight, head.bias)
        p = (before if direction == "forward" else model).exp()
        gap = before - model if direction == "forward" else model - before
        value = (p * gap).sum(-1)
        if direction == "forward":
            return value, lambda: model.exp() - p
        return value, lambda: p * (gap - value[:, None])

    return rule
