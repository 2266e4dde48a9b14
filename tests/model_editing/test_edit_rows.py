"""Rows of edits: what a module puts out is changed alike, whether alone or first of several."""

import torch
from torch import Tensor, nn

from equipoise.model_editing.edit_rows import hooked


class Block(nn.Module):
    def __init__(self, *, as_tuple: bool) -> None:
        super().__init__()
        self.as_tuple = as_tuple

    def forward(self, hidden: Tensor) -> Tensor | tuple[Tensor, str]:
        return (2 * hidden, "weights") if self.as_tuple else 2 * hidden


def test_blocks_of_a_tensor_and_of_a_tuple_are_changed_alike() -> None:
    hidden = torch.arange(24.0).view(2, 3, 4)
    alone, first = Block(as_tuple=False), Block(as_tuple=True)
    with hooked(alone, lambda output: output + 1), hooked(first, lambda output: output + 1):
        changed, from_tuple = alone(hidden), first(hidden)
    assert torch.equal(changed, 2 * hidden + 1)
    assert torch.equal(from_tuple[0], changed)
    assert from_tuple[1] == "weights"
    assert torch.equal(alone(hidden), 2 * hidden)
