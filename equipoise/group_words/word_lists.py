"""Lists of words that name groups: the built-in file, or a user's own in the same form.

    {"licence": "…",
     "unchanged": ["Isle of Man"],
     "axes": {"gender": {
        "male": ["he", "his [determiner]", "his", "him", "dad", "Mr [exact]"],
        "female": ["she", "her [determiner]", "hers", "her", ["mom", "mum"], "Ms [exact]"]}}}

An axis has groups, a group has members, and members at the same place of all groups of an axis
stand for each other. A member is a word or a phrase, or several of which the first is written and
all are read. Phrases in `unchanged` name no group, whatever words they hold. Words in `ambiguous`
mean something else without their capitals ("polish", "turkey"). `licence`, `unchanged` and
`ambiguous` may be left out.

A word with capitals is read with them or all in capitals ("Polish", not "polish"); a word without
is read in any usual case. In texts that have lost their capitals (`case` "lowered") the former is
read without them, too, unless it is in `ambiguous`. A space and a hyphen are the same
("African-American"). A mark after a word says where it is read; its reading without a mark, if it
is listed once more, holds elsewhere:

- `[determiner]`: before a noun phrase ("her bag" is "his bag", "saw her" is "saw him").
- `[noun]`: as a noun and not as an adjective ("a Muslim", not "a Muslim teacher").
- `[person]`: before a word for people, in any case ("white men", not "white wine").
- `[exact]`: spelled as in the list alone ("Ms", not "MS").
- `[written]`: nowhere; it is written in place of other groups' words.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, Field, ValidationError

from equipoise.data.sources import unpacked
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.files.parsing import parse_json
from equipoise.records import JSON, DataUse

Mark: TypeAlias = Literal["determiner", "noun", "person", "exact", "written"]
#: How words with capitals are written in the texts that are read: with them; or also without, in
#: texts that have lost theirs.
Case: TypeAlias = Literal["listed", "lowered"]

_BUILT_IN: Final = "word_lists.json"
_MARKED: Final = re.compile(r"(.*?)(?: \[(\w*)\])?\Z", re.DOTALL)
#: A letter of a word; an accent may be a character of its own.
_LETTER: Final = r"[\w\u0300-\u036f]"
_JOINT: Final = r"(?:-|(?!\s*\n\s*\n)\s+)"  # between words of a phrase; no blank line


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Members that stand for each other, one per group of an axis; equal to itself alone."""

    axis: str
    written: Mapping[str, str]  # group to the word that is put for it
    capitalized: bool  # some members have capitals, so that a capital says nothing of the text


@dataclass(frozen=True, slots=True)
class Entry:
    """A word that is read: how the list spells it, where it is read, and what it names."""

    word: str
    mark: Mark | None
    group: str
    place: Place


class _Document(BaseModel, extra="forbid"):
    about: str = ""
    licence: str = "not known: a file of the user's own"
    unchanged: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    axes: Annotated[
        dict[str, dict[str, tuple[str | Annotated[tuple[str, ...], Field(min_length=1)], ...]]],
        Field(min_length=1),
    ]


