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
from torch import Tensor

from equipoise.inference.lm_head import OutputLayer

Direction: TypeAlias = Literal["forward", "reverse"]

_CHUNK = 2**24  # elements of logits at a time


def token_logprobs(
    hidden: Float[Tensor, "place width"], head: OutputLayer, tokens: Int[Tensor, " place"]
) -> Float[Tensor, " place"]:
    """Log-probability (nats) of one token a place; gradients reach `hidden` alone."""
    return _chunked(hidden, head, _of_tokens(tokens))


def divergence(
    hidden: Float[Tensor, "place width"],
    reference: Float[Tensor, "place width"],
    head: OutputLayer,
    *,
    direction: Direction = "forward",
) -> Float[Tensor, " place"]:
    """KL divergence (nats, 0: equal) of next-token distributions at each place.

    forward: KL(reference || model); reverse: KL(model || reference). Gradients reach `hidden`.
    """
    return _chunked(hidden, head, _from_reference(reference, head, direction))


def _chunked(hidden: Tensor, head: OutputLayer, rule: "_Rule") -> Tensor:
    found: Tensor = _Chunked.apply(hidden, head, rule)  # type: ignore[no-untyped-call]
    return found


class _Chunked(torch.autograd.Function):
    """One number a place, by a rule of the log-probabilities there; its gradient beside it."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: OutputLayer, rule: "_Rule") -> Tensor:
        found = hidden.new_empty(len(hidden), dtype=torch.float32)
        grads = torch.empty_like(hidden)
        step = max(1, _CHUNK // head.linear.weight.shape[0])
        for index in range(0, len(hidden), step):
            part = slice(index, index + step)
            logits = head.logits(hidden[part])
            found[part], grad = rule(part, logits.float().log_softmax(-1))
            if ctx.needs_input_grad[0]:
                grads[part] = head.gradient(grad(), logits)
        ctx.save_for_backward(grads)
        return found

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (grads,) = ctx.saved_tensors
        return (outer[0][:, None] * grads).to(grads.dtype), None, None


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


def _from_reference(reference: Tensor, head: OutputLayer, direction: Direction) -> _Rule:
    def rule(part: slice, model: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        before = head.logits(reference[part]).float().log_softmax(-1)
        p = (before if direction == "forward" else model).exp()
        gap = before - model if direction == "forward" else model - before
        value = (p * gap).sum(-1)
        if direction == "forward":
            return value, lambda: model.exp() - p
        return value, lambda: p * (gap - value[:, None])

    return rule
