"""A block that is named, not found."""

import pytest

from equipoise.errors import RecipeError
from equipoise.locate.fixed_block import FixedBlock
from equipoise.testing import tiny_model


@pytest.mark.parametrize(
    ("block", "order"), [(-1, (2, 0, 1)), (0, (0, 1, 2)), (1, (1, 0, 2)), (-3, (0, 1, 2))]
)
def test_the_named_block_comes_first(block: int, order: tuple[int, ...]) -> None:
    ranking = FixedBlock(block=block).locate(tiny_model(blocks=3), (), seed=0)
    assert ranking.order == order


@pytest.mark.parametrize("block", [3, -4])
def test_a_block_out_of_range_is_refused(block: int) -> None:
    with pytest.raises(RecipeError, match=f"from -3 to 2 in tiny-llama@0, got {block}"):
        FixedBlock(block=block).locate(tiny_model(blocks=3), (), seed=0)
