"""What weights and gradients of a training must be."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.training.sharded import whole


def check_weights(
    weights: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    *,
    rates: str,
    when: str = "after training",
) -> None:
    """Raise `ModelError` for new weights that are not finite, or all as before in their own dtype.

    `rates`: what to raise or lower, with its value.
    """
    for name, value in weights.items():
        check_norm(name, value, f"{when} weights must", f"lower {rates}")
    if all(torch.equal(value, before[name].cpu()) for name, value in weights.items()):
        raise ModelError(
            f"training must change weights, all {len(weights)} are as before in their own dtype; "
            f"raise {rates} or load as float32, unless the loss is 0 and nothing is left to learn"
        )


def check_norm(name: str, value: Tensor, must: str, remedy: str) -> None:
    """Raise `ModelError` unless the norm is finite in float32: beyond, no matmul is."""
    if not math.isfinite(norm := float(whole(torch.linalg.vector_norm(value.float())))):
        raise ModelError(f"{must} have a finite norm, that of '{name}' is {norm}; {remedy}")


def check_adapter_gradients(parameters: Mapping[str, nn.Parameter], step: int) -> None:
    """Raise `ModelError` for a factor of an adapter without a gradient, where others have one.

    From the second step on, as B is 0 in the first, where no gradient reaches A. A loss that has
    nothing left to do gives none to any, which is no fault of the graph.
    """
    reached = {
        name: parameter.grad is not None and bool(parameter.grad.any())
        for name, parameter in parameters.items()
        if ".lora_" in name
    }
    missed = [name for name, is_reached in reached.items() if not is_reached]
    if any(reached.values()) and missed:
        raise ModelError(
            f"step {step}: a gradient must reach every adapter, it is 0 for {len(missed)} of "
            f"{len(reached)}, the first is '{missed[0]}'; leave gradient_checkpointing out, or "
            "name targets that the model runs"
        )
