"""Lists of words that stand for one another, by group: checked, and indexed by first words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias, get_args

from equipoise.errors import DataError

#: Where a row applies: before a noun phrase; as a noun and no adjective; before a word for people.
Use: TypeAlias = Literal["determiner", "noun", "person"]

#: A word of a text; an accent may be a character of its own.
TOKEN: Final = re.compile(r"[\w\u0300-\u036f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Words that stand for one another, a cell for each group.

    A cell's first word is the one that is written; all of them are read. "determiner" and "noun"
    choose between two rows that have a word in common ("her": his, him); a word in a single row is
    exchanged wherever it stands. "person" must always hold.
    """

    words: tuple[tuple[str, ...], ...]
    use: Use | None = None
    exact: bool = False  # read only as spelled here: "Ms", never "ms" or "MS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swaps:
    """The words of one axis by group, checked when it is built.

    Raises `DataError` for fewer than two groups, an empty or a repeated entry, or a row that has
    not one cell for each group.
    """

    axis: str
    groups: tuple[str, ...]
    rows: tuple[Row, ...]
    unchanged: tuple[str, ...] = ()  # phrases whose words are no mention: "Isle of Man"
    persons: frozenset[str] = frozenset()  # words for people, for rows of that use
    index: Mapping[str, Sequence["Entry"]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "index", _index(self))


@dataclass(frozen=True, slots=True)
class Entry:
    """A word or phrase to look for, and the rows that it may stand for."""

    listed: tuple[str, ...]  # its words as spelled in the list
    joints: tuple[str, ...]  # what stands between them: " ", "-", "'"
    places: tuple[tuple[int, int], ...]  # (row, group); none: a phrase left unchanged


def _check(swaps: Swaps) -> None:
    where = f"swap list '{swaps.axis}'"
    groups = swaps.groups
    if len(groups) < 2 or len(set(groups)) < len(groups) or not all(map(str.strip, groups)):
        raise DataError(
            f"{where} must have at least two groups with different names, got {list(groups)}; "
            "name each group once"
        )
    for index, row in enumerate(swaps.rows, 1):
        if len(row.words) != len(groups):
            raise DataError(
                f"{where}, row {index}: must have a word for each of the {len(groups)} groups, "
                f"got {len(row.words)}; add or drop words"
            )
        if row.use is not None and row.use not in get_args(Use):
            raise DataError(
                f"{where}, row {index}: use must be one of {', '.join(get_args(Use))}, "
                f"got '{row.use}'; mend it"
            )
        if row.use == "person" and not swaps.persons:
            raise DataError(
                f"{where}, row {index}: use '{row.use}' needs persons, got none; add some"
            )
        if not all(row.words):
            raise DataError(
                f"{where}, row {index}: a group must have a word, got {row.words}; add it"
            )


def _index(swaps: Swaps) -> Mapping[str, Sequence[Entry]]:
    """First word, lower case, to entries, longest first."""
    listed: dict[str, str] = {}
    places: dict[str, list[tuple[int, int]]] = {}
    joined: dict[str, tuple[int, str]] = {}
    for at, row in enumerate(swaps.rows):
        for group, cell in enumerate(row.words):
            for word in map(partial(_checked, swaps), cell):
                taken = places.setdefault(word.lower(), [])
                listed.setdefault(word.lower(), word)
                if any(g != group or swaps.rows[r].use == row.use for r, g in taken):
                    raise DataError(
                        f"swap list '{swaps.axis}', row {at + 1}: a word must be listed once, "
                        f"or for one group in rows of different use, got '{word}' again; drop one"
                    )
                taken.append((at, group))
                _check_joints(swaps, word, group, joined)
    for phrase in map(partial(_checked, swaps), swaps.unchanged):
        if phrase.lower() in places:
            raise DataError(
                f"swap list '{swaps.axis}': a phrase must be listed once, exchanged or unchanged, "
                f"got '{phrase}' again; drop one"
            )
        places[phrase.lower()] = []
        listed[phrase.lower()] = phrase
    index: dict[str, list[Entry]] = {}
    for key, found in places.items():
        words = tuple(one[0] for one in TOKEN.finditer(listed[key]))
        joints = tuple(TOKEN.split(listed[key])[1:-1])
        index.setdefault(words[0].lower(), []).append(Entry(words, joints, tuple(found)))
    return {word: sorted(some, key=lambda one: -len(one.listed)) for word, some in index.items()}


def _check_joints(swaps: Swaps, word: str, group: int, joined: dict[str, tuple[int, str]]) -> None:
    """Refuse a word of two groups that hyphens alone tell apart: it would be its own counterpart.

    `joined`: group and spelling of each word so far, by its parts.
    """
    there, first = joined.setdefault(word.lower().replace("-", " "), (group, word))
    if there != group:
        raise DataError(
            f"swap list '{swaps.axis}': words of two groups must differ in more than hyphens, got "
            f"'{first}' for '{swaps.groups[there]}' and '{word}' for '{swaps.groups[group]}'; "
            "drop one"
        )


def _checked(swaps: Swaps, word: str) -> str:
    """An entry with straight apostrophes, as it is looked for."""
    ends = word[:1] + word[-1:]
    if not word or not all(TOKEN.fullmatch(end) for end in ends) or word.split() != word.split(" "):
        raise DataError(
            f"swap list '{swaps.axis}': an entry must begin and end with a letter and have single "
            f"spaces, got '{word}'; leave out what stands around it"
        )
    return word.replace("’", "'")
