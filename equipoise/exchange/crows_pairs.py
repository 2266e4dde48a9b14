"""CrowS-Pairs' pairs with another group of the same axis in the named group's place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cache
from typing import Final

from equipoise.exchange.texts import spellings
from equipoise.exchange.words import drawn
from equipoise.group_words.counterfactuals import substitute
from equipoise.group_words.mentions import Mention, find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists
from equipoise.metrics.target_parts import DONE, GROUP, NO_OTHER, NOT_LISTED, NOT_NAMED
from equipoise.records import Contrast

#: Axes of the word lists in which a bias type's groups are looked for, the first first. Gender has
#: two groups, and both stand in a pair.
_AXES: Final[Mapping[str, tuple[str, ...]]] = {
    "race-color": ("race", "nationality"),
    "nationality": ("nationality", "race"),
    "religion": ("religion",),
    "gender": ("gender",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangedPair(Contrast):
    """A pair with its copies."""

    others: tuple[Contrast, ...] = ()


def exchange_groups(pairs: Sequence[Contrast], count: int) -> list[ExchangedPair]:
    """The pairs, each with up to `count` copies in `others`.

    In a copy the sentence about the disadvantaged group (the more stereotyping one, but of an
    anti-stereotype the other) names another group of the same axis that neither sentence names; the
    other sentence stays. Exchanged is what the word lists find in the words that differ between the
    two. Group "exchange" says whether there is any, or why none.
    """
    return [_exchange(pair, count) for pair in pairs]


def _exchange(pair: Contrast, count: int) -> ExchangedPair:
    stereo = pair.groups["direction"] == "stereo"
    about, beside = pair.stereotype, pair.antistereotype
    if not stereo:
        about, beside = beside, about
    texts: list[str] = []
    axes = _AXES.get(pair.groups["bias_type"])
    reason = NOT_LISTED if axes is None else NOT_NAMED
    if axes is not None:
        lists = read_word_lists(None, axes)
        mentions = _mentions_apart(about, beside, lists)
        if mentions:
            axis, group = mentions[0].axis, mentions[0].group
            named = {each.group for text in (about, beside) for each in find_mentions(text, lists)}
            words = _words_of(axis)
            left = [
                other
                for other in lists.groups[axis]
                if other not in named and not words[other].search(f"{about}\n{beside}")
            ]
            mentions = [each for each in mentions if each.group == group]
            new_groups = drawn(left, count, id=pair.id)
            texts = [substitute(about, mentions, [new] * len(mentions)) for new in new_groups]
            reason = DONE if texts else NO_OTHER
    copies = [
        replace(pair, stereotype=text) if stereo else replace(pair, antistereotype=text)
        for text in texts
    ]
    return ExchangedPair(
        id=pair.id,
        context=pair.context,
        stereotype=pair.stereotype,
        antistereotype=pair.antistereotype,
        groups={**pair.groups, GROUP: reason},
        others=tuple(copies),
    )


@cache
def _words_of(axis: str) -> Mapping[str, re.Pattern[str]]:
    """Each group's words wherever they stand, also where they are no mention ("he's white").

    So that nobody stands on both sides under two names.
    """
    lists = read_word_lists(None, (axis,))
    patterns = {}
    for group, members in zip(
        lists.groups[axis], zip(*spellings(lists, axis), strict=True), strict=True
    ):
        names = sorted(frozenset().union(*members))
        either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        patterns[group] = re.compile(rf"\b(?:{either})\b", re.IGNORECASE)
    return patterns


def _mentions_apart(text: str, other: str, lists: WordLists) -> list[Mention]:
    """The mentions of a text that lie in words which the other does not share."""
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    matcher = SequenceMatcher(a=text.split(), b=other.split(), autojunk=False)
    blocks = matcher.get_matching_blocks()
    shared = {index for block in blocks for index in range(block.a, block.a + block.size)}
    apart = [span for index, span in enumerate(spans) if index not in shared]
    return [
        mention
        for mention in find_mentions(text, lists)
        if any(start < mention.end and mention.start < end for start, end in apart)
    ]
