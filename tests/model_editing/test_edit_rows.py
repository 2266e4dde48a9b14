"""Rows of edits: what a module puts out is changed alike, whether alone or first of several."""

import torch
from torch import Tensor, nn

from equipoise.model_editing.edit_rows import hooked


class Block(nn.Module):
    def __init__(self, *, several: bool) -> None:
        super().__init__()
        self.several = several

    def forward(self, hidden: Tensor) -> Tensor | tuple[Tensor, str]:
        return (2 * hidden, "weights") if self.several else 2 * hidden


def test_blocks_of_a_tensor_and_of_a_tuple_are_changed_alike() -> None:
    hidden = torch.arange(24.0).view(2, 3, 4)
    alone, first = Block(several=False), Block(several=True)
    with hooked(alone, lambda output: output + 1), hooked(first, lambda output: output + 1):
        changed, several = alone(hidden), first(hidden)
    assert torch.equal(changed, 2 * hidden + 1)
    assert torch.equal(several[0], changed)
    assert several[1] == "weights"
    assert torch.equal(alone(hidden), 2 * hidden)
