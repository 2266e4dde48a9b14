"""Whom a text is about, exchanged for others of their kind: "the plumber" for "the nurse".

    {"licence": "…",
     "axes": {"profession": {"person": ["nurse", "plumber"]},
              "race": {"country": ["Eritrea", ["Norway", "Norwege"]], "people": ["Arab"]}}}

A bias type has kinds, and a kind has words that stand for each other in any sentence: a noun and
its plural, or an adjective. Of several spellings the first is written and all are read. For the
bias type "gender" there are none: there the other sex of the word lists takes the place.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Final, TypeAlias

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from equipoise.data.sources import Source
from equipoise.errors import DataError
from equipoise.files.parsing import parse_json
from equipoise.group_words.counterfactuals import Change, apply_changes, changes_for
from equipoise.group_words.mentions import Mention, find_mentions
from equipoise.group_words.people import plural_of
from equipoise.group_words.word_lists import Place, WordLists, read_word_lists

#: The bias type whose words come from the word lists.
GENDER: Final = "gender"
_BUILT_IN: Final = "words.json"
_NEW: Final = "new"  # the only group of the place that a word is written into

Span: TypeAlias = tuple[int, int]  # in characters
_Word: TypeAlias = Annotated[str, Field(min_length=1, pattern=r"\S")]
_Words: TypeAlias = Annotated[
    list[_Word | Annotated[list[_Word], Field(min_length=1)]], Field(min_length=2)
]


class _Document(BaseModel, extra="forbid"):
    about: str = ""
    licence: str = ""
    axes: dict[str, dict[str, _Words]]


@dataclass(frozen=True, slots=True, eq=False)
class TargetWords:
    """Words by bias type and kind, the own file's first."""

    kinds: Mapping[str, tuple[tuple[tuple[str, ...], ...], ...]]  # axis to kinds to spellings

    def others(self, axis: str, target: str) -> tuple[str, ...] | None:
        """The words that can stand where a target does, itself left out; None: no list has it."""
        return _others(self, axis, target)


@lru_cache(maxsize=4096)
def _others(listed: TargetWords, axis: str, target: str) -> tuple[str, ...] | None:
    sought = _plain(target)
    for kind in listed.kinds.get(axis, ()):
        if any(sought == _plain(word) for words in kind for word in words):
            return tuple(
                words[0] for words in kind if sought not in [_plain(word) for word in words]
            )
    return None


def read_words(file: Source) -> TargetWords:
    """The built-in words, and before them those of a file of the user's, where it is there.

    Raises `DataError` naming the file and what is wrong in it, such as an empty word.
    """
    contents = [_read_built_in()]
    if file.local_file() is not None:
        contents.insert(0, (file.use().name, file.read()))
    return _parse(tuple(contents))


def built_in_words() -> TargetWords:
    """The built-in words alone."""
    return _parse((_read_built_in(),))


def _read_built_in() -> tuple[str, bytes]:
    return _BUILT_IN, files("equipoise.exchange").joinpath(_BUILT_IN).read_bytes()


@lru_cache(maxsize=8)
def _parse(contents: tuple[tuple[str, bytes], ...]) -> TargetWords:
    kinds: dict[str, tuple[tuple[tuple[str, ...], ...], ...]] = {}
    for name, content in contents:
        try:
            document = _Document.model_validate(parse_json(content, name))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the whole"
            raise DataError(
                f"{name}, {where}: {fault['msg']}, got {fault['input']!r:.60}; correct it"
            ) from None
        for axis, by_kind in document.axes.items():
            read = tuple(
                tuple((words,) if isinstance(words, str) else tuple(words) for words in listed)
                for listed in by_kind.values()
            )
            kinds[axis] = (*kinds.get(axis, ()), *read)
    return TargetWords(kinds)


def drawn(words: Sequence[str], count: int, *, id: str) -> tuple[str, ...]:
    """So many of the words, or all there are, drawn by the item's id alone.

    A smaller number draws the first of a larger one.
    """
    digest = hashlib.sha256(f"exchange\0{id}".encode(errors="surrogatepass")).digest()
    order = np.random.default_rng(int.from_bytes(digest[:16], "big")).permutation(len(words))
    return tuple(words[index] for index in order[:count].tolist())


# --- texts ----------------------------------------------------------------------------------------


def changes_of_target(
    text: str, target: str, new: str, *, keep: Span | None = None
) -> tuple[Change, ...]:
    """What makes a text about a target one about another; nothing where it does not name it.

    Plural for plural, "a" or "an" by the new word; the case is that which the text has: all small
    letters, or as listed. What lies in `keep` stays.
    """
    mentions = []
    for start, end in _spans(text, target):
        if _overlaps((start, end), keep):
            continue
        shown = text[start:end]
        word = new if _plain(shown) == _plain(target) else plural_of(new)
        if shown == shown.lower():
            word = word.lower()
        elif not target[:1].isupper():  # "Plumber", which begins a sentence
            word = word[:1].upper() + word[1:]
        place = Place(axis="", written={_NEW: word}, capitalized=True)
        mentions.append(Mention(start, end, _NEW, place, "listed"))
    return changes_for(text, mentions, [_NEW] * len(mentions))


def changes_of_sex(text: str, *, keep: Span | None = None) -> tuple[Change, ...]:
    """What makes a text about the other sex: every word of the word lists outside of `keep`.

    All of them and not the target alone, so that "she" does not stay where "mother" goes.
    """
    lists = _sexes()
    first, second = lists.groups[GENDER]
    mentions = [
        each for each in find_mentions(text, lists) if not _overlaps((each.start, each.end), keep)
    ]
    return changes_for(text, mentions, [second if m.group == first else first for m in mentions])


def has_other_sex(target: str) -> bool:
    """Whether a target is one of the word lists' words of the two sexes."""
    return bool(find_mentions(target, _sexes()))


@lru_cache(maxsize=1)
def _sexes() -> WordLists:
    return read_word_lists(None, (GENDER,))


def changed_text(text: str, changes: Sequence[Change]) -> str:
    """The text with the changes; all in small letters but the first, if it was."""
    new = apply_changes(text, changes)
    return new.capitalize() if text == text.capitalize() else new


def moved(span: Span, changes: Sequence[Change]) -> Span:
    """Where a span lies that no change overlaps, once they are made."""
    before = [change for change in changes if change.end <= span[0]]
    shift = sum(len(change.text) - (change.end - change.start) for change in before)
    return span[0] + shift, span[1] + shift


@lru_cache(maxsize=64)  # the texts of an item are asked about each other in turn
def _spans(text: str, target: str) -> tuple[Span, ...]:
    return tuple(match.span() for match in _pattern(target).finditer(text))


@lru_cache(maxsize=4096)
def _pattern(target: str) -> re.Pattern[str]:
    """The target and its plural as words of their own, in any case, a hyphen for a space."""
    forms = "|".join(
        re.escape(form).replace(r"\ ", r"[\s-]") for form in (plural_of(target), target)
    )
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)", re.IGNORECASE)


def names(text: str, word: str) -> bool:
    """Whether a text has a word, or its plural, as a word of its own."""
    return bool(_spans(text, word))


@lru_cache(maxsize=4096)
def _plain(word: str) -> str:
    return re.sub(r"[\s-]+", " ", word).casefold()


def _overlaps(span: Span, keep: Span | None) -> bool:
    return keep is not None and span[0] < keep[1] and keep[0] < span[1]
