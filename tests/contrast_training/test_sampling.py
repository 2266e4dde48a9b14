"""Batches: every item once per epoch, and each batch by its step alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.contrast_training.sampling import distinct_batch, epoch_batch, mixed_batch

sizes = st.integers(1, 9)
seeds = st.lists(st.integers(0, 5), min_size=1, max_size=3)


@given(count=sizes, size=sizes, epochs=st.integers(1, 3), seed=seeds)
def test_every_item_comes_once_per_epoch(
    count: int, size: int, epochs: int, seed: list[int]
) -> None:
    steps = epochs * count  # after which `epochs * size` epochs are over
    drawn = [
        item
        for step in range(steps)
        for item in epoch_batch(range(count), size, step=step, seed=seed)
    ]
    for begin in range(0, len(drawn), count):
        assert sorted(drawn[begin : begin + count]) == list(range(count))


@given(count=sizes, size=sizes, seed=seeds)
def test_distinct_items_never_repeat_in_a_batch_nor_in_an_epoch(
    count: int, size: int, seed: list[int]
) -> None:
    used = min(size, count)
    epoch = count // used
    batches = [
        distinct_batch(range(count), size, step=step, seed=seed) for step in range(3 * epoch)
    ]
    assert all(len(batch) == used for batch in batches)
    for begin in range(0, len(batches), epoch):
        drawn = [item for batch in batches[begin : begin + epoch] for item in batch]
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(count))


def test_each_epoch_of_distinct_items_drops_others() -> None:
    batches = [distinct_batch(range(5), 2, step=step, seed=(0,)) for step in range(400)]
    times = Counter(item for batch in batches for item in batch)
    assert set(times) == set(range(5))
    assert max(times.values()) < 1.3 * min(times.values())


def test_a_batch_is_the_same_after_a_restart_and_epochs_differ() -> None:
    first = [epoch_batch(range(7), 3, step=step, seed=(4, 1)) for step in range(20)]
    again = [epoch_batch(range(7), 3, step=step, seed=(4, 1)) for step in reversed(range(20))]
    assert first == again[::-1]
    assert first != [epoch_batch(range(7), 3, step=step, seed=(4, 2)) for step in range(20)]
    flat = [item for batch in first for item in batch]
    assert flat[:7] != flat[7:14]


def test_no_items_and_no_size_give_no_batch() -> None:
    assert epoch_batch([], 4, step=3, seed=(0,)) == []
    assert epoch_batch(range(4), 0, step=3, seed=(0,)) == []
    assert distinct_batch([], 3, step=7, seed=(0,)) == []
    assert mixed_batch({}, {}, 4, step=0, seed=(0,)) == []
    assert mixed_batch({"a": [1]}, {"a": 1.0}, 0, step=0, seed=(0,)) == []


POOLS = {"a": list(range(6)), "b": list(range(10, 12)), "c": [20, 21, 22, 23]}
EVERY = [item for pool in POOLS.values() for item in pool]
WEIGHTS = {"a": 3.0, "b": 1.0, "c": 2.0}


def test_with_equal_weights_the_pools_are_joined() -> None:
    equal = dict.fromkeys(POOLS, 0.5)
    batches = [mixed_batch(POOLS, equal, 4, step=step, seed=(0,)) for step in range(3)]
    assert sorted(item for batch in batches for item in batch) == sorted(EVERY)


def test_with_other_weights_types_come_in_proportion() -> None:
    drawn = [
        item for step in range(600) for item in mixed_batch(POOLS, WEIGHTS, 5, step=step, seed=(1,))
    ]
    times = Counter(item // 10 for item in drawn)
    shares = [times[index] / len(drawn) for index in range(3)]
    assert shares == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=0.03)
    assert set(drawn) == set(EVERY)


def test_unequal_draws_depend_on_the_step_alone_and_skip_empty_types() -> None:
    pools = {**POOLS, "b": []}
    one, other = (
        [mixed_batch(pools, WEIGHTS, 8, step=step, seed=(1, 2)) for step in steps]
        for steps in ((0, 1, 2), (2, 1, 0))
    )
    assert one == other[::-1]
    assert one[0] != one[1]
    assert all(item < 10 or item >= 20 for batch in one for item in batch)
