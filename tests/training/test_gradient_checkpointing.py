"""Blocks that compute their activations again: the same gradients, less memory, live adapters."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from equipoise.errors import ModelError
from equipoise.models.anatomy import blocks
from equipoise.testing import tiny_model
from equipoise.training.gradient_checkpointing import recomputing_blocks
from equipoise.training.weight_checks import check_adapter_gradients

from .processes import fit

PRONOUNS = {"words": ["a", "b"], "learning_rate": 1e-3, "epochs": 1, "batch_size": 4}
CONTRASTS = {"rank": 2, "dropout": 0.3, "steps": 3, "learning_rate": 1e-3, "longest": 100}
ROWS = {"rank": 2, "epochs": 1, "batch_size": 5}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lftf", {**PRONOUNS, "objective": "parity", "keep_hints": 0.5}),
        ("dpo", {**CONTRASTS, "batch_size": 3}),
        ("finetune", {"training": ROWS}),
        ("finetune", {"training": {"name": "full", "batch_size": 5, "micro_batch": 2}}),
    ],
)
def test_methods_train_to_the_same_weights(method: str, options: dict[str, Any]) -> None:
    on = {"gradient_checkpointing": True}
    again = options | on if method != "finetune" else {"training": options["training"] | on}
    kept, recomputed = fit(method, options), fit(method, again)
    for loss in ("first_loss", "last_loss"):
        assert recomputed.info.report[loss] == pytest.approx(kept.info.report[loss], rel=1e-5)
    for name, values in kept.tensors.items():
        torch.testing.assert_close(recomputed.tensors[name], values, rtol=1e-3, atol=1e-5)


def test_a_block_keeps_its_input_alone_and_is_itself_afterwards() -> None:
    module = tiny_model("llama", blocks=4).module
    before = [dict(vars(block)) for block in blocks(module)]

    def kept(ids: torch.Tensor) -> int:
        sizes: list[int] = []

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            module(input_ids=ids, use_cache=False)
        return sum(sizes)

    ids = torch.arange(64)[None]
    whole = kept(ids)
    with recomputing_blocks(module):
        assert kept(ids) < 0.5 * whole
    assert [dict(vars(block)) for block in blocks(module)] == before


def test_an_adapter_that_no_gradient_reaches_is_an_error() -> None:
    a, b, other = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    parameters = {"x.lora_A.w": a, "x.lora_B.w": b, "y": other}
    check_adapter_gradients(parameters, 1)  # a loss that has nothing left to do
    b.grad = torch.ones(2)
    with pytest.raises(ModelError, match=r"0 for 1 of 2, the first is .x\.lora_A\.w"):
        check_adapter_gradients(parameters, 1)
    a.grad = torch.ones(2)
    check_adapter_gradients(parameters, 1)
