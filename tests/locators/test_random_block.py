"""The control: the seed alone decides, and every order comes up."""

from equipoise.locate.random_block import RandomBlock
from equipoise.testing import tiny_model


def test_the_seed_decides_and_every_block_comes_first() -> None:
    model = tiny_model(blocks=3)
    firsts = [RandomBlock().locate(model, (), seed=seed) for seed in range(40)]
    assert firsts[7] == RandomBlock().locate(model, (), seed=7)
    assert {first.order[0] for first in firsts} == {0, 1, 2}
    assert all(0 <= score < 1 for first in firsts for score in first.scores)
