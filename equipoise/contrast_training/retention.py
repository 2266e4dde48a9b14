"""Keep a model's outputs on chosen texts by KL divergence, while other texts change it."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.contrast_training.losses import mean_of
from equipoise.contrast_training.packed_forward import PackedForward, Readout, ReferenceOutputs
from equipoise.contrast_training.sampling import epoch_batch
from equipoise.contrast_training.tokenized import (
    TextPart,
    TokenizedContrast,
    TokenizedText,
    tokenize_texts,
)
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.training.lm_head_losses import Direction

_PADDED = 100  # positions of a text that BiasUnlearn's code averages over, most of them padding
_STREAM = 2  # of the seeds: apart from those of the texts that are forgotten and retained


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

    def select_texts(
        self,
        model: LanguageModel,
        contrasts: Sequence[TokenizedContrast],
        plain: Sequence[str],
        *,
        origin: str,
        longest: int,
    ) -> list[TokenizedText]:
        """The unrelated texts of the contrasts, or the `plain` ones, that have such positions.

        `origin` is the supply's. Raises `RecipeError` when there are none.
        """
        if self.texts == "neutral":
            texts = tokenize_texts(model, plain, longest=longest)
        else:
            texts = [contrast.unrelated for contrast in contrasts if contrast.unrelated is not None]
        texts = [text for text in texts if text.part(self.over)]
        if not texts:
            raise RecipeError(
                f"the supply must have {self.texts} texts with a part '{self.over}', got "
                f"{len(texts)} from '{origin}' for the KL; choose others (of stereoset, a corpus "
                "gives neutral ones), or leave the KL out"
            )
        return texts

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
