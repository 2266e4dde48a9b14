"""Bring the mean margin of every type of bias to zero, and keep the rest.

Ours: what BiasUnlearn's swapping aims at, as a loss that is stationary at parity:

    mean over types of (mean margin / spread)^2 + weight * KL(before || now)
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.contrast_training.evaluation import margin_spreads
from equipoise.contrast_training.packed_forward import reference_outputs
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.steps import ForwardKl
from equipoise.contrast_training.tokenized import TokenizedContrast
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.loss_curves import record_parts

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
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    of: ParityTarget = "mean"  # what is brought to parity: the mean margin, or SS made smooth
    batch_size: Annotated[int, Field(ge=2)] = 28  # pairs per step, equally many of each type
    kl: ParityKl | None = ParityKl()  # None: no KL, and no texts needed for it

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; those held out are evaluated.

        All steps are done unless a limit ends it. Raises as `ContrastTraining` does.
        """
        training = ContrastTraining.on_contrasts(model, supply, self, seed=seed)
        loss = ParityLoss(self, training)
        return training.fit(loss, training.early_stopping(), texts=loss.kl_texts)


def squared_mean(values: Tensor, *, population: int) -> Tensor:
    """The square of a population's mean, estimated without bias from different `values` [item].

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


class ParityLoss:
    """The square of each type's mean lean, and the divergence from before on the KL's texts.

    The margin is that of `evaluation`, in units of its type's spread before training, so that
    the weight of the divergence means the same for texts of any length. The lean is the margin
    itself ("mean"), or the share of preferences, made smooth: tanh of 4 margins ("share"), which is
    at 0 where as many items prefer one text as the other.
    """

    def __init__(self, method: Parity, training: ContrastTraining) -> None:
        self.method = method
        self.forward = training.forward
        self.seed = training.seed
        axes = sorted({contrast.axis for contrast in training.contrasts})
        self.contrasts = {
            axis: [contrast for contrast in training.contrasts if contrast.axis == axis]
            for axis in axes
        }
        self.spreads = margin_spreads(training.forward, training.contrasts)
        self.kl_texts = training.kl_texts(method.kl)
        self.reference = reference_outputs(training.forward, compared=self.kl_texts)

    def __call__(self, _module: nn.Module, _rows: Tensor, step: int) -> Tensor:
        """The loss of a step, by its number."""
        kl, groups = self.method.kl, self.draw(step)
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
        for (axis, pool), margin in zip(self.contrasts.items(), margins, strict=True):
            lean = margin / self.spreads[axis]
            if self.method.of == "share":
                lean = torch.tanh(lean / _SMOOTH)
            squares.append(squared_mean(lean, population=len(pool)))
        loss = torch.stack(squares).mean()
        record_parts(lean=loss)
        if kl:
            value = kl.loss(self.forward, rest, compared, self.reference)
            record_parts(kl=value)
            loss = loss + kl.weight * value
        return loss

    def draw(self, step: int) -> list[list[TokenizedContrast]]:
        """Equally many contrasts of each type, at least two, none twice.

        The incomplete last batch of an epoch is dropped; each epoch drops other contrasts.
        """
        groups = []
        for index, pool in enumerate(self.contrasts.values()):
            # two at least, since `squared_mean` rests on pairs of different contrasts
            size = min(len(pool), max(2, self.method.batch_size // len(self.contrasts)))
            epoch, place = divmod(step, len(pool) // size)
            order = np.random.default_rng((self.seed, 0, index, epoch)).permutation(len(pool))
            groups.append([pool[row] for row in order[place * size : (place + 1) * size].tolist()])
        return groups
