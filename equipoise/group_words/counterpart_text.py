"""A text with the words that name groups exchanged: their case, and the "a" or "an" before them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from equipoise.group_words.group_words import Found, GroupWords, styled

_ARTICLE: Final = re.compile(r"(?<![\w'’.-])(an?)(\s+)$", re.IGNORECASE)
_NEAR: Final = 20  # characters before a word in which its article stands
_VOWEL: Final = re.compile(
    r"(?!eu|ew|one|uk|uni(?!n)|u[st][aeiou])[aeiou]|heir|hour|honest|honou?r", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Change:
    """Characters [start, end) of a text and what stands in their place."""

    start: int
    end: int
    text: str


@final
@dataclass(frozen=True, slots=True)
class Exchangeable:
    """A text and its words for groups, each of which may be put for another group.

    What is put depends on the group, on where the word stands and on its style, never on the word
    that stood there: the same text comes out from whichever member of a set one starts.
    """

    words: GroupWords
    text: str
    found: tuple[Found, ...]

    def changes(self, groups: Sequence[int | None]) -> list[Change]:
        """What to put where for a group of each word found; None: the word stays as it is."""
        ends = (0, *(one.end for one in self.found))
        return [
            change
            for one, group, after in zip(self.found, groups, ends, strict=False)
            if group is not None
            and (change := self._change(one, group, after=after)).text
            != self.text[change.start : change.end]
        ]

    def finds_back(self, groups: Sequence[int | None], only: int | None = None) -> bool:
        """Whether in the text for these groups the same words are found, for these groups.

        `only`: it is asked of the word of that number alone.
        """
        changes = self.changes(groups)
        expected = [
            self._moved(one, group, changes) for one, group in zip(self.found, groups, strict=True)
        ]
        again = self.words.found(applied(self.text, changes))
        return again == tuple(expected) if only is None else expected[only] in again

    def around(self, at: int) -> tuple["Exchangeable", int]:
        """The text about one of the words, as far as its finding depends on it; and its number."""
        one = self.found[at]
        begin, end = self.words.neighborhood(self.text, one)
        near = [
            (number, other)
            for number, other in enumerate(self.found)
            if begin <= other.start and other.end <= end
        ]
        moved = tuple(
            replace(other, start=other.start - begin, end=other.end - begin) for _, other in near
        )
        here = next(place for place, (number, _) in enumerate(near) if number == at)
        return Exchangeable(self.words, self.text[begin:end], moved), here

    def _change(self, one: Found, group: int, *, after: int) -> Change:
        """An "a" or "an" before the word, itself `after` the word found before, goes with it."""
        word = self.words.word(one.place, group)
        put = styled(word, one.style)
        article = _ARTICLE.search(self.text, max(after, one.start - _NEAR), one.start)
        if article is None:
            return Change(one.start, one.end, put)
        more = ("N" if one.style == "upper" else "n") if _VOWEL.match(word) else ""
        start = one.start - len(article.group())
        return Change(start, one.end, article.group(1)[0] + more + article.group(2) + put)

    def _moved(self, one: Found, group: int | None, changes: Sequence[Change]) -> Found:
        """A word as it should be found once the changes are made."""
        more = sum(len(it.text) - (it.end - it.start) for it in changes if it.end <= one.end)
        end = one.end + more
        if group is None:
            start, group = one.start + more, one.group
        else:
            start = end - len(styled(self.words.word(one.place, group), one.style))
        return Found(start, end, one.axis, group, one.member, one.form, one.style)


def applied(text: str, changes: Sequence[Change]) -> str:
    """The text with the changes made; they are in order and apart."""
    done, parts = 0, []
    for change in changes:
        parts += [text[done : change.start], change.text]
        done = change.end
    return "".join([*parts, text[done:]])
