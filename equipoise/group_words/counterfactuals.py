"""Texts about other groups: the swapped text of CDA and the counterfactual set of CAFIE.

Which group takes whose place, and their words put in, with case and article kept.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.group_words.mentions import Mention, Style, find_mentions
from equipoise.group_words.word_lists import WordLists

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


def swapped(text: str, lists: WordLists, *, seed: int) -> str | None:
    """The text with every group's words exchanged for those of its partner; None: it names none.

    Each axis draws its `partners` from the text and the seed, so that a text is swapped the same
    way in any company.
    Sources: Zmigrod et al. 2019 (arXiv 1906.04571) and Webster et al. 2020 (arXiv 2010.06032), as
    Meade et al. 2022 apply them to race and religion. Their code splits at white space and matches
    lower case alone; here punctuation, white space and case are kept, "her" is his or him, and no
    two groups have the same partner, so that an exchange never merges two groups.
    """
    mentions = find_mentions(text, lists)
    if not mentions:
        return None
    by_axis = {axis: partners(axis, lists.groups[axis], text, seed=seed) for axis in lists.axes}
    return substitute(text, mentions, [by_axis[m.axis][m.group] for m in mentions])


def partners(axis: str, groups: Sequence[str], text: str, *, seed: int) -> Mapping[str, str]:
    """Each group's partner in a text: another group, never the same for two of them.

    Uniform over the permutations that leave no group in its place, drawn from the seed, the axis
    and the text alone; of two groups each is the other's.
    """
    key = hashlib.sha256(f"{seed}\0{axis}\0{text}".encode(errors="surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(key[:16], "big"))
    order = np.arange(len(groups))
    # Drawn again until no group keeps its place, about e times: a repair would favor some orders.
    while (order == np.arange(len(groups))).any():
        order = rng.permutation(len(groups))
    return {group: groups[index] for group, index in zip(groups, order.tolist(), strict=True)}


def counterfactual_set(
    mentions: Sequence[Mention],
    lists: WordLists,
    *,
    most: int | None,
    seed: int,
    whole: Sequence[str] = (),
) -> list[list[str]]:
    """For each text of a counterfactual set the group of each mention, the text's own first.

    The set holds every combination of groups of the axes that are mentioned. All mentions on an
    axis move on by as many groups, so that who meets whom is kept. `most`: counterfactuals at
    most. A larger set is put in an order that depends on the seed alone and cut into blocks of
    equal size; the block that holds the text is its set, and so that of every text in the block.
    A block holds all groups of the axes `whole` with each of the others' combinations in it.
    """
    indices = [lists.groups[mention.axis].index(mention.group) for mention in mentions]
    firsts: dict[str, int] = {}  # by axis: the group of its first mention
    for mention, index in zip(mentions, indices, strict=True):
        firsts.setdefault(mention.axis, index)
    axes = [axis for axis in lists.axes if axis in firsts]
    sizes = [len(lists.groups[axis]) for axis in axes]
    label = int(np.ravel_multi_index([firsts[axis] for axis in axes], sizes))
    labels = np.arange(math.prod(sizes))
    if most is not None and most < len(labels) - 1:
        # combinations of the other axes, each with all groups of the whole ones
        drawn = [number for number, axis in enumerate(axes) if axis not in whole]
        number_of = np.moveaxis(labels.reshape(sizes), drawn, range(len(drawn)))
        rows = number_of.reshape(math.prod(sizes[number] for number in drawn), -1)
        size = max(1, (1 + most) // rows.shape[1])
        order = rows[np.random.default_rng(seed).permutation(len(rows))]
        blocks = np.array_split(order, -(-len(rows) // size))
        labels = np.sort(next(block for block in blocks if label in block), axis=None)
    members: list[list[str]] = []
    for member in [label, *(int(other) for other in labels if other != label)]:
        chosen = dict(zip(axes, map(int, np.unravel_index(member, sizes)), strict=True))
        members.append([])
        for mention, index in zip(mentions, indices, strict=True):
            groups, step = lists.groups[mention.axis], chosen[mention.axis] - firsts[mention.axis]
            members[-1].append(groups[(index + step) % len(groups)])
    return members


def substitute(text: str, mentions: Sequence[Mention], groups: Sequence[str | None]) -> str:
    """The text about other groups: each mention's word becomes that of its group in `groups`.

    None leaves a mention as it is; its own group writes it as the list does. Case is kept, and an
    "a" or "an" directly before a word becomes the article of the new word.
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


def with_article(phrase: str) -> str:
    """A noun phrase with its indefinite article, by the sound that it begins with."""
    return f"{'an' if _VOWEL.match(phrase) else 'a'} {phrase}"


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
        # "A" may begin a sentence or be in capitals: only the word after it tells "An" from "AN".
        letter += "N" if letter == "A" and mention.style == "upper" else "n"
    return Change(article.start(), mention.end, letter + gap + word)


def _in_style(word: str, style: Style) -> str:
    if style == "upper":
        return word.upper()
    if style == "lowered":
        return word.lower()
    if style == "title":
        return " ".join(part[:1].upper() + part[1:] for part in word.split(" "))
    return word[:1].upper() + word[1:] if style == "sentence" else word
