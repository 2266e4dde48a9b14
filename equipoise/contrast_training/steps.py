"""What the methods share of a training step: the items that it draws, and losses of its texts.

The batch of a step depends on its number and the seed alone, so a training that is killed and
resumed takes the same batches as any other.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.contrast_training.packed_forward import (
    PackedForward,
    Readout,
    ReferenceOutputs,
)
from equipoise.contrast_training.tokenized import TextPart, TokenizedText
from equipoise.records import OPTIONS
from equipoise.training.chunked_head import Direction

T = TypeVar("T")

_PADDED = 100  # positions of a text that BiasUnlearn's code averages over, most of them padding
_STREAM = 2  # of the seeds: apart from those of the texts that are forgotten and retained

# --- batches ------------------------------------------------------------------------------------


def epoch_batch(items: Sequence[T], size: int, *, step: int, seed: Sequence[int]) -> list[T]:
    """The `size` items of step 0, 1, …: every item comes once before any comes again.

    Each epoch has an order of its own, drawn by the seed; a batch may span two epochs. Empty when
    there are no items.
    """
    if not items:
        return []
    batch = []
    for index in range(step * size, (step + 1) * size):
        epoch, place = divmod(index, len(items))
        batch.append(items[int(_order(len(items), (*seed, epoch))[place])])
    return batch


def mixed_batch(
    pools: Mapping[str, Sequence[T]],
    weights: Mapping[str, float],
    size: int,
    *,
    step: int,
    seed: Sequence[int],
) -> list[T]:
    """The items of a step from pools by bias type.

    With equal weights the pools are joined, so that each type comes as often as it has items;
    otherwise the type of each item is drawn with probability proportional to its weight.
    """
    if not size or not pools:
        return []
    if len({weights[axis] for axis in pools}) == 1:
        joined = [item for axis in sorted(pools) for item in pools[axis]]
        return epoch_batch(joined, size, step=step, seed=seed)
    axes = [axis for axis in sorted(pools) if pools[axis]]
    total = sum(weights[axis] for axis in axes)
    generator = np.random.default_rng([*seed, step])
    chosen = generator.choice(len(axes), size=size, p=[weights[axis] / total for axis in axes])
    batch = []
    for index in chosen.tolist():
        pool = pools[axes[index]]
        batch.append(pool[int(generator.integers(len(pool)))])
    return batch


# asked for every item of a batch, and the same for a whole epoch
@lru_cache(maxsize=64)
def _order(count: int, seed: tuple[int, ...]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.random.default_rng(seed).permutation(count)


# --- losses -------------------------------------------------------------------------------------


def likelihood(
    logprobs: Float[Tensor, " text"], tokens: Float[Tensor, " text"], *, by_token: bool = False
) -> Float[Tensor, ""]:
    """Negative log-likelihood (nats per token) of texts' targets.

    The mean of each text's mean; `by_token`: the mean over all tokens, where long texts count more.
    """
    if by_token:
        return -logprobs.sum() / tokens.sum()
    return -(logprobs / tokens).mean()


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
        """The mean over texts of each text's mean over positions."""
        return torch.stack([values.mean() for values in divergences]).mean()


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
