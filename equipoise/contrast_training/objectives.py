"""The losses of SFT, CDA, DPO and parity, by the number of a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from equipoise.contrast_training.losses import Preference, likelihood, preference, squared_mean
from equipoise.contrast_training.packed_forward import PackedForward, ReferenceOutputs
from equipoise.contrast_training.retention import Holding
from equipoise.contrast_training.sampling import taken, taken_apart
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText

Over: TypeAlias = Literal["text", "span"]
Lean: TypeAlias = Literal["mean", "share"]

_SMOOTH = 0.25  # of the spread of margins: where a preference counts for three quarters


def over(one: TokenizedText, which: Over) -> tuple[int, ...]:
    """The places of a text that a method scores."""
    return one.positions if which == "text" else one.target_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Cross-entropy of texts: the mean over a text's places, then over the texts of a step."""

    reader: PackedForward
    texts: Sequence[TokenizedText]
    batch: int
    over: Over
    seed: int

    def __call__(self, _: nn.Module, __: Tensor, step: int) -> Tensor:
        """The loss of a step."""
        chosen = [
            self.texts[at]
            for at in taken(len(self.texts), self.batch, turn=step, seed=(self.seed, 0))
        ]
        places = [over(one, self.over) for one in chosen]
        read = self.reader.read(chosen, places)
        sums, sizes = self.reader.text_logprobs(read)
        return likelihood(sums, sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """Preference of an item's anti-stereotype over its stereotype, by their spans' sums."""

    reader: PackedForward
    items: Sequence[TokenizedContrast]
    before: ReferenceOutputs
    batch: int
    beta: float
    loss: Preference
    seed: int

    def __call__(self, _: nn.Module, __: Tensor, step: int) -> Tensor:
        """The loss of a step."""
        chosen = [
            self.items[at]
            for at in taken(len(self.items), self.batch, turn=step, seed=(self.seed, 0))
        ]
        texts = [text for one in chosen for text in (one.antistereotype, one.stereotype)]
        read = self.reader.read(texts, [text.target_positions for text in texts])
        sums, _sizes = self.reader.text_logprobs(read)
        was = self.before.target_logprobs(texts)
        was = was.to(sums.device)
        return preference(
            sums[0::2] - sums[1::2], was[0::2] - was[1::2], beta=self.beta, loss=self.loss
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The square of each type's mean lean, and the divergence from before on held texts.

    The margin is that of `standing`: mean log-probability a token of the stereotyping text less
    that of the other; here in units of its type's spread before training, so that the weight of
    the divergence means the same for texts of any length. The lean is the margin itself ("mean"),
    or the share of preferences, made smooth: tanh of 4 margins ("share"), which is at 0 where as
    many items prefer one text as the other. Each step takes equally many items of each type, at
    least two, none twice.
    """

    reader: PackedForward
    items: Sequence[TokenizedContrast]
    holding: Holding
    before: ReferenceOutputs
    batch: int
    of: Lean
    spreads: Mapping[str, float]  # by type: standard deviation before training, nats a token
    kl_weight: float
    seed: int

    def __call__(self, _: nn.Module, __: Tensor, step: int) -> Tensor:
        """The loss of a step."""
        groups = self._groups(step)
        items = [one for group in groups for one in group]
        texts = [text for item in items for text in item.pair]
        held = self.holding.taken(step) if self.kl_weight > 0 else []
        places = [judged for item in items for judged in map(item.scored_positions, item.pair)]
        places += [self.holding.places_of(one) for one in held]
        read = self.reader.read([*texts, *held], places)
        sums, sizes = self.reader.text_logprobs(read.first(len(texts)))
        means = sums / sizes
        margins = torch.split(means[0::2] - means[1::2], [len(group) for group in groups])
        scales = [self.spreads[group[0].axis] for group in groups]
        leans = [margin / own for margin, own in zip(margins, scales, strict=True)]
        if self.of == "share":
            leans = [torch.tanh(lean / _SMOOTH) for lean in leans]
        pools = [self._count(group[0].axis) for group in groups]
        several = [
            squared_mean(lean, population=pool) for lean, pool in zip(leans, pools, strict=True)
        ]
        value = torch.stack(several).mean()
        kept = self.holding.loss(self.reader, read.after(len(texts)), held, self.before)
        return value + self.kl_weight * kept

    def _count(self, axis: str) -> int:
        return sum(item.axis == axis for item in self.items)

    def _groups(self, step: int) -> list[list[TokenizedContrast]]:
        axes = sorted({item.axis for item in self.items})
        size = max(2, self.batch // len(axes))
        found = []
        for number, axis in enumerate(axes):
            own = [item for item in self.items if item.axis == axis]
            chosen = taken_apart(len(own), size, turn=step, seed=(self.seed, 0, number))
            found.append([own[at] for at in chosen])
        return found
