"""Random heads: as many, of the same blocks or of similar output, and never the chosen ones."""

from collections import Counter

import numpy as np
import pytest

from equipoise.model_editing.random_heads import by_layer, by_norm, empirical_p

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


def test_where_few_others_are_left_all_of_the_block_are_drawn_from() -> None:
    chosen = ((0, 0), (0, 1), (0, 2))
    drawn = {by_layer(chosen, heads=4, rng=np.random.default_rng(seed)) for seed in range(50)}
    assert len(drawn) == 4
    everything = tuple((0, head) for head in range(4))
    assert by_layer(everything, heads=4, rng=np.random.default_rng(0)) == everything


def test_of_similar_output() -> None:
    norms = np.exp(np.arange(32.0)).reshape(4, 8)  # rises from head to head
    for seed in range(50):
        drawn = by_norm(CHOSEN, norms, rng=np.random.default_rng(seed))
        assert len({*drawn}) == 3
        assert not {*drawn} & {*CHOSEN}
        places = sorted(block * 8 + head for block, head in drawn)
        assert places[1] <= 9  # near to 1 and 2
        assert 23 <= places[2] <= 31  # near to 29


def test_all_heads_chosen_leaves_the_chosen() -> None:
    every = tuple((0, head) for head in range(3))
    drawn = by_norm(every, np.ones((1, 3)), rng=np.random.default_rng(0))
    assert drawn == every


def test_p_is_the_share_of_controls_that_do_as_much() -> None:
    assert empirical_p(0.1, [1.0] * 19) == pytest.approx(1 / 20)
    assert empirical_p(0.1, [0.1, 0.05, 1.0]) == pytest.approx(3 / 4)
