"""Counterfactual texts: every listed word exchanged for its counterpart, all else left as it is.

Sources: Zmigrod et al. 2019 (arXiv 1906.04571) and Webster et al. 2020 (arXiv 2010.06032), as Meade
et al. 2022 apply them to race and religion. Their code splits at white space and matches lower case
alone; here punctuation, white space and case are kept, "her" is told apart (`noun_phrases`), and
each group of a text gets another group as its partner, no two the same, so that an exchange never
makes one group of two.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.group_words.noun_phrases import is_count_noun, precedes_noun_phrase, precedes_one_of
from equipoise.group_words.spelling import spelled_alike, spelling, with_article
from equipoise.group_words.swap_rows import TOKEN, Entry, Row, Swaps

_ADDRESS: Final = re.compile(r"\S*@\S+|(?:https?://|www\.)\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A listed word in a text: text[start:end] names `group`."""

    start: int
    end: int
    swaps: Swaps
    group: str
    row: Row
    listed: str  # as spelled in the list


def mentions(text: str, lists: Sequence[Swaps]) -> tuple[Mention, ...]:
    """Every listed word of a text, from left to right, none overlapping.

    The longest entry wins, then the earlier list. Nothing is read in an address or a part of a
    word. A word in mixed case ("hE") is none.
    """
    tokens = list(TOKEN.finditer(text))
    words = [token[0].lower() for token in tokens]
    addresses = [one.span() for one in _ADDRESS.finditer(text)] if _may_hold_address(text) else []
    found: list[Mention] = []
    at = 0
    while at < len(tokens):
        held = [
            (len(entry.listed), one, entry)
            for one in lists
            for entry in one.index.get(words[at], ())
            if _stands(text, tokens[at : at + len(entry.listed)], entry)
        ]
        step = 1
        for length, swaps, entry in sorted(held, key=lambda item: -item[0]):
            start, end = tokens[at].start(), tokens[at + length - 1].end()
            if any(begin <= start < stop for begin, stop in addresses):
                break
            mention = _mention(text, (start, end), swaps, entry)
            if mention is not None:
                found.append(mention)
            if mention is not None or not entry.places:
                step = length
                break
        at += step
    return tuple(found)


def partners(swaps: Swaps, text: str, *, seed: int) -> Mapping[str, str]:
    """Each group's partner in a text: another group, never the same for two of them.

    Uniform over the permutations that leave no group in its place, drawn from the seed, the axis
    and the text alone; of two groups each is the other's.
    """
    groups = swaps.groups
    key = hashlib.sha256(f"{seed}\0{swaps.axis}\0{text}".encode(errors="surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(key[:16], "big"))
    order = np.arange(len(groups))
    while (order == np.arange(len(groups))).any():
        order = rng.permutation(len(groups))
    return {group: groups[to] for group, to in zip(groups, order, strict=True)}


def exchanged(text: str, found: Sequence[Mention], partner: Mapping[str, Mapping[str, str]]) -> str:
    """The text with each mention's word exchanged for that of its group's partner.

    `partner` is axis to group to group; a group without one keeps its words. Beside the words only
    an "a" or "an" directly before one may change, when its beginning asks for the other.
    """
    pieces: list[str] = []
    last = 0
    for one in found:
        group = partner.get(one.swaps.axis, {}).get(one.group)
        if group is None:
            continue
        source = text[one.start : one.end]
        target = spelled_alike(
            one.row.words[one.swaps.groups.index(group)][0],
            listed=one.listed,
            source=source,
            before=text[max(0, one.start - 20) : one.start],
        )
        pieces += [with_article(text[last : one.start], source, target), target]
        last = one.end
    return "".join(pieces) + text[last:]


def swapped(text: str, lists: Sequence[Swaps], *, seed: int) -> str | None:
    """The text's counterfactual; None when no listed word is in it.

    Depends on the text, the lists and the seed, not on what was swapped before. Of two groups every
    word goes to the other one; of more, each text draws its `partners`.
    """
    found = mentions(text, lists)
    if not found:
        return None
    return exchanged(text, found, {one.axis: partners(one, text, seed=seed) for one in lists})


# --- finding ------------------------------------------------------------------------------------


def _may_hold_address(text: str) -> bool:
    return "@" in text or "://" in text or "www." in text


def _stands(text: str, tokens: Sequence[re.Match[str]], entry: Entry) -> bool:
    """Whether an entry's words, and what joins them, are these tokens."""
    if len(tokens) < len(entry.listed):
        return False
    for token, word in zip(tokens, entry.listed, strict=True):
        if token[0].lower() != word.lower():
            return False
    return all(
        _joins(text[left.end() : right.start()], joint)
        for left, right, joint in zip(tokens, tokens[1:], entry.joints, strict=False)
    )


def _joins(between: str, joint: str) -> bool:
    if joint == " ":
        return between.isspace() and between.count("\n") < 2
    return between.replace("’", "'") == joint


def _mention(text: str, span: tuple[int, int], swaps: Swaps, entry: Entry) -> Mention | None:
    start, end = span
    listed = _phrase(entry)
    place = _place(text, span, swaps, entry.places)
    if place is None:
        return None
    row = swaps.rows[place[0]]
    kind = spelling(text[start:end], listed)
    if kind is None or (row.exact and kind != "listed"):
        return None
    group = swaps.groups[place[1]]
    return Mention(start=start, end=end, swaps=swaps, group=group, row=row, listed=listed)


def _phrase(entry: Entry) -> str:
    return entry.listed[0] + "".join(
        joint + word for joint, word in zip(entry.joints, entry.listed[1:], strict=True)
    )


def _place(
    text: str, span: tuple[int, int], swaps: Swaps, places: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """The row that applies; where none does, the one without a use."""
    start, end = span
    plain = None
    for place in places:
        use = swaps.rows[place[0]].use
        if use == "person":
            holds = precedes_one_of(text, end, swaps.persons)
        elif use is None or len(places) == 1:
            plain = place
            continue
        else:
            asked = precedes_noun_phrase if use == "determiner" else is_count_noun
            holds = asked(text, start, end)
        if holds:
            return place
    return plain
