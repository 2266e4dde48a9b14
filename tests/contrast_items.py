"""A few harmless contrasts of two types, and a tiny model, for the tests of fine-tuning.

The tiny llama prefers the stereotype of color and the other text of size, by 0.2 nats a token.
"""

import gc
from collections.abc import Mapping, Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from equipoise.contrast_training import evaluation as held_out
from equipoise.contrast_training import held_out_bias as standing
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import TokenizedContrast
from equipoise.edits.edit import tensor_bytes
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Contrast, Supply
from equipoise.testing import tiny_model

#: By type: stereotype, anti-stereotype, unrelated; all end alike.
ENDINGS: Mapping[str, tuple[str, str, str]] = {
    "color": (" blue now", " black now", " seven now"),
    "size": (" small too", " wide too", " of it too"),
}
LEARNT = ("cook", "guard", "clerk", "pilot", "baker", "judge")
HELD = ("nurse", "miner", "diver", "actor", "maid", "smith")


def contrast(axis: str, target: str) -> Contrast:
    """One contrast about a target."""
    stereotype, antistereotype, unrelated = ENDINGS[axis]
    return Contrast(
        id=f"{axis}/{target}",
        context=f"The {target} is",
        stereotype=stereotype,
        antistereotype=antistereotype,
        unrelated=unrelated,
        groups={"axis": axis, "target": target},
    )


def contrasts(targets: Sequence[str], axes: Sequence[str] = tuple(ENDINGS)) -> tuple[Contrast, ...]:
    """A contrast of each type about each target."""
    return tuple(contrast(axis, target) for axis in axes for target in targets)


SUPPLY = Supply(
    origin="by hand",
    contrasts=contrasts(LEARNT),
    dev_contrasts=contrasts(HELD),
    texts=tuple(f"Door {number} is open." for number in range(5)),
)


@cache
def model(family: str = "llama") -> LanguageModel:
    """A tiny model that no test may change."""
    return tiny_model(family)


@cache
def small() -> LanguageModel:
    """A llama of one block, where it does not matter what is learnt."""
    return tiny_model("llama", blocks=1)


def quick(patch: pytest.MonkeyPatch) -> None:
    """Trainings of a few steps in a third of the time: fewer draws, and no garbage collected."""
    for one in (standing, held_out):
        patch.setattr(one, "DRAWS", 50)
    patch.setattr(gc, "collect", lambda *_: 0)


def standings(
    of: LanguageModel, items: Sequence[TokenizedContrast]
) -> dict[str, standing.Standing]:
    """Where a model stands on items, by type."""
    return standing.standings(standing.margins_of(PackedForward(of), items), items, seed=0)


def weights(of: LanguageModel) -> dict[str, bytes]:
    """Every byte of a model."""
    return {name: tensor_bytes(one) for name, one in of.module.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
