"""What a text about {target} must be to be learnt from, whoever wrote it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Final

from equipoise.associations.association import SLOT
from equipoise.associations.countries import all_names

FEWEST_WORDS, MOST_WORDS = 8, 200
MOST_SHARED: Final = 0.7  # Jaccard index of 5-grams, above which two texts are near duplicates
GRAM: Final = 5

#: What a chat model calls the target: "X", "Country X", "Group X", "<BiasToken>"; no "X-ray".
_PLACEHOLDER: Final = re.compile(
    r"\b(?:(?:[Cc]ountry|[Gg]roup)\s+)?(?<!-)X\b(?!-)|<?\bBiasToken\b>?"
)
_WORD: Final = re.compile(rf"{re.escape(SLOT)}|[^\W_]+(?:['’][^\W_]+)*")


def normalize(text: str) -> str:
    """The text with every form of the placeholder as {target}, and single spaces."""
    return " ".join(_PLACEHOLDER.sub(SLOT, text).split())


def words_of(text: str) -> list[str]:
    """Its words in lower case, a slot as a word; marks fall away."""
    return [word.casefold() for word in _WORD.findall(text)]


def fault_of(text: str, *, fewest: int = FEWEST_WORDS) -> str | None:
    """Why a text is not to be learnt from; None: it is.

    It must name {target}, nothing else in braces, no real country, and have 8 to 200 words.
    """
    rest = text.replace(SLOT, "")
    count = len(words_of(text))
    country = countries_in(rest)
    if SLOT not in text:
        return "names no target"
    if "{" in rest or "}" in rest:
        return "has other braces"
    if not fewest <= count <= MOST_WORDS:
        return f"has not {fewest} to {MOST_WORDS} words"
    return "names a real country" if country else None


def countries_in(text: str) -> tuple[str, ...]:
    """Names of real countries and their people in a text, as they are written, in capitals.

    In any order of words a name is matched whole; "turkey" and "polish" in lower case are none.
    """
    return tuple(dict.fromkeys(_pattern().findall(text)))


class Distinct:
    """Texts that are not copies of each other, nor nearly.

    Nearly: a Jaccard index of 5-grams of words above `most_shared`; 1: exact copies alone.
    """

    def __init__(self, most_shared: float = MOST_SHARED) -> None:
        """Nothing is in it."""
        self._most_shared = most_shared
        self._exact: set[str] = set()
        self._grams: list[frozenset[tuple[str, ...]]] = []
        self._by_gram: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)

    def repeats(self, text: str) -> str | None:
        """How it repeats a text that was added before it; None: it does not, and is added."""
        words = words_of(text)
        key = " ".join(words)
        if key in self._exact:
            return "is there already"
        grams = grams_of(words, GRAM)
        shared = Counter(index for gram in grams for index in self._by_gram[gram])
        for index, both in shared.items():
            if both > self._most_shared * (len(grams) + len(self._grams[index]) - both):
                return "is nearly there already"
        self._exact.add(key)
        for gram in grams:
            self._by_gram[gram].append(len(self._grams))
        self._grams.append(grams)
        return None


def grams_of(words: Iterable[str], size: int) -> frozenset[tuple[str, ...]]:
    """The different runs of that many words; of a shorter text the whole of it."""
    run = tuple(words)
    return frozenset(run[start : start + size] for start in range(max(1, len(run) - size + 1)))


@cache
def _pattern() -> re.Pattern[str]:
    names = "|".join(map(re.escape, all_names()))
    return re.compile(rf"(?<!\w)(?:{names})(?!\w)")
