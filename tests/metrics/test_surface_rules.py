"""Rules that understand nothing, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics.surface_rules import (
    right_by_cut,
    right_by_kind,
    right_by_place,
    right_by_size,
)


def test_by_place_and_kind() -> None:
    targets = [0, 0, 1, 1, 1]
    assert right_by_place(targets).tolist() == [0, 0, 1, 1, 1]
    assert right_by_kind(targets, ["a", "a", "a", "b", "b"]).tolist() == [1, 1, 0, 1, 1]


def test_by_cut_finds_the_length_that_tells() -> None:
    assert right_by_cut([0, 0, 1, 1], [5, 6, 20, 30]).tolist() == [1, 1, 1, 1]
    assert right_by_cut([1, 1, 0, 0], [5, 6, 20, 30]).tolist() == [1, 1, 1, 1]
    assert right_by_cut([0, 1], [7, 7]).tolist() == [1, 0]  # nothing to cut
    assert right_by_cut([2, 0, 1, 2], [1, 2, 2, 9]).mean() == 0.5


def test_by_size_takes_the_better_end_and_shares_ties() -> None:
    lengths = np.array([[3, 9], [9, 3], [5, 5]])
    assert right_by_size([1, 0, 0], lengths).tolist() == [1, 1, 0.5]
    assert right_by_size([0, 1, 0], lengths).tolist() == [1, 1, 0.5]


@pytest.mark.thorough
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=30))
def test_no_rule_is_worse_than_the_most_frequent_option(rows: list[tuple[int, int]]) -> None:
    targets, lengths = [row[0] for row in rows], [row[1] for row in rows]
    place = right_by_place(targets).mean()
    assert right_by_cut(targets, lengths).mean() >= place
    assert right_by_kind(targets, [str(length) for length in lengths]).mean() >= place
