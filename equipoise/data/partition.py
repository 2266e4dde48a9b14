"""Train, dev and test shares (2 : 1 : 2, as LFTF has them) that depend on names and a seed alone.

A name's place is its hash, so the shares are the same on every machine and in every version of
numpy, and two benchmarks that split the same professions with the same seed split them alike.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from equipoise.errors import RecipeError

Share: TypeAlias = Literal["train", "dev", "test"]

SHARES: Final[tuple[Share, ...]] = ("train", "dev", "test")


def shuffled(names: Sequence[str], *, seed: int | str) -> list[str]:
    """The names in an order drawn by seed, whatever order they came in."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest())


def shares(names: Sequence[str], *, seed: int | str) -> dict[str, Share]:
    """Name to share, disjoint by construction: 2/5 train, 1/5 dev, 2/5 test, rounded down.

    No share is empty: 3 names give 1 each; 2,358 give the paper's 943/471/944.
    Raises `RecipeError` for fewer than 3 names.
    """
    if len(names) < 3:
        raise RecipeError(
            f"a split needs at least 3 names to share out, got {list(names)}; split by another key"
        )
    train = max(1, 2 * len(names) // 5)
    dev = max(train + 1, 3 * len(names) // 5)
    return {
        name: "train" if place < train else "dev" if place < dev else "test"
        for place, name in enumerate(shuffled(names, seed=seed))
    }
