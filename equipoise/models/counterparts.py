"""Counterparts: words for people by axis and group, and texts about another group instead.

The form of a list: axis, then group, then members. Members of the same place in all groups of an
axis stand for one another, form by form (singular, plural):

    {"gender": {"female": [["woman", "women"], ["her"], ["=her"]],
                "male":   [["man", "men"],     ["his"], ["him"]]}}

- A word in lower case is found in any case and put in the case that was found; a word with
  capitals is found as it is written (or all in capitals) and put as it is written.
- A possessive ("woman's") is its word and what follows. Words of several parts are found with
  spaces or hyphens; the longest one wins.
- "=word" has a second reading. The word without "=" is the reading before a noun ("her bag",
  "Christian faith"), "=word" the one elsewhere ("saw her", "a Christian was"). Before a noun means
  here: a word follows that is none of `NO_NOUN`, or nothing is known to follow yet. A word that has
  "=" only is put, and never found.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Final, Self, TypeAlias, final

import numpy as np

from equipoise.errors import DataError
from equipoise.records import JSON

Member: TypeAlias = tuple[str, ...]  # its forms
Group: TypeAlias = tuple[str, tuple[Member, ...]]
Axis: TypeAlias = tuple[str, tuple[Group, ...]]
#: Of each axis that a text names, in order: how many groups each of its words moves on.
Shift: TypeAlias = tuple[int, ...]

#: After one of these a word such as "her" or "Christian" does not stand before a noun.
NO_NOUN: Final = frozenset(
    re.split(
        r"\s+",
        """a about after again against all also although always am an and are as at away back
        be because been before being but by can could did do does down during for from had
        has have he here how i if in into is it just may me might must never not now of off
        on or out over shall she should so than that the then there they this through to
        today too under until up us was we were what when where while who will with would
        yesterday you""",
    )
)
_VOWEL: Final = re.compile(r"[aeio]|u(?!k|ni|s|t)", re.IGNORECASE)
_ARTICLE: Final = re.compile(r"\b(an?)([ -]+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """One word of a text that has counterparts."""

    start: int  # in characters
    end: int
    axis: int
    group: int
    member: int
    form: int


@dataclass(frozen=True, slots=True)
class Change:
    """Characters [start, end) of a text and what stands in their place."""

    start: int
    end: int
    text: str


@final
@dataclass(frozen=True)
class Counterparts:
    """Axes of groups of members. Raises `DataError` for what is empty, uneven or twice there."""

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        """Refuse lists in which a word has no counterpart, or more than one."""
        if not self.axes:
            raise DataError(f"word lists must have an axis, got {len(self.axes)}; add one")
        seen: dict[str, str] = {}
        cases: dict[str, tuple[str, str]] = {}
        for axis, groups in self.axes:
            _check_axis(axis, groups)
            for group, members in groups:
                for word in (form for member in members for form in member):
                    _check_word(f"{axis}.{group}", word, seen)
                    _check_case(f"{axis}.{group}", word, cases)

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
        for one in axes:
            if one not in there:
                raise DataError(f"word lists must have the axis '{one}', have {list(there)}")
        return Counterparts(tuple((one, there[one]) for one in dict.fromkeys(axes)))

    def found(self, text: str) -> tuple[Found, ...]:
        """Every word of the text that has counterparts, in order; the longest where several are."""
        return tuple(
            one
            for match in self._pattern.finditer(text)
            if (one := self._found(text, match)) is not None
        )

    def shifts(self, found: Sequence[Found], *, most: int | None, seed: int) -> list[Shift]:
        """Which other groups to put: all of them, or a seeded sample of `most`.

        A shift moves every word of an axis on by the same number of groups, so that a text about
        any group of an axis has the same texts, itself included, as counterparts. With several
        axes in a text every combination is one. The sample depends on the axes and the seed alone.
        """
        named = sorted({one.axis for one in found})
        sizes = [len(self.axes[axis][1]) for axis in named]
        every = [one for one in product(*map(range, sizes)) if any(one)]
        if most is None or most >= len(every):
            return every
        words = json.dumps([seed, [self.axes[axis][0] for axis in named]]).encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(words).digest()[:8], "big"))
        return [every[at] for at in sorted(rng.choice(len(every), size=most, replace=False))]

    def changes(self, text: str, found: Sequence[Found], shift: Shift) -> list[Change]:
        """What to put where for one shift; "a" and "an" before a word go with it."""
        named = sorted({one.axis for one in found})
        return [
            _change(self, text, one, step)
            for one in found
            if (step := shift[named.index(one.axis)])
        ]

    @cached_property
    def _places(self) -> Mapping[str, tuple[Found, Found | None]]:
        """By word as listed: where, and its reading elsewhere than before a noun."""
        plain: dict[str, Found] = {}
        marked: dict[tuple[str, int, int], Found] = {}
        for a, (_, groups) in enumerate(self.axes):
            for g, (_, members) in enumerate(groups):
                for m, f, word in (
                    (m, f, word) for m, forms in enumerate(members) for f, word in enumerate(forms)
                ):
                    place = Found(0, 0, a, g, m, f)
                    if word.startswith("="):
                        marked[_plain(word[1:]), a, g] = place
                    else:
                        plain[_plain(word)] = place
        return {
            word: (place, marked.get((word, place.axis, place.group)))
            for word, place in plain.items()
        }

    @cached_property
    def _capitals(self) -> Mapping[str, str]:
        """By a word with capitals, and by it all in capitals: that word."""
        listed = [one for one in self._places if one != one.lower()]
        return {one.upper(): one for one in listed} | {one: one for one in listed}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = sorted(self._places, key=lambda one: (-len(one), one))
        either = "|".join(re.escape(one).replace(r"\ ", r"[\s-]+") for one in words)
        return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

    def _found(self, text: str, match: re.Match[str]) -> Found | None:
        """Where a match is listed; None when it is in another case than listed."""
        shown = _plain(match.group())
        listed = self._capitals.get(shown, shown.lower())
        if listed not in self._places:
            return None
        first, elsewhere = self._places[listed]
        chosen = first if elsewhere is None or _before_noun(text, match.end()) else elsewhere
        return replace(chosen, start=match.start(), end=match.end())


def applied(text: str, changes: Sequence[Change]) -> str:
    """The text with the changes made; they are in order and apart."""
    done, parts = 0, []
    for one in changes:
        parts += [text[done : one.start], one.text]
        done = one.end
    return "".join([*parts, text[done:]])


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


def _check_case(where: str, word: str, seen: dict[str, tuple[str, str]]) -> None:
    """At the beginning of a sentence a word in lower case looks like its own with a capital."""
    if word[:1] == "=":  # it is only put
        return
    shown = _plain(word)
    lower = shown.lower()
    begins = lower[:1].upper() + lower[1:]
    twin = {lower: begins, begins: lower}.get(shown, "")
    there, first = seen.get(twin, (where, word))
    if there != where:
        raise DataError(
            f"words of two groups must differ in more than a first capital, '{first}' is in "
            f"'{there}' and '{word}' in '{where}', and at the beginning of a sentence either may "
            "be meant; remove one"
        )
    seen[shown] = (where, word)


def _check_word(where: str, word: str, seen: dict[str, str]) -> None:
    bare = word.removeprefix("=")
    if not bare or bare != " ".join(bare.split()):
        raise DataError(f"a word of '{where}' must not be empty or begin with space, got {word!r}")
    key = f"{where}={bare}" if word != bare else bare
    if key in seen:
        raise DataError(
            f"the word '{word}' must be listed once, it is in '{seen[key]}' and in '{where}'; "
            "remove one, or write '=' before it where it is only to be put"
        )
    seen[key] = where


def _members(axis: str, group: str, found: JSON) -> tuple[Member, ...]:
    if not isinstance(found, list | tuple):
        raise DataError(f"group '{axis}.{group}' must be a list of members, got {found!r}; mend it")
    members: list[Member] = []
    for one in found:
        forms = [one] if isinstance(one, str) else one
        if not isinstance(forms, list | tuple) or not forms:
            raise DataError(f"a member of '{axis}.{group}' must be a list of forms, got {one!r}")
        members.append(tuple(str(form) for form in forms))
    return tuple(members)


def _plain(word: str) -> str:
    """Parts of a word apart by single spaces, however they were written."""
    return re.sub(r"[\s-]+", " ", word)


def _before_noun(text: str, end: int) -> bool:
    rest = text[end:]
    if not rest.strip():
        return True
    word = re.match(r"\s+([^\W\d]+)", rest)
    return word is not None and word.group(1).lower() not in NO_NOUN


def _change(lists: Counterparts, text: str, one: Found, step: int) -> Change:
    _, groups = lists.axes[one.axis]
    _, members = groups[(one.group + step) % len(groups)]
    listed = groups[one.group][1][one.member][one.form].removeprefix("=")
    put = _in_case(
        members[one.member][one.form].removeprefix("="), text[one.start : one.end], listed
    )
    article = _ARTICLE.search(text[: one.start])
    if article is None or bool(_VOWEL.match(put)) == bool(_VOWEL.match(listed)):
        return Change(one.start, one.end, put)
    word = article.group(1)
    written = word[0] + ("n" if _VOWEL.match(put) else "")
    return Change(article.start(), one.end, written + article.group(2) + put)


def _in_case(put: str, shown: str, listed: str) -> str:
    """The counterpart in the case of the word that it replaces."""
    if shown.isupper() and len(shown) > 1:
        return put.upper()
    if listed == listed.lower() and shown[:1].isupper():
        return put[:1].upper() + put[1:]
    return put
