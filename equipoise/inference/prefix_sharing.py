"""Texts that share a row: a prefix that they share is computed once.

A row is a tree of tokens, laid out depth first. A token attends to its ancestors alone, so each
path from the root is computed as if it were a row of its own (position = depth in the tree).
Token j is an ancestor of token i (or i itself) exactly when j <= i < ends[j].
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from equipoise.models.tokenization import Ids

_ROOM = 64  # tokens a row may always hold: little enough that attention costs next to nothing


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A tree of tokens in depth-first order; every list is [token]."""

    ids: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)  # the token's position in its own text
    ends: list[int] = field(
        default_factory=list
    )  # the place after the last token that may attend to this
    paths: dict[int, list[int]] = field(default_factory=dict)  # text to its tokens' places in ids

    def __len__(self) -> int:
        return len(self.ids)


def tree(texts: Sequence[Ids], members: Iterable[int]) -> PackedRow:
    """One row of the texts with the indices `members`."""
    row = PackedRow()
    path: list[int] = []
    previous: Ids = ()
    for member in sorted(members, key=texts.__getitem__):
        ids = texts[member]
        common = common_prefix(previous, ids)
        size = len(row.ids)
        for place in path[common:]:
            row.ends[place] = size
        new = len(ids) - common
        path = [*path[:common], *range(size, size + new)]
        row.ids.extend(ids[common:])
        row.depths.extend(range(common, len(ids)))
        row.ends.extend([0] * new)  # known once the tree below is complete
        row.paths[member] = path
        previous = ids
    for place in path:
        row.ends[place] = len(row.ids)
    return row


def pack(texts: Sequence[Ids], members: Iterable[int], *, breadth: int = 2) -> list[PackedRow]:
    """Rows that together hold each of these distinct texts once, with little room left empty.

    Texts that share most go together first; a tree may hold as many tokens as `breadth` texts of
    its length, for attention is quadratic. Small trees are then fitted into the room that is left.
    """
    order = sorted(members, key=texts.__getitem__)
    groups, sizes = _group_by_prefix(texts, order, breadth)
    return [tree(texts, group) for group in _fit(groups, sizes)]


def single(texts: Sequence[Ids], members: Iterable[int]) -> list[PackedRow]:
    """One row per text, for models that cannot be told what may attend to what."""
    return [tree(texts, (member,)) for member in members]


def common_prefix(first: Ids, second: Ids) -> int:
    """Tokens that both begin with."""
    count = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        count += 1
    return count


def _group_by_prefix(
    texts: Sequence[Ids], order: Sequence[int], breadth: int
) -> tuple[list[list[int]], list[int]]:
    """Neighbors in sorted order, joined at their longest common prefixes first; and tree sizes."""
    links = [common_prefix(texts[first], texts[second]) for first, second in pairwise(order)]
    size = {index: len(texts[member]) for index, member in enumerate(order)}  # by first member
    longest = dict(size)
    first = list(range(len(order)))  # of a group's last member: its first
    last = list(range(len(order)))  # of a group's first member: its last
    for link in sorted(range(len(links)), key=lambda index: (-links[index], index)):
        # nothing is shared any more: `_fit` fills the rows
        if links[link] == 0:
            break
        left, right = first[link], link + 1
        joint = size[left] + size[right] - links[link]
        length = max(longest[left], longest[right])
        if joint <= _ROOM + breadth * length:
            end = last[right]
            size[left], longest[left] = joint, length
            last[left], first[end] = end, left
            del size[right]
    begins = sorted(size)
    groups = [[order[index] for index in range(begin, last[begin] + 1)] for begin in begins]
    return groups, [size[begin] for begin in begins]


def _fit(groups: list[list[int]], sizes: list[int]) -> list[list[int]]:
    """Best fit, largest first: each group goes into the row in which it leaves least room."""
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for group in sorted(range(len(groups)), key=lambda index: (-sizes[index], index)):
        place = bisect_left(room, (sizes[group], -1))
        if place < len(room):
            left, row = room.pop(place)
            rows[row] += groups[group]
        else:
            left, row = max(_ROOM, sizes[group]), len(rows)
            rows.append(list(groups[group]))
        insort(room, (left - sizes[group], row))
    return rows
