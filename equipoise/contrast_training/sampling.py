"""Endless seeded orders of items: the batch of a step depends on its number and the seed alone.

So a training that is killed and resumed takes the same batches as any other.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def epoch_batch(items: Sequence[T], size: int, *, step: int, seed: Sequence[int]) -> list[T]:
    """The `size` items of step 0, 1, …: every item comes once before any comes again.

    Each epoch has an order of its own, drawn by the seed; a batch may span two epochs. Empty when
    there are no items.
    """
    if not items:
        return []
    batch = []
    for index in range(step * size, (step + 1) * size):
        epoch, place = divmod(index, len(items))
        batch.append(items[int(_order(len(items), (*seed, epoch))[place])])
    return batch


def distinct_batch(items: Sequence[T], size: int, *, step: int, seed: Sequence[int]) -> list[T]:
    """Like `epoch_batch` but without repeats inside a batch.

    The incomplete last batch of an epoch is dropped; each epoch drops other items. All items when
    `size` is their number or more.
    """
    size = min(size, len(items))
    if not size:
        return []
    epoch, place = divmod(step, len(items) // size)
    order = _order(len(items), (*seed, epoch))
    return [items[int(index)] for index in order[place * size : (place + 1) * size]]


def mixed_batch(
    pools: Mapping[str, Sequence[T]],
    weights: Mapping[str, float],
    size: int,
    *,
    step: int,
    seed: Sequence[int],
) -> list[T]:
    """The items of a step from pools by bias type.

    With equal weights the pools are joined, so that each type comes as often as it has items;
    otherwise the type of each item is drawn with probability proportional to its weight.
    """
    if not size or not pools:
        return []
    if len({weights[axis] for axis in pools}) == 1:
        joined = [item for axis in sorted(pools) for item in pools[axis]]
        return epoch_batch(joined, size, step=step, seed=seed)
    axes = [axis for axis in sorted(pools) if pools[axis]]
    total = sum(weights[axis] for axis in axes)
    generator = np.random.default_rng([*seed, step])
    chosen = generator.choice(len(axes), size=size, p=[weights[axis] / total for axis in axes])
    batch = []
    for index in chosen.tolist():
        pool = pools[axes[index]]
        batch.append(pool[int(generator.integers(len(pool)))])
    return batch


@lru_cache(maxsize=64)
def _order(count: int, seed: tuple[int, ...]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.random.default_rng(seed).permutation(count)
