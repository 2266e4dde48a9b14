"""Endless seeded orders of examples: which ones a step takes depends on its number alone.

So a training that was killed takes, from any step on, what it would have taken.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def taken(count: int, size: int, *, turn: int, seed: Sequence[int]) -> list[int]:
    """The `size` numbers below `count` of turn 0, 1, …: every number once before any comes again.

    Each round through all of them has an order of its own, drawn by the seed. None of none.
    """
    if count == 0:
        return []
    found = []
    for place in range(turn * size, (turn + 1) * size):
        round_, at = divmod(place, count)
        found.append(int(_order(count, (*seed, round_))[at]))
    return found


def taken_apart(count: int, size: int, *, turn: int, seed: Sequence[int]) -> list[int]:
    """As `taken`, with no number twice in a turn: what is left at a round's end is left out.

    Each round leaves out others. All of them when `size` is `count` or more.
    """
    size = min(size, count)
    if not size:
        return []
    round_, at = divmod(turn, count // size)
    return [int(one) for one in _order(count, (*seed, round_))[at * size : (at + 1) * size]]


@lru_cache(maxsize=64)
def _order(count: int, seed: tuple[int, ...]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.random.default_rng(seed).permutation(count)


def drawn(
    pools: Mapping[str, Sequence[T]],
    weights: Mapping[str, float],
    size: int,
    *,
    turn: int,
    seed: Sequence[int],
) -> list[T]:
    """The examples of a turn from pools by type.

    At equal weights the pools are one, so that each type comes as often as it has examples; at
    others a type is drawn in proportion to its weight for each place of the batch.
    """
    if not size or not pools:
        return []
    if len({weights[axis] for axis in pools}) == 1:
        every = [one for axis in sorted(pools) for one in pools[axis]]
        return [every[at] for at in taken(len(every), size, turn=turn, seed=seed)]
    axes = [axis for axis in sorted(pools) if pools[axis]]
    total = sum(weights[axis] for axis in axes)
    generator = np.random.default_rng([*seed, turn])
    chosen = generator.choice(len(axes), size=size, p=[weights[axis] / total for axis in axes])
    return [
        pools[axes[at]][int(generator.integers(len(pools[axes[at]])))] for at in chosen.tolist()
    ]
