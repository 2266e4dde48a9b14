"""Finding the words of a text that name a group, and how each is used there.

What the marks "=" and "+" of a listed word mean stands in `counterparts.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias, final

from equipoise.group_words.following_words import NO_NOUN, PEOPLE

Member: TypeAlias = tuple[str, ...]  # its forms
Group: TypeAlias = tuple[str, tuple[Member, ...]]
Axis: TypeAlias = tuple[str, tuple[Group, ...]]
#: As listed; with a capital first letter; all in capitals.
Style: TypeAlias = Literal["listed", "first", "upper"]
#: Axis, member and form: the same in all groups of an axis.
Place: TypeAlias = tuple[int, int, int]

_BEGINS: Final = re.compile(r"(?:^|[.!?:][\"'”’)\]]*\s+|\n\s*)[\"'“‘(\[]*$")
_NEXT: Final = re.compile(r"\s+([\w'’-]+)")
_WORD: Final = re.compile(r"[\w'’-]+")
_LINKS: Final = frozenset({"and", "or"})
_ARTICLES: Final = frozenset({"a", "an"})
_NEAR: Final = 3  # words that are looked at after one that is found
_FAR: Final = 400  # characters before one, in which those that matter mostly are


@dataclass(frozen=True, slots=True)
class Found:
    """One word of a text that names a group."""

    start: int  # in characters
    end: int
    axis: int
    group: int
    member: int
    form: int
    style: Style = "listed"

    @property
    def place(self) -> Place:
        """Where it stands in the list of its group."""
        return self.axis, self.member, self.form


@dataclass(frozen=True, slots=True)
class _Entry:
    """A listed word that can be found."""

    word: str
    place: Found
    elsewhere: Found | None  # its reading elsewhere than before a noun
    before_people: bool  # found there alone


@final
@dataclass(frozen=True)
class GroupWords:
    """The words of some axes, to be found in texts."""

    axes: tuple[Axis, ...]

    def found(self, text: str) -> tuple[Found, ...]:
        """Every word of the text that names a group, in order; the longest where several do."""
        return tuple(
            one
            for match in self._pattern.finditer(text)
            if (one := self._found(text, match)) is not None
        )

    def word(self, place: Place, group: int) -> str:
        """The word of a group at a place, without its mark."""
        axis, member, form = place
        return bare(self.axes[axis][1][group][1][member][form])

    def steady(self, place: Place) -> bool:
        """Whether each group's word there is found as that one, whatever stands around it."""
        return place in self._steady

    def alike(self, place: Place) -> Sequence[Sequence[int]]:
        """The groups, those together whose words there are found alike in the same company."""
        return self._alike[place]

    def undecided(self, text: str, found: Sequence[Found]) -> str:
        """What follows the last word that may be found otherwise, as far as that depends on it."""
        ends = [one.end for one in found if not self.steady(one.place)]
        ahead = self._ahead.match(text, ends[-1]) if ends else None
        return ahead.group() if ahead else ""

    @cached_property
    def options_known(self) -> dict[tuple[str, tuple[Found, ...], int], frozenset[int]]:
        """The groups that fit a word in its surroundings, for `counterpart_sets`: a long text asks
        for the same after every token.
        """
        return {}

    def neighborhood(self, text: str, one: Found) -> tuple[int, int]:
        """Where the text begins and ends that decides how a word is found, in characters."""
        some = _WORD.finditer(text, max(0, one.start - _FAR), one.start)  # the first may be cut
        words = [word.start() for word in some]
        after = self._ahead.match(text, one.end)
        begin = words[-2 * self._reach] if len(words) > 2 * self._reach else 0
        return begin, after.end() if after else one.end

    @cached_property
    def _alike(self) -> Mapping[Place, Sequence[Sequence[int]]]:
        found: dict[Place, dict[str, list[int]]] = {}
        for word, one in _listed(self.axes):
            like = self._likeness(bare(word), one.group)
            found.setdefault(one.place, {}).setdefault(like, []).append(one.group)
        return {place: list(groups.values()) for place, groups in found.items()}

    def _likeness(self, word: str, group: int) -> str:
        """What a word is found by: itself where it shares parts with others or has a case."""
        entry = self._entries.get(plain(word).lower())
        if entry is None or entry.place.group != group or self._shared(word) or _odd(word):
            return word
        second = entry.elsewhere and entry.elsewhere.place
        return repr((entry.place.place, second, entry.before_people, word[:1].isupper()))

    @cached_property
    def _reach(self) -> int:
        """Words about a word that may have a part in how it is found, and one more."""
        return max(_NEAR, *(len(word.split()) for word in self._entries)) + 1

    @cached_property
    def _ahead(self) -> re.Pattern[str]:
        return re.compile(rf"(?:\W*[\w'’-]+){{0,{self._reach}}}\W*")

    @cached_property
    def _entries(self) -> Mapping[str, _Entry]:
        """By word in lower case."""
        listed = list(_listed(self.axes))
        second = {
            (bare(word), place.axis, place.group): place
            for word, place in listed
            if word.startswith("=")
        }
        return {
            plain(bare(word)).lower(): _Entry(
                word=plain(bare(word)),
                place=place,
                elsewhere=second.get((bare(word), place.axis, place.group)),
                before_people=word.startswith("+"),
            )
            for word, place in listed
            if not word.startswith("=")
        }

    @cached_property
    def _names(self) -> frozenset[Place]:
        """Places at which a group's word has capitals."""
        return frozenset(
            place.place for word, place in _listed(self.axes) if bare(word) != bare(word).lower()
        )

    @cached_property
    def _steady(self) -> frozenset[Place]:
        if _ARTICLES & self._parts.keys():  # putting a word changes the one before it
            return frozenset()
        every = {place.place for _, place in _listed(self.axes)}
        unsteady = {
            place.place
            for word, place in _listed(self.axes)
            if word[0] in "=+"
            or self._entries[plain(word).lower()].elsewhere is not None
            or self._shared(word)
            or _odd(word)
        }
        return frozenset(every - unsteady)

    @cached_property
    def _parts(self) -> Counter[str]:
        """In how many listed words each part of a word is."""
        return Counter(part for word in self._entries for part in set(word.split()))

    def _shared(self, word: str) -> bool:
        return any(self._parts[one] > 1 for one in plain(word).lower().split())

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){_either(self._entries)}(?!\w)", re.IGNORECASE)

    def _found(self, text: str, match: re.Match[str]) -> Found | None:
        """What a match names; None where it is in another case than listed, or not of people."""
        shown = plain(match.group())
        entry = self._entries.get(shown.lower())
        if entry is None or not _stands(entry, text, shown, match.end()):
            return None
        first, second = entry.place, entry.elsewhere
        chosen = first if second is None or _before_noun(text, match.end()) else second
        name = chosen.place in self._names
        begins = name and _BEGINS.search(text[: match.start()]) is not None
        style = _style(shown, entry.word, name=name, begins=begins)
        return Found(
            match.start(), match.end(), chosen.axis, chosen.group, chosen.member, chosen.form, style
        )


