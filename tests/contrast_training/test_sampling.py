"""Orders of examples: every number once a round, and each turn by its number alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.contrast_training.sampling import drawn, taken, taken_apart

sizes = st.integers(1, 9)
seeds = st.lists(st.integers(0, 5), min_size=1, max_size=3)


@given(count=sizes, size=sizes, rounds=st.integers(1, 3), seed=seeds)
def test_every_number_comes_once_a_round(
    count: int, size: int, rounds: int, seed: list[int]
) -> None:
    turns = rounds * count  # after so many, `rounds * size` rounds are over
    several = [one for turn in range(turns) for one in taken(count, size, turn=turn, seed=seed)]
    for begin in range(0, len(several), count):
        assert sorted(several[begin : begin + count]) == list(range(count))


@given(count=sizes, size=sizes, seed=seeds)
def test_apart_no_number_comes_twice_in_a_turn_nor_in_a_round(
    count: int, size: int, seed: list[int]
) -> None:
    used = min(size, count)
    a_round = count // used
    turns = [taken_apart(count, size, turn=turn, seed=seed) for turn in range(3 * a_round)]
    assert all(len(turn) == used for turn in turns)
    for begin in range(0, len(turns), a_round):
        several = [one for turn in turns[begin : begin + a_round] for one in turn]
        assert len(set(several)) == len(several)
        assert set(several) <= set(range(count))


def test_apart_each_round_leaves_out_others() -> None:
    several = [taken_apart(5, 2, turn=turn, seed=(0,)) for turn in range(400)]
    times = Counter(one for turn in several for one in turn)
    assert set(times) == set(range(5))
    assert max(times.values()) < 1.3 * min(times.values())
    assert taken_apart(0, 3, turn=7, seed=(0,)) == []


def test_a_turn_is_the_same_after_a_restart_and_rounds_differ() -> None:
    first = [taken(7, 3, turn=turn, seed=(4, 1)) for turn in range(20)]
    again = [taken(7, 3, turn=turn, seed=(4, 1)) for turn in reversed(range(20))]
    assert first == again[::-1]
    assert first != [taken(7, 3, turn=turn, seed=(4, 2)) for turn in range(20)]
    flat = [one for turn in first for one in turn]
    assert flat[:7] != flat[7:14]


def test_none_of_none() -> None:
    assert taken(0, 4, turn=3, seed=(0,)) == []
    assert taken(4, 0, turn=3, seed=(0,)) == []
    assert drawn({}, {}, 4, turn=0, seed=(0,)) == []
    assert drawn({"a": [1]}, {"a": 1.0}, 0, turn=0, seed=(0,)) == []


POOLS = {"a": list(range(6)), "b": list(range(10, 12)), "c": [20, 21, 22, 23]}
EVERY = [one for pool in POOLS.values() for one in pool]


def test_at_equal_weights_the_pools_are_one() -> None:
    turns = [drawn(POOLS, dict.fromkeys(POOLS, 0.5), 4, turn=turn, seed=(0,)) for turn in range(3)]
    assert sorted(one for turn in turns for one in turn) == sorted(EVERY)


def test_at_other_weights_types_come_in_proportion() -> None:
    weights = {"a": 3.0, "b": 1.0, "c": 2.0}
    several = [one for turn in range(600) for one in drawn(POOLS, weights, 5, turn=turn, seed=(1,))]
    times = Counter(one // 10 for one in several)
    shares = [times[index] / len(several) for index in range(3)]
    assert shares == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=0.03)
    assert set(several) == set(EVERY)


def test_unequal_draws_depend_on_the_turn_alone_and_pass_by_empty_types() -> None:
    weights = {"a": 3.0, "b": 1.0, "c": 2.0}
    pools = {**POOLS, "b": []}
    one, other = (
        [drawn(pools, weights, 8, turn=turn, seed=(1, 2)) for turn in turns]
        for turns in ((0, 1, 2), (2, 1, 0))
    )
    assert one == other[::-1]
    assert one[0] != one[1]
    assert all(at < 10 or at >= 20 for turn in one for at in turn)
