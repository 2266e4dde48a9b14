"""The set of texts that a text and its counterfactuals make: the same from each of its members.

Closed by construction. What is put depends on the group alone (`counterpart_text`), and only a text
in which the same words are found for these groups is a member. So whichever member one starts from,
the others are found, and a mean over all of them is the same for each.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final, Self, TypeAlias

import numpy as np

from equipoise.group_words.counterpart_text import Change, Exchangeable
from equipoise.group_words.group_words import Found, GroupWords

Changes: TypeAlias = tuple[Change, ...]
_KNOWN: Final = 4096  # words in their surroundings of which the options are remembered
#: The group, on each axis, of the first word that may be exchanged.
_Label: TypeAlias = tuple[int, ...]


def counterpart_set(
    words: GroupWords, text: str, found: Sequence[Found], *, most: int | None, seed: int
) -> tuple[Changes, ...]:
    """The changes to a text for each member of its set, its own first; () where it is alone.

    All words of an axis move on by as many groups, so that who meets whom is kept; with several
    axes every combination is a member. A word is left as it is where none of its counterparts
    would be found back. The text's own changes are none if it spells its words as the lists do.

    `most`: counterfactuals at most. A larger set is cut into equal parts, by the seed and the axes
    and not by the text; the part that the text is in is its set. None: the whole.
    """
    given = Exchangeable(words, text, tuple(found))
    orbit = _Orbit.of(given)
    every = list(product(*map(orbit.fitting, orbit.axes)))
    if len(every) < 2 or orbit.own not in every:
        return ()
    names = [words.axes[axis][0] for axis in orbit.axes]
    part = _part(every, orbit.own, most=most, key=[seed, names])
    steady = all(words.steady(one.place) for one in given.found)
    members = [one for one in part if steady or given.finds_back(orbit.groups(one))]
    if len(members) < 2 or orbit.own not in members:
        return ()
    ordered = [orbit.own, *(member for member in members if member != orbit.own)]
    return tuple(tuple(given.changes(orbit.groups(one))) for one in ordered)


@dataclass(frozen=True, slots=True)
class _Orbit:
    """The texts that come about when the words of each axis move on together."""

    given: Exchangeable
    options: tuple[frozenset[int], ...]  # of each word found
    first: Mapping[int, int]  # by axis the number of its first word that may be exchanged

    @classmethod
    def of(cls, given: Exchangeable) -> Self:
        """The words that may be exchanged are those with two groups or more to choose from."""
        options = tuple(_options(given, index) for index in range(len(given.found)))
        first: dict[int, int] = {}
        for index, one in enumerate(given.found):
            if len(options[index]) > 1:
                first.setdefault(one.axis, index)
        return cls(given, options, first)

    @property
    def axes(self) -> list[int]:
        """The axes of words that may be exchanged, ascending."""
        return sorted(self.first)

    @property
    def own(self) -> _Label:
        """Of the text itself."""
        return tuple(self.given.found[self.first[axis]].group for axis in self.axes)

    def fitting(self, axis: int) -> list[int]:
        """Groups of the first word of an axis with which all its words have one to choose."""
        words = [
            (one, some)
            for one, some in zip(self.given.found, self.options, strict=True)
            if one.axis == axis and len(some) > 1
        ]
        return [
            group
            for group in range(self._size(axis))
            if all(self._moved(one, group) in some for one, some in words)
        ]

    def groups(self, label: _Label) -> list[int | None]:
        """The group of each word found; None for one that stays as it is."""
        to = dict(zip(self.axes, label, strict=True))
        return [
            self._moved(one, to[one.axis]) if len(some) > 1 else None
            for one, some in zip(self.given.found, self.options, strict=True)
        ]

    def _moved(self, one: Found, group: int) -> int:
        """A word's group when the first word of its axis has the one given."""
        step = group - self.given.found[self.first[one.axis]].group
        return (one.group + step) % self._size(one.axis)

    def _size(self, axis: int) -> int:
        return len(self.given.words.axes[axis][1])


def _options(given: Exchangeable, at: int) -> frozenset[int]:
    """The groups for which a word would be found back, all others being of the first group.

    Of what the text names only the places count, not the groups: each member has the same.
    """
    one = given.found[at]
    if given.words.steady(one.place):
        return frozenset(range(len(given.words.axes[one.axis][1])))
    near, here = given.around(at)
    known = given.words.options_known
    key = (near.text, near.found, here)
    if key not in known:
        if len(known) >= _KNOWN:
            known.clear()
        found: set[int] = set()
        for alike in given.words.alike(one.place):
            groups = [alike[0] if number == here else 0 for number in range(len(near.found))]
            if near.finds_back(groups, only=here):
                found.update(alike)
        known[key] = frozenset(found)
    return known[key]


def _part(
    every: Sequence[_Label], own: _Label, *, most: int | None, key: Sequence[object]
) -> list[_Label]:
    """The labels among which is the text's own: all, or one of as few equal parts as will do."""
    if most is None or most >= len(every) - 1:
        return list(every)
    number = every.index(own)
    parts = _parts(len(every), -(-len(every) // (1 + most)), json.dumps(key))
    return [every[at] for at in next(part for part in parts if number in part)]


@lru_cache(maxsize=256)
def _parts(size: int, parts: int, key: str) -> Sequence[Sequence[int]]:
    """The numbers below `size` in equal parts drawn by the key, each ascending."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    order = np.random.default_rng(seed).permutation(size)
    return [sorted(one.tolist()) for one in np.array_split(order, parts)]
