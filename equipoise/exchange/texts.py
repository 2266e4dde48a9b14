"""Plain texts about other groups: each with the texts in which its groups have changed places.

What a model that does not take a group for evidence would say alike of all of them. Words are those
of the group word lists, with two differences: first names stand among the words of the two sexes,
so that "John … he" becomes "Mary … she"; and the axis "profession" has the professions of this
room's list, each a group.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from equipoise.exchange.words import GENDER, built_in_words
from equipoise.group_words.counterfactuals import (
    Change,
    apply_changes,
    changes_for,
    counterfactual_set,
)
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.people import plural_of
from equipoise.group_words.word_lists import WordLists, read_word_lists

Axis: TypeAlias = Literal["gender", "profession", "race", "religion", "nationality"]

_NAMES: Final = "names"
_PROFESSION: Final = "profession"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangedText:
    """A text in which groups have changed places."""

    text: str
    changes: tuple[Change, ...]  # that made it of the first of its set; none: it is the first
    moves: Mapping[str, int]  # by axis that the text mentions: how many groups its mentions went on

    def place_of(self, place: int) -> int | None:
        """Where a place between two characters of the first text is here; None: in a new word."""
        shift = 0
        for change in self.changes:
            if place <= change.start:
                break
            if place < change.end:
                return None
            shift += len(change.text) - (change.end - change.start)
        return place + shift


@lru_cache(maxsize=8)
def exchange_lists(axes: tuple[Axis, ...]) -> WordLists:
    """The lists of these axes. Raises `RecipeError` for an axis that there is not."""
    document: Any = read_word_lists(None, ()).as_json
    listed = document["axes"]
    for side, names in listed.pop(_NAMES).items():
        listed[GENDER][side] += names
    kinds = built_in_words().kinds[_PROFESSION]
    singulars = [spellings[0] for kind in kinds for spellings in kind]
    listed[_PROFESSION] = {word: [word, plural_of(word)] for word in singulars}
    return WordLists.of(document, axes, name="the lists of exchanges")


def exchanged_texts(
    text: str, lists: WordLists, *, most: int, seed: int
) -> tuple[ExchangedText, ...]:
    """A text and at most `most` others of its counterfactual set; empty: it names no group.

    Both sexes stand with each of the other axes' groups that are in the set. The set is that of
    `group_words.counterfactuals`: every text of it has the same set.
    """
    mentions = find_mentions(text, lists)
    if not mentions:
        return ()
    firsts = {mention.axis: number for number, mention in reversed([*enumerate(mentions)])}
    exchanged: list[ExchangedText] = []
    for groups in counterfactual_set(mentions, lists, most=most, seed=seed, whole=(GENDER,)):
        changes = changes_for(text, mentions, groups) if exchanged else ()
        moves = {}
        for axis, number in firsts.items():
            known = lists.groups[axis]
            before, after = known.index(mentions[number].group), known.index(groups[number])
            moves[axis] = (after - before) % len(known)
        exchanged.append(
            ExchangedText(text=apply_changes(text, changes), changes=changes, moves=moves)
        )
    return tuple(exchanged)


def as_it_is(text: str) -> ExchangedText:
    """A text that stands alone."""
    return ExchangedText(text=text, changes=(), moves={})


def spellings(lists: WordLists, axis: str) -> list[tuple[frozenset[str], ...]]:
    """Of each place of an axis the words of each group, in the groups' alphabetical order."""
    document: Any = lists.as_json
    by_group: Mapping[str, Sequence[str | Sequence[str]]] = document["axes"][axis]
    columns = (by_group[group] for group in lists.groups[axis])
    return [tuple(map(_unmarked, members)) for members in zip(*columns, strict=True)]


def _unmarked(member: str | Iterable[str]) -> frozenset[str]:
    words = (member,) if isinstance(member, str) else member
    return frozenset(word.partition(" [")[0] for word in words)
