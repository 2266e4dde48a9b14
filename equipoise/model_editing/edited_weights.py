"""Weights that are edited bit by bit, and are the original tensors again afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.model_editing.target_modules import TargetModules, transpose_linear


class EditedWeights:
    """What has been added to each module's weight, summed in float64 and rounded once."""

    def __init__(self, targets: TargetModules) -> None:
        self.targets = targets
        self.originals = [module.get_parameter("weight").data for module in targets.modules]
        self.changes = [
            torch.zeros(outputs, inputs, dtype=torch.float64) for inputs, outputs in targets.shapes
        ]

    def add(self, number: int, change: Float[Tensor, "output input"]) -> None:
        """Add to the weight of a module; the model has it from here on."""
        self.changes[number] += change.cpu()
        weight = self.targets.modules[number].get_parameter("weight")
        weight.data = self._changed(number)

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name, in the model's dtype, on the CPU."""
        return {name: self._changed(number).cpu() for number, name in enumerate(self.targets.names)}

    def shares(self) -> list[float]:
        """The Frobenius norm of each change, as a share of its weight's."""
        return [
            float(change.norm() / float(original.double().norm()))
            for change, original in zip(self.changes, self.originals, strict=True)
        ]

    def _changed(self, number: int) -> Tensor:
        """The weight as its module has it, a Conv1D the other way round."""
        original, change = self.originals[number], self.changes[number]
        module = self.targets.modules[number]
        change = transpose_linear(module, change.T)
        # added in float64, so that it is rounded once
        return (original.cpu().double() + change).to(original.dtype).to(original.device)


@contextmanager
def edited_weights(targets: TargetModules) -> Iterator[EditedWeights]:
    """Weights that may be edited inside the `with` block; the tensors are put back after it."""
    weights = EditedWeights(targets)
    try:
        yield weights
    finally:
        for module, original in zip(targets.modules, weights.originals, strict=True):
            module.get_parameter("weight").data = original
