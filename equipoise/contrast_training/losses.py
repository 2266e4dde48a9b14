"""Losses: pure functions of per-text log-probabilities, and the KL that keeps the rest.

Sources: NPO, Zhang et al. 2024, equation 3; BiasUnlearn, Liu et al. 2025, equations 1 to 4, and its
released code, which differ (docs/methods/bias_unlearn.md). `squared_mean` is ours.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import logsigmoid

from equipoise.contrast_training.packed_forward import PackedForward, Readout, ReferenceOutputs
from equipoise.contrast_training.sampling import epoch_batch
from equipoise.contrast_training.tokenized import TextPart, TokenizedText
from equipoise.records import OPTIONS
from equipoise.training.lm_head_losses import Direction

_PADDED = 100  # positions of a text that BiasUnlearn's code averages over, most of them padding
_STREAM = 2  # of the seeds: apart from those of the texts that are forgotten and retained

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
    r is the gap per token. batch_mean: a single r, the mean gap per token over the batch, as
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


# --- KL ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class KlRetention:
    """Divergence of the next token's distributions from those of the reference.

    The mean over positions of a text, then over texts, in nats; 0: as before training.
    """

    direction: ClassVar[Direction]

    weight: Annotated[float, Field(gt=0)] = 0.2  # of the divergence in the loss
    texts: Literal["unrelated", "neutral"] = "unrelated"  # "neutral": the supply's plain texts
    over: TextPart = "text"  # the positions of a text that are compared
    batch: Annotated[int, Field(ge=1)] = 28  # texts per step

    def draw(self, texts: Sequence[TokenizedText], *, step: int, seed: int) -> list[TokenizedText]:
        """The texts of a step."""
        return epoch_batch(texts, self.batch, step=step, seed=(seed, _STREAM))

    def loss(
        self,
        forward: PackedForward,
        readout: Readout,
        texts: Sequence[TokenizedText],
        reference: ReferenceOutputs,
    ) -> Tensor:
        """The divergence of these texts, without its weight."""
        states = torch.cat([reference.states_at(text, text.part(self.over)) for text in texts])
        return self._reduce(readout.split(forward.divergence(readout, states, self.direction)))

    def _reduce(self, divergences: list[Tensor]) -> Tensor:
        return mean_of(divergences)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ForwardKl(KlRetention):
    """KL(before || now)."""

    direction: ClassVar[Direction] = "forward"
    name: Literal["forward"] = "forward"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ReverseKl(KlRetention):
    """KL(now || before)."""

    direction: ClassVar[Direction] = "reverse"
    name: Literal["reverse"] = "reverse"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PaddedKl(KlRetention):
    """KL(before || now), summed over real positions and divided by 100 per text.

    So does BiasUnlearn's code by averaging over padding; its value, a cross-entropy, also holds the
    entropy of the reference, a constant, which is left out here.
    """

    direction: ClassVar[Direction] = "forward"
    name: Literal["ce_all_positions"] = "ce_all_positions"

    def _reduce(self, divergences: list[Tensor]) -> Tensor:
        return torch.stack([values.sum() for values in divergences]).sum() / (
            _PADDED * len(divergences)
        )


AnyKl: TypeAlias = ForwardKl | ReverseKl | PaddedKl
