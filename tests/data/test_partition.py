"""Shares: sizes, that they are disjoint, and that they hang on names and seed alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.partition import shares, shuffled
from equipoise.errors import RecipeError

names = st.lists(st.text(min_size=1, max_size=6), min_size=3, max_size=60, unique=True)


def sizes(count: int) -> list[int]:
    drawn = list(shares([str(number) for number in range(count)], seed=0).values())
    return [drawn.count(share) for share in ("train", "dev", "test")]


def test_sizes() -> None:
    assert sizes(2358) == [943, 471, 944]  # the paper's counts
    assert sizes(262) == [104, 53, 105]
    assert sizes(9) == [3, 2, 4]
    assert sizes(4) == [1, 1, 2]
    assert sizes(3) == [1, 1, 1]


@pytest.mark.thorough
@given(names, st.integers(0, 3), st.randoms(use_true_random=False))
def test_name_order_does_not_matter(drawn, seed, random) -> None:
    other = list(drawn)
    random.shuffle(other)
    assert shares(drawn, seed=seed) == shares(other, seed=seed)
    assert set(shares(drawn, seed=seed)) == set(drawn)
    assert set(shares(drawn, seed=seed).values()) == {"train", "dev", "test"}


def test_seed() -> None:
    many = [str(number) for number in range(50)]
    assert shuffled(many, seed=0) != shuffled(many, seed=1)
    assert shuffled(many, seed=0) == shuffled(many, seed=0)


def test_too_few_names() -> None:
    with pytest.raises(RecipeError, match=r"at least 3 names.*\['nurse', 'cook'\]"):
        shares(["nurse", "cook"], seed=0)
