"""A text with other groups' words in place of those that it has, their case and article kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.group_words.mentions import Mention, Style

_ARTICLE: Final = re.compile(r"(?<![\w'’.-])(an?)(\s+)$", re.IGNORECASE)
_NEAR: Final = 20  # characters before a word in which its article stands
#: Words that begin with the sound of a vowel: not "European", "Ukrainian", "unique", "one-eyed",
#: "US"; but "uninvited", "onerous", "hour".
_VOWEL: Final = re.compile(
    r"""(?! e[uw] | on(?:ce|e(?!r)) | ubi | ug[a] | uk | un(?![a-z]) | unanim
          | uni(?!n|m|dent|gn) | us(?![a-z]) | u[rst][aeiou] )
        [aeiou] | heir | hour | honest | honou?r""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Change:
    """Characters [start, end) of a text and what stands in their place."""

    start: int
    end: int
    text: str


def substitute(text: str, mentions: Sequence[Mention], groups: Sequence[str | None]) -> str:
    """The text about other groups: each mention's word becomes that of its group in `groups`.

    None leaves a mention as it is; its own group writes it as the list does. Case is kept, and an
    "a" or "an" directly before a word becomes the one that goes with the new word.
    """
    return apply_changes(text, changes_for(text, mentions, groups))


def changes_for(
    text: str, mentions: Sequence[Mention], groups: Sequence[str | None]
) -> tuple[Change, ...]:
    """What `substitute` changes, in order; what stays equal is left out."""
    changes: list[Change] = []
    last = 0
    for mention, group in zip(mentions, groups, strict=True):
        if group is not None:
            change = _change_for(text, mention, group, after=last)
            if change.text != text[change.start : change.end]:
                changes.append(change)
        last = mention.end
    return tuple(changes)


def apply_changes(text: str, changes: Sequence[Change]) -> str:
    """The text with the changes made; they are in order and do not overlap."""
    parts: list[str] = []
    last = 0
    for change in changes:
        parts += [text[last : change.start], change.text]
        last = change.end
    return "".join([*parts, text[last:]])


def _change_for(text: str, mention: Mention, group: str, *, after: int) -> Change:
    """`after`: where the mention before it ends, which has no part in the article."""
    word = _in_style(mention.place.written[group], mention.style)
    article = _ARTICLE.search(text, max(after, mention.start - _NEAR), mention.start)
    if article is None:
        return Change(mention.start, mention.end, word)
    letter, gap = article[1][0], article[2]
    if _VOWEL.match(word):
        letter += "N" if letter == "A" and mention.style == "upper" else "n"
    return Change(article.start(), mention.end, letter + gap + word)


def _in_style(word: str, style: Style) -> str:
    if style == "upper":
        return word.upper()
    if style == "title":
        return " ".join(part[:1].upper() + part[1:] for part in word.split(" "))
    return word[:1].upper() + word[1:] if style == "sentence" else word
