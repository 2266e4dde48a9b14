"""Trees of texts in a row: nothing lost, nothing mixed, prefixes once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.inference.prefix_sharing import PackedRow, pack, single, tree

TEXTS = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple), unique=True, max_size=30
)


def ancestors(row: PackedRow, place: int) -> list[int]:
    return [ancestor for ancestor in range(len(row)) if ancestor <= place < row.ends[ancestor]]


@pytest.mark.thorough
@given(TEXTS)
def test_every_text_is_a_path_of_one_tree(
    texts: list[tuple[int, ...]],
) -> None:
    rows = pack(texts, range(len(texts)))
    assert sorted(number for row in rows for number in row.paths) == list(range(len(texts)))
    for row in rows:
        for number, path in row.paths.items():
            assert tuple(row.ids[place] for place in path) == texts[number]
            assert ancestors(row, path[-1]) == path
            assert [row.depths[place] for place in path] == list(range(len(path)))


def test_a_shared_prefix_is_packed_once() -> None:
    row = tree([(1, 2, 3), (1, 2, 4, 5), (1, 2)], (0, 1, 2))
    assert row.ids == [1, 2, 3, 4, 5]
    assert row.depths == [0, 1, 2, 2, 3]
    assert row.ends == [5, 5, 3, 5, 5]
    assert row.paths == {2: [0, 1], 0: [0, 1, 2], 1: [0, 1, 3, 4]}


def test_texts_with_long_shared_prefixes_are_packed_together() -> None:
    long = tuple(range(100, 150))
    texts = [(*long, 1), (7, 8, 9), (*long, 2)]
    (row,) = pack(texts, range(3))
    assert len(row) == 50 + 2 + 3
    rows = pack([tuple(range(start, start + 60)) for start in (0, 100, 200)], range(3))
    assert [len(row) for row in rows] == [60, 60, 60]


def test_a_broader_tree_holds_more_texts_of_one_beginning() -> None:
    begin = tuple(range(100, 300))
    texts = [(*begin, *range(1000 * end, 1000 * end + 100)) for end in range(1, 9)]
    assert [len(row) for row in pack(texts, range(8))] == [600, 600]
    assert [len(row) for row in pack(texts, range(8), breadth=4)] == [1000]


def test_only_members_are_packed() -> None:
    assert [list(row.paths) for row in pack([(1,), (2,), (3,)], (2,))] == [[2]]
    assert [row.ids for row in single([(1,), (2, 3)], (1,))] == [[2, 3]]
