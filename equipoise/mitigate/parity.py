"""Bring the mean margin of every type of bias to zero, and keep the rest.

Ours: what BiasUnlearn's swapping aims at, as a loss that is stationary at parity:

    mean over types of (mean margin / spread)^2 + weight * KL(before || now)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as record
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.contrast_training.evaluation import margin_spreads
from equipoise.contrast_training.losses import ForwardKl, squared_mean
from equipoise.contrast_training.packed_forward import (
    PackedForward,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.sampling import distinct_batch
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply

ParityTarget: TypeAlias = Literal["mean", "share"]

_SMOOTH = 0.25  # of the spread of margins: where a preference counts for three quarters


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ParityKl(ForwardKl):
    """KL(before || now), with a weight for margins in units of their spread."""

    #: in the loss, where margins count in units of their spread
    weight: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Parity(AdapterOptions, Mitigation):
    """Minimize the squared mean margin of each type, with KL to before on unrelated texts.

    A type is neither turned nor dropped on the way: at parity its gradient is zero, on whichever
    side it began.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "ours; see docs/methods/parity.md"
    taught_by: ClassVar[str] = "stereoset"

    of: ParityTarget = "mean"  # what is brought to parity: the mean margin, or SS made smooth
    batch_size: Annotated[int, Field(ge=2)] = 28  # pairs per step, equally many of each type
    kl: ParityKl | None = ParityKl()  # None: no KL, and no texts needed for it

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; held-out ones are evaluated.

        All steps are done unless a limit ends it. Raises as `ContrastTraining` does.
        """
        training = ContrastTraining.on_contrasts(model, supply, self, maker_of(self, seed=seed))
        kl_texts = training.kl_texts(self.kl)
        loss = ParityLoss(
            method=self,
            forward=training.forward,
            contrasts=training.contrasts,
            spreads=margin_spreads(training.forward, training.contrasts),
            kl_texts=kl_texts,
            reference=reference_outputs(training.forward, compared=kl_texts),
            seed=seed,
        )
        return training.fit(loss, training.early_stopping(), texts=kl_texts)


@record(frozen=True, slots=True, kw_only=True)
class ParityLoss:
    """The square of each type's mean lean, and the divergence from before on the KL's texts.

    The margin is that of `evaluation`, in units of its type's spread before training, so that
    the weight of the divergence means the same for texts of any length. The lean is the margin
    itself ("mean"), or the share of preferences, made smooth: tanh of 4 margins ("share"), which is
    at 0 where as many items prefer one text as the other.
    """

    method: Parity
    forward: PackedForward
    contrasts: Sequence[TokenizedContrast]
    spreads: Mapping[str, float]  # by type: standard deviation before training, nats per token
    kl_texts: Sequence[TokenizedText]
    reference: ReferenceOutputs
    seed: int

    def __call__(self, _module: nn.Module, _rows: Tensor, step: int) -> Tensor:
        """The loss of a step, by its number."""
        kl = self.method.kl
        groups = self.draw(step)
        compared = kl.draw(self.kl_texts, step=step, seed=self.seed) if kl else []
        batch = [contrast for group in groups for contrast in group]
        texts = [text for contrast in batch for text in contrast.pair]
        positions = [
            contrast.scored_positions(text) for contrast in batch for text in contrast.pair
        ]
        if kl:
            positions += [text.part(kl.over) for text in compared]
        readout, rest = self.forward.read([*texts, *compared], positions).cut(len(texts))
        logprobs, tokens = self.forward.text_logprobs(readout)
        means = logprobs / tokens
        margins = torch.split(means[0::2] - means[1::2], [len(group) for group in groups])
        squares = []
        for group, margin in zip(groups, margins, strict=True):
            axis = group[0].axis
            lean = margin / self.spreads[axis]
            if self.method.of == "share":
                lean = torch.tanh(lean / _SMOOTH)
            population = sum(contrast.axis == axis for contrast in self.contrasts)
            squares.append(squared_mean(lean, population=population))
        loss = torch.stack(squares).mean()
        if kl:
            divergence = kl.loss(self.forward, rest, compared, self.reference)
            loss = loss + kl.weight * divergence
        return loss

    def draw(self, step: int) -> list[list[TokenizedContrast]]:
        """Equally many contrasts of each type, at least two, none twice."""
        axes = sorted({contrast.axis for contrast in self.contrasts})
        size = max(2, self.method.batch_size // len(axes))
        groups = []
        for index, axis in enumerate(axes):
            pool = [contrast for contrast in self.contrasts if contrast.axis == axis]
            groups.append(distinct_batch(pool, size, step=step, seed=(self.seed, 0, index)))
        return groups