def _either(words: Iterable[str]) -> str:
    """A pattern of any of some words, the longest that fits; a space: hyphens and white space.

    Letter by letter, so that few are tried at a place.
    """
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    ends = rests.pop("", None) is not None
    if not rests:
        return ""
    parts = [
        (r"[\s-]+" if first == " " else re.escape(first)) + _either(rests[first])
        for first in sorted(rests)
    ]
    return f"(?:{'|'.join(parts)})" + ("?" if ends else "")


def bare(word: str) -> str:
    """A listed word without its mark."""
    return word[1:] if word[:1] in ("=", "+") else word


def plain(word: str) -> str:
    """Parts of a word apart by single spaces, however they were written."""
    return re.sub(r"[\s-]+", " ", word)


def styled(word: str, style: Style) -> str:
    """A listed word in a style."""
    if style == "upper":
        return word.upper()
    return word[:1].upper() + word[1:] if style == "first" else word


def _listed(axes: Sequence[Axis]) -> Iterator[tuple[str, Found]]:
    for a, (_, groups) in enumerate(axes):
        for g, (_, members) in enumerate(groups):
            for m, forms in enumerate(members):
                for f, word in enumerate(forms):
                    yield word, Found(0, 0, a, g, m, f)


def _odd(word: str) -> bool:
    """Whether its case cannot be told from how it is written: "USA", "iOS"."""
    name = word != word.lower()
    return (
        word.isupper() or (name and not word[:1].isupper()) or word.upper().lower() != word.lower()
    )


def _stands(entry: _Entry, text: str, shown: str, end: int) -> bool:
    if entry.before_people:
        return _before_people(text, end)
    any_case = entry.word == entry.word.lower()
    return any_case or shown in (entry.word, entry.word.upper())


def _style(shown: str, listed: str, *, name: bool, begins: bool) -> Style:
    """How a word is written: that of a name is as listed but at the beginning of a sentence."""
    if shown.isupper() and sum(map(str.isalpha, shown)) > 1 and not listed.isupper():
        return "upper"
    if name:
        return "first" if begins else "listed"
    return "first" if shown[:1].isupper() else "listed"


def _before_noun(text: str, end: int) -> bool:
    rest = text[end:]
    if not rest.strip():
        return True
    word = re.match(r"\s+([^\W\d]+)", rest)
    return word is not None and word.group(1).lower() not in NO_NOUN


def _before_people(text: str, end: int) -> bool:
    """Whether a word for people is among the next three, with no other phrase begun before it."""
    for _ in range(_NEAR):
        word = _NEXT.match(text, end)
        if word is None:
            return False
        shown = re.split("['’]", word.group(1).lower())[0]
        if shown in PEOPLE:
            return True
        if shown in NO_NOUN and shown not in _LINKS:
            return False
        end = word.end()
    return False
