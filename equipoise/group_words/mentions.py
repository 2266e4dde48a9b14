"""Finding the words of a text that name groups, and how each is written there."""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from equipoise.group_words.noun_phrases import is_count_noun, precedes_noun_phrase, precedes_people
from equipoise.group_words.word_lists import Entry, Place, WordLists

#: As the list spells it; a capital first letter; a capital on each word; all in capitals; none.
Style: TypeAlias = Literal["listed", "sentence", "title", "upper", "lowered"]

_ADDRESS: Final = re.compile(r"\S*@\S+|(?:https?://|www\.)\S+")
_SENTENCE: Final = re.compile(r"(?:^|[.!?][\"'”’)\]]*\s+|\n\s*\n)[\"'“‘(\[]*$")
_NEAR: Final = 20  # characters before a word in which the beginning of its sentence is looked for


@dataclass(frozen=True, slots=True)
class Mention:
    """text[start:end] names a group."""

    start: int  # in characters
    end: int
    group: str
    place: Place  # whose words for the other groups may stand there instead
    style: Style

    @property
    def axis(self) -> str:
        """The axis that the group is of."""
        return self.place.axis


def find_mentions(text: str, lists: WordLists, *, unfinished: bool = False) -> tuple[Mention, ...]:
    """Every word of a text that names a group, in order, none overlapping; the longest wins.

    Nothing is read in an address, a longer word, or a word in mixed case ("hE").
    `unfinished`: the text will go on. A word at its very end is then read as before a noun ("took
    her"), else as at the end of a sentence ("saw her").
    """
    addresses: list[tuple[int, int]] = []
    if "@" in text or "://" in text or "www." in text:
        addresses = [address.span() for address in _ADDRESS.finditer(text)]
    mentions: list[Mention] = []
    for match in lists.pattern.finditer(text):
        start, end = match.span()
        if any(begin <= start < stop for begin, stop in addresses):
            continue
        for entry in lists.entries(match.group()):
            before = text[max(0, start - _NEAR) : start]
            style = _style_of(entry, match.group(), before, lowered=lists.reads_lowered(entry))
            if style is not None and _applies(entry, text, start, end, unfinished=unfinished):
                mentions.append(Mention(start, end, entry.group, entry.place, style))
                break
    return tuple(mentions)


def _applies(entry: Entry, text: str, start: int, end: int, *, unfinished: bool) -> bool:
    """Whether the word's mark holds there."""
    if entry.mark == "determiner":
        return precedes_noun_phrase(text, start, end, unfinished=unfinished)
    if entry.mark == "noun":
        return is_count_noun(text, start, end, unfinished=unfinished)
    return entry.mark != "person" or precedes_people(text, end)


def _style_of(entry: Entry, shown: str, before: str, *, lowered: bool) -> Style | None:
    """How a word is written; None where its case is not allowed by the list.

    At a place with capitals a word is written as listed, but for the beginning of a sentence:
    "Black men" has the same counterparts as "black men". `lowered`: the text may have lost its
    capitals. There, "black men" and "asian men" have counterparts without capitals.
    """
    words = re.split(r"[\s-]+", shown.replace("’", "'"))
    listed = entry.word.replace("-", " ").split()
    upper = sum(map(str.isalpha, shown)) > 1 and shown.isupper()
    if entry.mark == "exact":
        return "listed" if words == listed else None
    if upper and words != listed:
        return "upper"
    readable = _cases(listed)
    if entry.place.capitalized:
        if entry.mark == "person" or entry.word == entry.word.lower():
            readable += _cases([word.lower() for word in listed])
        if lowered:
            lower = [word.lower() for word in listed]
            if words == lower:
                return "lowered"
            readable += _cases(lower)[1:2] if _SENTENCE.search(before) else []  # "South african"
        if words not in readable:
            return None
        return "sentence" if _SENTENCE.search(before) else "listed"
    styles: tuple[Style, ...] = ("listed", "sentence", "title")
    return styles[readable.index(words)] if words in readable else None


def _cases(words: list[str]) -> list[list[str]]:
    """The words of a phrase as they are, with a first capital, with a capital each."""
    title = [word[:1].upper() + word[1:] for word in words]
    return [words, [title[0], *words[1:]], title]
