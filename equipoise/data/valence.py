"""How friendly a word is, and StereoSet's examples told apart by it: VADER's lexicon.

Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text". Its package is an extra ("sentiment"); of it the list of words alone is read: means of
ten raters, from -4 to 4. A word that is not listed is neither friendly nor unfriendly: 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from equipoise.data.stereoset import StereoSetItem

VALENCE: Final = "valence"  # the group key
NEGATIVE: Final = "stereotype is more negative"
POSITIVE: Final = "stereotype is more positive"
#: A note for the reader of a result without these groups.
ABSENT: Final = (
    "valence: items in which the stereotype is the more negative word and those in which it is the "
    "more positive are not told apart, so that text made friendlier and bias that fell look alike; "
    "that takes the extra 'sentiment', pip install 'equipoise[sentiment]'"
)


def with_valence(items: Sequence[StereoSetItem]) -> list[StereoSetItem]:
    """The items, those with fillers of different valence in a group of their own.

    {"valence": `NEGATIVE` or `POSITIVE`}: the stereotype's filler, beside its opposite's.
    Intersentence items have no filler and no such group; nor has any without the extra.
    """
    lexicon = word_valences()
    return [_with_valence(item, lexicon) for item in items] if lexicon else [*items]


def word_valences() -> Mapping[str, float] | None:
    """Words in lower case with their valence, in [-4, 4]; None where the extra is not installed."""
    package = find_spec("vaderSentiment")
    if package is None or not package.submodule_search_locations:
        return None
    return _read(Path(package.submodule_search_locations[0]) / "vader_lexicon.txt")


@lru_cache(maxsize=1)
def _read(file: Path) -> Mapping[str, float]:
    rows = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return {row[0].strip(): float(row[1]) for row in rows if len(row) > 1}


def _with_valence(item: StereoSetItem, lexicon: Mapping[str, float]) -> StereoSetItem:
    if item.task != "intrasentence":
        return item
    stereotype, antistereotype, _ = (
        lexicon.get(text[start:end].lower(), 0.0)
        for text, (start, end) in zip(item.sentences, item.spans, strict=True)
    )
    if stereotype == antistereotype:
        return item
    group = NEGATIVE if stereotype < antistereotype else POSITIVE
    return replace(item, groups={**item.groups, VALENCE: group})
