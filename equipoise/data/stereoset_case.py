"""StereoSet's capitals: every intrasentence text of the official files has lost them.

Each is `sentence.capitalize()`: a capital first letter, all after it lower case, names and "I" too.
The template that it was made from has its capitals, from which they are put back here. Case alone
changes, so that what fills the blank stands at the same characters.

What fills the blank was never in the template. It keeps lower case, but for the beginning of a
sentence, and for a word that the split's own texts (templates, and both texts of intersentence
examples, which kept their capitals) write with a capital inside a sentence twice or more, and more
often than without: it is written as they mostly do ("Spanish", "CEO").
"""

import re
import string
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, TypeAlias

from equipoise.data.stereoset import BLANK, StereoSetItem, read_items
from equipoise.errors import DataError

#: As the file has the texts; with the template's capitals; in both forms.
Case: TypeAlias = Literal["official", "restored", "both"]

_END: Final = re.compile(r"[.!?:][\"'”’)\]]*\Z")  # a word after which a sentence or a title begins
_FEWEST: Final = 2  # capitals inside sentences that make a word a name


def read_cased(split: str, case: Case) -> list[StereoSetItem]:
    """`read_items`, with capitals put back (`StereoSetItem.restored`) unless case is "official".

    Examples that had lost any are of the group {"capitals": "lost"} then. Raises `DataError`.
    """
    items = read_items(split)
    return items if case == "official" else restore_capitals(items)


def restore_capitals(items: Sequence[StereoSetItem]) -> list[StereoSetItem]:
    """The items, those that had lost capitals with their texts as the template writes them.

    A text whose words are not those of its template stays as it is. `items`: all of a split, for
    what they tell of names.
    """
    names = _names(items)
    restored = []
    for item in items:
        if item.task == "intrasentence":
            texts = tuple(_restored(item.context, text, names) for text in item.sentences)
            if texts != item.sentences:
                groups = {**item.groups, "capitals": "lost"}
                item = replace(item, restored=texts, groups=groups)
        restored.append(item)
    return restored


def written(item: StereoSetItem, case: Case) -> tuple[StereoSetItem, ...]:
    """The item with the texts that a model is asked about: two of them where "both" differ."""
    if case == "official" or not item.restored:
        return (item,)
    restored = replace(item, sentences=item.restored)
    return (restored,) if case == "restored" else (item, restored)


def refuse_scores(file: Path, case: Case) -> None:
    """Raise `DataError` where published scores, which are of the official texts, are no answer."""
    if case != "official":
        raise DataError(
            f"{file} must have scores of the texts that are measured, got those of the official "
            f"file for case '{case}'; leave case at 'official', or measure a model"
        )


def _restored(template: str, text: str, names: Mapping[str, str]) -> str:
    places, words = template.split(" "), text.split(" ")
    if len(places) != len(words):
        return text
    before = [".", *places[:-1]]
    restored = " ".join(
        _restored_word(place, word, names, begins=bool(_END.search(last)))
        for place, word, last in zip(places, words, before, strict=True)
    )
    # 50 templates of dev begin in lower case, which no text does.
    return text[:1] + restored[1:] if len(restored) == len(text) else text


def _restored_word(place: str, word: str, names: Mapping[str, str], *, begins: bool) -> str:
    """`begins`: it is the first word of a sentence."""
    if place.lower() == word.lower():
        return place
    left, blank, right = place.partition(BLANK)
    end = len(word) - len(right)
    if (
        not blank
        or word[: len(left)].lower() != left.lower()
        or word[end:].lower() != right.lower()
    ):
        return word
    filler = word[len(left) : end]
    plain = filler.strip(string.punctuation)
    name = names.get(plain.lower(), plain)
    if begins:
        name = name[:1].upper() + name[1:]
    return left + filler.replace(plain, name, 1) + right if plain else left + filler + right


def _names(items: Sequence[StereoSetItem]) -> dict[str, str]:
    """How words are written that have a capital inside sentences, by the word in lower case."""
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in _texts_with_capitals(items):
        for last, word in pairwise(text.split()):
            plain = word.strip(string.punctuation)
            if plain and BLANK not in word and not _END.search(last):
                forms[plain.lower()][plain] += 1
    names = {}
    for word, counts in forms.items():
        lower = counts.pop(word, 0)
        if counts.total() >= _FEWEST and counts.total() > lower:
            names[word] = counts.most_common(1)[0][0]
    return names


def _texts_with_capitals(items: Sequence[StereoSetItem]) -> Iterator[str]:
    for item in items:
        yield item.context
        if item.task == "intersentence":
            yield from item.sentences
