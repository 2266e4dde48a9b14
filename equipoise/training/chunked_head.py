"""Log-probabilities and divergences behind a frozen output layer, a chunk of positions at a time.

The output layer is a matrix product to the vocabulary. Neither the logits of all positions nor
their gradients are stored: in chunks, each position yields a number and its gradient with respect
to the hidden state, at the cost of a second product and without recomputation.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.inference.lm_head import OutputLayer

Direction: TypeAlias = Literal["forward", "reverse"]

_CHUNK = 2**24  # elements of logits at a time
_LEAST = 1e-6  # probability of all tokens but the likeliest together


#: (positions, log-probabilities there) → a number per position, and a function that computes its
#: gradient with respect to the logits: called at most once, it may overwrite the log-probabilities.
_Rule: TypeAlias = Callable[[slice, Tensor], tuple[Tensor, Callable[[], Tensor]]]


def token_logprobs(
    hidden: Float[Tensor, "position width"], head: OutputLayer, tokens: Int[Tensor, " position"]
) -> Float[Tensor, " position"]:
    """Log-probability (nats) of a token per position; gradients reach `hidden` alone."""

    def rule(part: slice, logprobs: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        chosen = tokens[part, None]

        def gradient() -> Tensor:
            grad = logprobs.exp_().neg_()
            return grad.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=grad.dtype))

        return logprobs.gather(1, chosen)[:, 0], gradient

    return _chunked(hidden, head, rule)


def divergence(
    hidden: Float[Tensor, "position width"],
    reference: Float[Tensor, "position width"],
    head: OutputLayer,
    *,
    direction: Direction = "forward",
) -> Float[Tensor, " position"]:
    """KL divergence (nats, 0: equal) of next-token distributions per position.

    forward: KL(reference || model); reverse: KL(model || reference). Gradients reach `hidden`.
    """

    def rule(part: slice, model: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        # from states at every step: kept, it would be a vocabulary of numbers per position
        before = head.logits(reference[part]).float().log_softmax(-1)
        p = (before if direction == "forward" else model).exp()
        gap = before - model if direction == "forward" else model - before
        value = (p * gap).sum(-1)
        if direction == "forward":
            return value, lambda: model.exp() - p
        return value, lambda: p * (gap - value[:, None])

    return _chunked(hidden, head, rule)


def truncated_divergence(
    hidden: Float[Tensor, "position width"],
    head: OutputLayer | None,
    tokens: Int[Tensor, "position top"],
    shares: Float[Tensor, "position share"],
) -> Float[Tensor, " position"]:
    """KL(target || model) (nats, 0: equal) per position, of targets whose rest is one outcome.

    `shares`: the target's probability of each of the distinct `tokens`, and last that of all
    others together. It is at most the divergence of the whole distributions. Without `head`
    `hidden` are logits. Gradients reach `hidden` alone.
    """
    entropy = torch.special.xlogy(shares, shares).sum(-1)

    def outcomes(logprobs: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the target's outcomes, and the probability of the last."""
        top = logprobs.gather(1, tokens[part])
        # what rounding leaves of the rest may be nothing, which has no logarithm
        rest = 1 - top.exp().sum(-1, keepdim=True).clamp(max=1 - _LEAST)
        return torch.cat([top, rest.log()], dim=-1), rest

    if head is None:
        model, _ = outcomes(hidden.float().log_softmax(-1), slice(None))
        values: Tensor = entropy - (shares * model).sum(-1)
        return values

    def rule(part: slice, logprobs: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        target = shares[part]
        model, rest = outcomes(logprobs, part)
        value = entropy[part] - (target * model).sum(-1)

        def gradient() -> Tensor:
            ratio = target[:, -1:] / rest
            grad = logprobs.exp_()
            kept = grad.gather(1, tokens[part])
            return grad.mul_(1 - ratio).scatter_(1, tokens[part], kept - target[:, :-1])

        return value, gradient

    return _chunked(hidden, head, rule)


def _chunked(hidden: Tensor, head: OutputLayer, rule: _Rule) -> Tensor:
    values: Tensor = _Chunked.apply(hidden, head, rule)  # type: ignore[no-untyped-call]
    return values


class _Chunked(torch.autograd.Function):
    """A number per position, by a rule of the log-probabilities there, with its gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: OutputLayer, rule: _Rule) -> Tensor:
        values = hidden.new_empty(len(hidden), dtype=torch.float32)
        grads = torch.empty_like(hidden)
        step = max(1, _CHUNK // head.linear.weight.shape[0])
        for index in range(0, len(hidden), step):
            part = slice(index, index + step)
            logits = head.logits(hidden[part])
            values[part], grad = rule(part, logits.float().log_softmax(-1))
            if ctx.needs_input_grad[0]:
                grads[part] = head.gradient(grad(), logits)
        ctx.save_for_backward(grads)
        return values

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (grads,) = ctx.saved_tensors
        return (outer[0][:, None] * grads).to(grads.dtype), None, None
