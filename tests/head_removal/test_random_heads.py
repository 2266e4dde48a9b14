"""Random heads: as many, of the same blocks or of similar output, and never the chosen ones."""

from collections import Counter

import numpy as np
import pytest

from equipoise.head_removal.random_heads import (
    KINDS,
    by_layer,
    by_norm,
    count_by_layer,
    draw_sets,
    empirical_p,
)

CHOSEN = ((0, 1), (0, 2), (3, 5))


def test_of_the_same_blocks() -> None:
    drawn = [by_layer(CHOSEN, heads=8, rng=np.random.default_rng(seed)) for seed in range(200)]
    assert all(Counter(block for block, _ in heads) == {0: 2, 3: 1} for heads in drawn)
    assert not {head for heads in drawn for head in heads} & {*CHOSEN}
    # every other head of the blocks may come, each as often
    counts = Counter(head for heads in drawn for head in heads)
    assert len([head for head in counts if head[0] == 0]) == 6
    assert len([head for head in counts if head[0] == 3]) == 7
    assert all(len({*heads}) == 3 for heads in drawn)


def test_where_few_others_are_left_they_are_taken_and_chosen_ones_fill_up() -> None:
    chosen = ((0, 0), (0, 1), (0, 2))
    drawn = {by_layer(chosen, heads=4, rng=np.random.default_rng(seed)) for seed in range(50)}
    assert drawn == {tuple((0, head) for head in (*two, 3)) for two in ((0, 1), (0, 2), (1, 2))}
    assert count_by_layer(chosen, heads=4) == 3


@pytest.mark.thorough
def test_sets_differ_from_each_other_and_from_the_chosen() -> None:
    norms = np.exp(np.random.default_rng(0).normal(size=(30, 9)))
    # of one head there are 8 others in its block, and 5 of similar output
    assert len(draw_sets("layer", [(3, 5)], norms, most=20, seed=0)) == 8
    assert len(draw_sets("norm", [(3, 5)], norms, most=20, seed=0)) == 5
    for kind in KINDS:
        drawn = draw_sets(kind, CHOSEN, norms, most=20, seed=0)
        assert len({frozenset(heads) for heads in drawn}) == len(drawn) == 20
        assert not {head for heads in drawn for head in heads} & {*CHOSEN}
        assert drawn == draw_sets(kind, CHOSEN, norms, most=20, seed=0)
        assert drawn != draw_sets(kind, CHOSEN, norms, most=20, seed=1)
        assert draw_sets(kind, CHOSEN, norms, most=3, seed=0) == drawn[:3]
    # two blocks of four, one head chosen in each: 3 x 3
    two = ((0, 1), (3, 0))
    assert len(draw_sets("layer", two, norms[:4, :4], most=20, seed=0)) == 9
    assert count_by_layer(two, heads=4) == 9


@pytest.mark.thorough
def test_where_every_head_is_chosen_no_set_is_left() -> None:
    every = tuple((block, head) for block in range(2) for head in range(3))
    norms = np.ones((2, 3))
    assert draw_sets("layer", every[:3], norms, most=5, seed=0) == []  # of that block
    assert draw_sets("norm", every[:3], norms, most=5, seed=0) == [every[3:]]
    assert draw_sets("norm", every, norms, most=5, seed=0) == []
    assert draw_sets("layer", every, norms, most=5, seed=0) == []


def test_of_similar_output() -> None:
    norms = np.exp(np.arange(32.0)).reshape(4, 8)  # rises from head to head
    for seed in range(50):
        drawn = by_norm(CHOSEN, norms, rng=np.random.default_rng(seed))
        assert len({*drawn}) == 3
        assert not {*drawn} & {*CHOSEN}
        places = sorted(block * 8 + head for block, head in drawn)
        assert places[1] <= 9  # near to 1 and 2
        assert 23 <= places[2] <= 31  # near to 29


def test_p_is_the_share_of_controls_that_do_as_much() -> None:
    assert empirical_p(0.1, [1.0] * 19) == pytest.approx(1 / 20)
    assert empirical_p(0.1, [0.1, 0.05, 1.0]) == pytest.approx(3 / 4)