@dataclass(frozen=True)
class WordLists:
    """Word lists and the axes whose words are looked for.

    Words of the other axes are known, too, so that "South African" is never read as "African".
    Of a word on two axes the reading of the first axis counts.
    """

    document: str  # the lists as JSON; they are equal where it is
    axes: tuple[str, ...]
    case: Case = "listed"

    @classmethod
    def of(
        cls,
        document: JSON,
        axes: Sequence[str],
        *,
        name: str = "word lists",
        case: Case = "listed",
    ) -> Self:
        """Lists of the form that is described above; `name` is what errors call them.

        Raises `DataError` naming the axis and the word for a word that is empty or listed twice, or
        groups that do not line up; `RecipeError` for an axis that is missing.
        """
        # Edits are stored with sorted keys, so that the order of groups must not matter.
        text = json.dumps(document, ensure_ascii=False, sort_keys=True)
        axes = tuple(dict.fromkeys(axes))
        try:
            known = _index_words(text, axes).groups
        except DataError as error:
            raise DataError(f"{name}, {error}") from None
        for axis in axes:
            if axis not in known:
                raise RecipeError(f"{name} has no axis '{axis}'; {nearest(axis, known)}")
        return cls(text, axes, case)

    @property
    def as_json(self) -> JSON:
        """The form that `of` reads."""
        document: JSON = json.loads(self.document)
        return document

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the lists."""
        return hashlib.sha256(self.document.encode(errors="surrogatepass")).hexdigest()

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of each axis, in alphabetical order."""
        known = _index_words(self.document, self.axes).groups
        return {axis: known[axis] for axis in self.axes}

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches every listed word and phrase, the longest where several begin together."""
        return _index_words(self.document, self.axes).pattern

    def entries(self, shown: str) -> Sequence[Entry]:
        """What a matched word may name, in the order in which readings are tried."""
        return _index_words(self.document, self.axes).entries.get(_key(shown), ())

    def reads_lowered(self, entry: Entry) -> bool:
        """Whether a word with capitals is read without them, too."""
        if self.case == "listed":
            return False
        return _key(entry.word) not in _index_words(self.document, self.axes).ambiguous


def read_word_lists(file: str | None, axes: Sequence[str], *, case: Case = "listed") -> WordLists:
    """The lists of a JSON file; None: the built-in lists. Raises as `WordLists.of` does."""
    name, content = _read(file)
    return WordLists.of(parse_json(content, name), axes, name=name, case=case)


def word_lists_use(file: str | None) -> DataUse:
    """What a result records of a file of lists; None: the built-in lists. Raises `DataError`."""
    name, content = _read(file)
    document = parse_json(content, name)
    licence = document.get("licence") if isinstance(document, dict) else None
    return DataUse(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        licence=str(licence or _Document.model_fields["licence"].default),
        verified=True if file is None else None,
    )


def _read(file: str | None) -> tuple[str, bytes]:
    if file is None:
        return _BUILT_IN, files("equipoise.group_words").joinpath(_BUILT_IN).read_bytes()
    return Path(file).name, unpacked(Path(file).expanduser())


# --- checks and the index -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Index:
    groups: Mapping[str, Sequence[str]]  # by axis, of all of them
    entries: Mapping[str, Sequence[Entry]]  # by key, as they are tried; none: no group of the axes
    pattern: re.Pattern[str]
    ambiguous: frozenset[str]  # keys


# Every property of `WordLists` asks for it: they hold text alone, by which they are equal.
@lru_cache(maxsize=16)
def _index_words(document: str, axes: tuple[str, ...]) -> _Index:
    """Check lists and index them. Raises `DataError` beginning with the place of the fault."""
    try:
        lists = _Document.model_validate_json(document)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole"
        raise DataError(
            f"{where}: {fault['msg']}, got {fault['input']!r:.60}; correct it"
        ) from None
    entries: dict[str, list[Entry]] = {}
    for axis, groups in lists.axes.items():
        _check_shape(axis, groups)
        for index, members in enumerate(zip(*groups.values(), strict=True), 1):
            spellings = dict(zip(groups, map(_parse_member, members), strict=True))
            place = Place(
                axis,
                {group: words[0][0] for group, words in spellings.items()},
                any(word != word.lower() for words in spellings.values() for word, _ in words),
            )
            for group, words in spellings.items():
                for word, mark in words:
                    entry = Entry(word, mark, group, place)
                    known = entries.get(_key(word), [])
                    _check_entry(entry, f"axes.{axis}.{group}.{index}", known)
                    if mark != "written":
                        entries[_key(word)] = [*known, entry]
    _check_ambiguous(lists.ambiguous, entries)
    for phrase in lists.unchanged:
        _check_word(phrase, "unchanged")
        if _key(phrase) in entries:
            raise DataError(
                f"unchanged: a phrase must not be listed elsewhere, got '{phrase}'; drop one"
            )
        entries[_key(phrase)] = []

    def order(entry: Entry) -> tuple[int, bool]:
        # A marked reading is tried first: the plain reading holds wherever it does not.
        return axes.index(entry.place.axis), entry.mark is None

    pattern = rf"(?<!{_LETTER}){_any_of(entries)}(?!{_LETTER})"
    return _Index(
        {axis: tuple(groups) for axis, groups in lists.axes.items()},
        {
            key: sorted((entry for entry in listed if entry.place.axis in axes), key=order)
            for key, listed in entries.items()
        },
        re.compile(pattern, re.IGNORECASE),
        frozenset(map(_key, lists.ambiguous)),
    )


def _check_shape(axis: str, groups: Mapping[str, Sequence[object]]) -> None:
    sizes = {group: len(members) for group, members in groups.items()}
    if len(groups) < 2 or len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise DataError(
            f"axes.{axis}: must have two groups or more with as many members each, got {sizes}; "
            "line them up"
        )


def _parse_member(member: str | tuple[str, ...]) -> list[tuple[str, Mark | None]]:
    """The spellings of a member, each with its mark."""
    marks: dict[str, Mark] = {mark: mark for mark in get_args(Mark)}
    parsed: list[tuple[str, Mark | None]] = []
    for word in (member,) if isinstance(member, str) else member:
        match = _MARKED.match(word.replace("’", "'"))
        listed, mark = match.groups() if match else (word, None)
        if mark is not None and mark not in marks:
            raise DataError(f"'{word}': a mark must be known, got '{mark}'; {nearest(mark, marks)}")
        parsed.append((listed, None if mark is None else marks[mark]))
    return parsed


def _check_entry(entry: Entry, where: str, others: Iterable[Entry]) -> None:
    _check_word(entry.word, where)
    for other in others:
        if entry.mark == "written" or other.place.axis != entry.place.axis:
            continue
        if other.group != entry.group or other.mark == entry.mark:
            raise DataError(
                f"{where}: a word must be listed once, whatever its case and hyphens, got "
                f"'{other.word}' in '{other.group}' and '{entry.word}' again; drop one"
            )


def _check_ambiguous(words: Iterable[str], entries: Mapping[str, Sequence[Entry]]) -> None:
    for word in words:
        if not any(entry.word == word != word.lower() for entry in entries.get(_key(word), ())):
            raise DataError(
                f"ambiguous: a word must be listed in axes, with a capital, got '{word}'; drop it"
            )


def _check_word(word: str, where: str) -> None:
    """Refuse what could not be matched: white space at the ends, signs before or after."""
    ends = (word[:1], word[-1:])
    if not all(re.fullmatch(_LETTER, end) for end in ends) or word.split() != word.split(" "):
        raise DataError(
            f"{where}: a word must begin and end with a letter and have single spaces, got "
            f"'{word}'; leave out what stands around it"
        )


def _key(word: str) -> str:
    """What a word is looked up by, whatever its case, hyphens and apostrophes."""
    return re.sub(r"[\s-]+", " ", word.replace("’", "'")).lower()


def _any_of(keys: Iterable[str]) -> str:
    """A pattern for the longest that fits of some keys, letter by letter, so that it is fast."""
    rests: dict[str, list[str]] = {}
    for key in keys:
        rests.setdefault(key[:1], []).append(key[1:])
    optional = "?" if rests.pop("", None) else ""
    if not rests:
        return ""
    signs = {" ": _JOINT, "'": "['’]"}
    parts = [signs.get(sign, re.escape(sign)) + _any_of(rests[sign]) for sign in sorted(rests)]
    return f"(?:{'|'.join(parts)}){optional}"
