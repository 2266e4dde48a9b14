"""Losses as pure functions of per-text log-probabilities.

Sources: NPO, Zhang et al. 2024, equation 3; BiasUnlearn, Liu et al. 2025, equations 1 to 4, and its
released code, which differ (docs/methods/bias_unlearn.md). `squared_mean` is ours.
"""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

Reduction: TypeAlias = Literal["per_seq_sum", "per_seq_mean", "batch_mean"]


def npo(
    gap: Float[Tensor, " text"],
    tokens: Float[Tensor, " text"],
    *,
    beta: float,
    reduction: Reduction = "per_seq_sum",
) -> Float[Tensor, ""]:
    """Negative preference optimization: -(2 / beta) log sigmoid(beta * r), mean over texts.

    `gap`: log-probability of each text's target before training minus now, in nats (0 at the
    start, above 0 once forgotten). per_seq_sum: r is that gap (NPO's paper and code). per_seq_mean:
    r is the gap per token. batch_mean: one r, the mean gap per token over the batch, as
    BiasUnlearn's code has it; with so small an r the loss hardly ever saturates and is gradient
    ascent.
    At the start it is (2 / beta) ln 2, and its gradient in r is -1.
    """
    if reduction == "per_seq_sum":
        r = gap
    elif reduction == "per_seq_mean":
        r = gap / tokens
    else:
        r = (gap / tokens).mean()[None]
    return -(2 / beta) * logsigmoid(beta * r).mean()


def likelihood(
    logprobs: Float[Tensor, " text"], tokens: Float[Tensor, " text"], *, by_token: bool = False
) -> Float[Tensor, ""]:
    """Negative log-likelihood (nats per token) of texts' targets.

    The mean of each text's mean; `by_token`: the mean over all tokens, where long texts count more.
    """
    if by_token:
        return -logprobs.sum() / tokens.sum()
    return -(logprobs / tokens).mean()


def squared_mean(values: Float[Tensor, " item"], *, population: int) -> Float[Tensor, ""]:
    """The square of a population's mean, estimated without bias from different items of it.

    From n of N = `population` items. The mean over all N² pairs has N - 1 parts of pairs of
    different items, (S² - sum of squares) / (n (n - 1)), and one of items with themselves, the mean
    square. The square of the sample's own mean is larger on average, and descending it would shrink
    every margin, not their mean; pairs of different items alone are smaller, and descending that
    would drive margins apart. It may be negative. Of fewer than two items: the plain square.
    """
    n = len(values)
    if n < 2:
        return values.sum().square()
    squares = values.square().sum()
    pairs = (values.sum().square() - squares) / (n * (n - 1))
    return pairs + (squares / n - pairs) / population


def mean_of(parts: list[Float[Tensor, " _"]]) -> Float[Tensor, ""]:
    """Mean over texts of each text's mean over positions."""
    return torch.stack([part.mean() for part in parts]).mean()
