"""Hold a model to what it was on chosen texts, while something else is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from equipoise.contrast_training.losses import mean_of
from equipoise.contrast_training.packed_forward import PackedForward, Readout, ReferenceOutputs
from equipoise.contrast_training.sampling import taken
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText, tokenize_texts
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.training.lm_head_losses import Direction

Divergence: TypeAlias = Literal["forward", "reverse", "ce_all_positions"]
Texts: TypeAlias = Literal["unrelated", "neutral"]
Places: TypeAlias = Literal["all", "span", "after_filler"]

_PADDED = 100  # places of a text that BiasUnlearn's code averages over, most of them padding
_STREAM = 2  # of the seeds: apart from those of what is changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Texts, and the divergence from before on some of them each step.

    `kind`: forward is KL(before || now), the mean over places, then over texts; reverse the other
    way round; ce_all_positions sums the forward one over real places and divides by 100 a text,
    as BiasUnlearn's code does by averaging over padding (its value also holds the entropy, a
    constant, which is left out here).
    """

    texts: Sequence[TokenizedText]
    batch: int
    kind: Divergence = "forward"
    places: Places = "all"
    seed: int = 0

    def taken(self, step: int) -> list[TokenizedText]:
        """The texts of a step."""
        chosen = taken(len(self.texts), self.batch, turn=step, seed=(self.seed, _STREAM))
        return [self.texts[at] for at in chosen]

    def places_of(self, one: TokenizedText) -> tuple[int, ...]:
        """The places of a text that are compared."""
        return _places(one, self.places)

    def loss(
        self,
        reader: PackedForward,
        read: Readout,
        texts: Sequence[TokenizedText],
        before: ReferenceOutputs,
    ) -> Tensor:
        """The divergence (nats, 0: as before) of what was read of these texts; 0 of none."""
        if not texts:
            return torch.zeros((), device=read.states.device)
        was = torch.cat([before.states_at(text, self.places_of(text)) for text in texts])
        direction: Direction = "reverse" if self.kind == "reverse" else "forward"
        values = read.split(reader.divergence(read, was, direction))
        if self.kind == "ce_all_positions":
            return torch.stack([value.sum() for value in values]).sum() / (_PADDED * len(texts))
        return mean_of(values)


def held_texts(
    model: LanguageModel,
    items: Sequence[TokenizedContrast],
    plain: Sequence[str],
    *,
    origin: str,
    which: Texts,
    places: Places,
    longest: int,
) -> list[TokenizedText]:
    """The unrelated texts of the items, or `plain` ones, that have such places.

    `origin` is the supply's. Raises `RecipeError` when there are none.
    """
    if which == "neutral":
        found = tokenize_texts(model, plain, longest=longest)
    else:
        found = [item.unrelated for item in items if item.unrelated is not None]
    found = [one for one in found if _places(one, places)]
    if not found:
        raise RecipeError(
            f"the supply must have {which} texts with places '{places}' to hold the model by, got "
            f"{len(found)} from '{origin}'; choose others (of stereoset, a corpus gives neutral "
            "ones), or give the KL the weight 0"
        )
    return found


def _places(one: TokenizedText, which: Places) -> tuple[int, ...]:
    return {
        "all": one.positions,
        "span": one.target_positions,
        "after_filler": one.shared_suffix_positions,
    }[which]
