"""Several texts in one row: what they begin with in common is computed once.

A row is a tree of tokens, laid out depth first. A token attends to its ancestors alone, so each
path from the root is computed as if it stood in a row of its own (position = depth in the tree).
Token j is an ancestor of token i (or i itself) exactly when j <= i < ends[j].
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from equipoise.models.tokenization import Ids

_ROOM = 64  # tokens a row may always hold: little enough that attention costs next to nothing


@dataclass(frozen=True, slots=True)
class Row:
    """A tree of tokens in depth-first order; every list is [token]."""

    ids: list[int]
    depths: list[int]  # the token's position in its own text
    ends: list[int]  # one past the last token that may attend to this one
    paths: dict[int, list[int]]  # text number to the place of each of its tokens in this row

    def __len__(self) -> int:
        return len(self.ids)


def tree(texts: Sequence[Ids], members: Sequence[int]) -> Row:
    """One row of the texts whose numbers are `members`."""
    row = Row([], [], [], {})
    path: list[int] = []
    before: Ids = ()
    for number in sorted(members, key=texts.__getitem__):
        common = _shared(before, texts[number])
        _close(row, path, common)
        for token in texts[number][common:]:
            path.append(len(row.ids))
            row.depths.append(len(path) - 1)
            row.ids.append(token)
            row.ends.append(0)  # known once the tree below it is complete
        row.paths[number] = list(path)
        before = texts[number]
    _close(row, path, 0)
    return row


def pack(texts: Sequence[Ids], members: Sequence[int]) -> list[Row]:
    """Rows that together hold each of these texts once, sharing prefixes, with little left empty.

    Texts that share most go together first; a tree may hold as many tokens as a few texts of its
    length do, for attention is quadratic. Small trees are then fitted into the room that is left.
    """
    order = sorted(members, key=texts.__getitem__)
    groups = [[order[at] for at in group] for group in _families(texts, order)]
    return [tree(texts, group) for group in _fitted(texts, groups)]


def single(texts: Sequence[Ids], members: Sequence[int]) -> list[Row]:
    """One row a text, for models that cannot be told what may attend to what."""
    return [tree(texts, (number,)) for number in members]


def _shared(one: Ids, other: Ids) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _close(row: Row, path: list[int], depth: int) -> None:
    while len(path) > depth:
        row.ends[path.pop()] = len(row.ids)


def _families(texts: Sequence[Ids], order: Sequence[int]) -> list[range]:
    """Neighbours in sorted order, joined at their longest common prefixes first."""
    links = [_shared(texts[a], texts[b]) for a, b in pairwise(order)]
    size = {index: len(texts[number]) for index, number in enumerate(order)}  # by first member
    longest = dict(size)
    first = list(range(len(order)))  # of a family's last member: its first
    last = list(range(len(order)))  # of a family's first member: its last
    for link in sorted(range(len(links)), key=lambda at: (-links[at], at)):
        if links[link] == 0:
            break
        left, right = first[link], link + 1
        joint = size[left] + size[right] - links[link]
        length = max(longest[left], longest[right])
        if joint <= _ROOM + 2 * length:
            end = last[right]
            size[left], longest[left] = joint, length
            last[left], first[end] = end, left
            del size[right]
    return [range(begin, last[begin] + 1) for begin in sorted(size)]


def _fitted(texts: Sequence[Ids], groups: list[list[int]]) -> list[list[int]]:
    """Best fit, longest first: each group goes where it leaves least room."""
    sizes = [len(tree(texts, group)) for group in groups]
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for at in sorted(range(len(groups)), key=lambda one: (-sizes[one], one)):
        place = bisect_left(room, (sizes[at], -1))
        if place < len(room):
            left, row = room.pop(place)
            rows[row] += groups[at]
        else:
            left, row = max(_ROOM, sizes[at]), len(rows)
            rows.append(list(groups[at]))
        insort(room, (left - sizes[at], row))
    return rows
