"""A few harmless contrasts of two types, and a tiny model, for the tests of fine-tuning.

The tiny llama prefers the stereotype of color and the other text of size, by 0.2 nats per token.
"""

import gc
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache

import pytest
import torch
from torch import Tensor

from equipoise.contrast_training import evaluation
from equipoise.contrast_training.evaluation import TypeBias
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.session import ContrastTraining
from equipoise.contrast_training.tokenized import TokenizedContrast, tokenize_contrasts
from equipoise.edits.base import Edit
from equipoise.edits.edit import tensor_bytes
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.models import kernels
from equipoise.records import Contrast, Supply
from equipoise.testing import tiny_model
from equipoise.training.loop import Loss

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
    """Trainings of a few steps in a third of the time: fewer draws, torch's own products."""
    patch.setattr(evaluation, "DRAWS", 50)
    patch.setattr(gc, "collect", lambda *_: 0)
    patch.setattr(kernels, "float32_matmul", lambda: "default")


def type_biases(of: LanguageModel, tokenized: Sequence[TokenizedContrast]) -> dict[str, TypeBias]:
    """The bias of a model on contrasts, by type."""
    margins = evaluation.margins_of(PackedForward(of), tokenized)
    return evaluation.type_biases(margins, tokenized, seed=0)


def held_out_biases(edit: Edit | None) -> dict[str, TypeBias]:
    """The bias of the tiny model on held-out contrasts, with an edit or without any."""
    with nullcontext(model()) if edit is None else edit.attached(model()) as edited:
        return type_biases(edited, tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60))


def held_out_margins(edit: Edit | None) -> dict[str, float]:
    """The held-out mean margin of each type, in nats per token."""
    return {axis: bias.margin.value for axis, bias in held_out_biases(edit).items()}


def loss_of(method: Mitigation, supply: Supply = SUPPLY, of: LanguageModel | None = None) -> Loss:
    """The loss that a method trains with at seed 0; nothing is trained."""
    losses: list[Loss] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContrastTraining, "fit", lambda _, loss, *__, **___: losses.append(loss))
        method.fit(of or model(), supply, seed=0)
    return losses[0]


def value_of(loss: Loss, *, step: int = 0) -> float:
    """The loss of a step on the tiny model, which is not changed."""
    with torch.no_grad():
        return float(loss(model().module, torch.zeros(1, dtype=torch.long), step))


def weights(of: LanguageModel) -> dict[str, bytes]:
    """Every byte of a model."""
    return {name: tensor_bytes(tensor) for name, tensor in of.module.state_dict().items()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal bit for bit."""
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )
