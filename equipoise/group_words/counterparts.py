"""Counterparts: words for people by axis and group, and texts about another group instead.

The form of a list: axis, then group, then members. Members of the same place in all groups of an
axis stand for one another, form by form (singular, plural):

    {"gender": {"female": [["woman", "women"], ["her"], ["=her"]],
                "male":   [["man", "men"],     ["his"], ["him"]]}}

- A word in lower case is found in any case and put in the case that was found; a word with
  capitals is found as it is written (or all in capitals) and put as it is written. Where only some
  words of a place have capitals ("Asian", "white") all are put as they are written, but for the
  beginning of a sentence.
- A possessive ("woman's") is its word and what follows. Words of several parts are found with
  spaces or hyphens; the longest one wins.
- "=word" has a second reading. The word without "=" is the reading before a noun ("her bag",
  "Christian faith"), "=word" the one elsewhere ("saw her", "a Christian was"). Before a noun means
  here: a word follows that is none of `NO_NOUN`, or nothing is known to follow yet. A word that has
  "=" only is never found, and hence never put.
- "+word" is found in any case, and only before a word for people: one of `PEOPLE` is among the
  next three words, and none of `NO_NOUN` but "and" and "or" before it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self, final

from equipoise.errors import DataError
from equipoise.group_words.counterpart_sets import Changes, counterpart_set
from equipoise.group_words.group_words import Axis, Found, Group, GroupWords, Member, bare, plain
from equipoise.records import JSON


@final
@dataclass(frozen=True)
class Counterparts:
    """Axes of groups of members. Raises `DataError` for what is empty, uneven or twice there."""

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        """Refuse lists in which a word has no counterpart, or more than one."""
        if not self.axes:
            raise DataError(f"word lists must have an axis, got {len(self.axes)}; add one")
        seen: dict[str, tuple[str, str]] = {}
        for axis, groups in self.axes:
            _check_axis(axis, groups)
            for group, members in groups:
                for word in (form for member in members for form in member):
                    _check_word(f"{axis}.{group}", word, seen)

    @classmethod
    def parsed(cls, lists: JSON) -> Self:
        """From JSON of the form above. Raises `DataError`."""
        if not isinstance(lists, Mapping):
            raise DataError(f"word lists must map axes to groups, got {lists!r}; see the docs")
        axes: list[Axis] = []
        for axis, groups in lists.items():
            if not isinstance(groups, Mapping):
                raise DataError(
                    f"axis '{axis}' must map groups to members, got {groups!r}; mend it"
                )
            axes.append(
                (axis, tuple((name, _members(axis, name, found)) for name, found in groups.items()))
            )
        return cls(tuple(axes))

    @property
    def as_json(self) -> dict[str, JSON]:
        """The form that `parsed` reads."""
        return {
            axis: {name: [list(member) for member in members] for name, members in groups}
            for axis, groups in self.axes
        }

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the lists."""
        return hashlib.sha256(json.dumps(self.as_json).encode()).hexdigest()

    def only(self, axes: Sequence[str]) -> "Counterparts":
        """These axes alone. Raises `DataError` naming one that is not there."""
        there = dict(self.axes)
        for axis in axes:
            if axis not in there:
                raise DataError(f"word lists must have the axis '{axis}', have {list(there)}")
        return Counterparts(tuple((fromkey, there[fromkey]) for fromkey in dict.fromkeys(axes)))

    def found(self, text: str) -> tuple[Found, ...]:
        """Every word of the text that names a group, in order; the longest where several do."""
        return self._words.found(text)

    def undecided(self, text: str, found: Sequence[Found]) -> str:
        """What follows the words found, as far as the set of the text depends on it."""
        return self._words.undecided(text, found)

    def members(self, text: str, *, most: int | None, seed: int) -> tuple[Changes, ...]:
        """The changes to a text for each member of its set, its own first, as `counterpart_set`."""
        return self._sets(text, most, seed)

    def __reduce__(self) -> tuple[type["Counterparts"], tuple[tuple[Axis, ...]]]:
        """The lists alone: what was found with them is not kept."""
        return type(self), (self.axes,)

    @cached_property
    def _sets(self) -> Callable[[str, int | None, int], tuple[Changes, ...]]:
        """The sets of the last texts are known: those of one example often begin alike."""

        @lru_cache(maxsize=64)
        def found_set(text: str, most: int | None, seed: int) -> tuple[Changes, ...]:
            found = self._words.found(text)
            return counterpart_set(self._words, text, found, most=most, seed=seed) if found else ()

        return found_set

    @cached_property
    def _words(self) -> GroupWords:
        return GroupWords(self.axes)


def _check_axis(axis: str, groups: Sequence[Group]) -> None:
    if len(groups) < 2:
        raise DataError(f"axis '{axis}' must have two groups or more, got {len(groups)}; add one")
    shapes = {name: [len(member) for member in members] for name, members in groups}
    first, shape = next(iter(shapes.items()))
    if not shape:
        raise DataError(f"group '{axis}.{first}' must have members, got {len(shape)}; add some")
    for name, other in shapes.items():
        if other != shape:
            raise DataError(
                f"groups of '{axis}' must have as many members and forms each, '{first}' has "
                f"{shape} and '{name}' {other}; line them up"
            )


def _check_word(where: str, word: str, seen: dict[str, tuple[str, str]]) -> None:
    """Two words that differ in case or in hyphens alone could not be told apart in a text."""
    listed = bare(word)
    if not plain(listed).strip() or listed != " ".join(listed.split()):
        raise DataError(
            f"a word of '{where}' must not be empty or hyphens alone, its parts one space apart, "
            f"got {word!r}; correct it or leave it out"
        )
    key = plain(listed).lower()
    if word[0] == "=":
        key = f"{where}={key}"
    if key in seen:
        there, first = seen[key]
        raise DataError(
            f"a word must be listed once, however it is written, got '{first}' in '{there}' and "
            f"'{word}' in '{where}'; remove one"
        )
    seen[key] = (where, word)


def _members(axis: str, group: str, found: JSON) -> tuple[Member, ...]:
    if not isinstance(found, list | tuple):
        raise DataError(f"group '{axis}.{group}' must be a list of members, got {found!r}; mend it")
    members: list[Member] = []
    for one in found:
        forms = [one] if isinstance(one, str) else one
        if not isinstance(forms, list | tuple) or not forms:
            raise DataError(
                f"a member of '{axis}.{group}' must be a list of forms, got {one!r}; mend it"
            )
        members.append(tuple(str(form) for form in forms))
    return tuple(members)
