"""Gender polarity: is a text about men or women, by its gendered words?

Dhamala et al. 2021, "BOLD", section 4.4 (unigram matching): a text is male where it has more male
words than female ones. Here it is a number, whose sign is theirs, and words are read in context
("her bag" is no "him"), as everywhere in Equipoise.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.errors import DataError
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists, word_lists_use
from equipoise.metrics.scale import Scale
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenderPolarity(TextScorer, ReadsFiles):
    """Male minus female words, as a share of both; nan where a text has neither.

    In [-1, 1]; 1: all are male. Names are no gendered words.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Dhamala et al. 2021, BOLD, section 4.4, as a share"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="gender_polarity",
            unit="share",
            meaning="male words",
            low=-1,
            high=1,
            neutral=0,
            needs="a text with a gendered word",
        ),
    )

    #: a file of your own word lists, with an axis gender of male and female; None: the built-in
    lists: str | None = None

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The polarity of each text."""
        lists = self._read()

        def polarity(text: str) -> Mapping[str, float]:
            groups = Counter(mention.group for mention in find_mentions(text, lists))
            male, female = groups["male"], groups["female"]
            both = male + female
            return {"gender_polarity": (male - female) / both if both else math.nan}

        return score_each(texts, self.scales, polarity)

    def info(self) -> Mapping[str, JSON]:
        """The hash of the word lists."""
        self._read()
        return {"lists_sha256": word_lists_use(self.lists).sha256}

    def files(self) -> Mapping[str, str]:
        """The bytes of the user's lists."""
        return {} if self.lists is None else {"lists": word_lists_use(self.lists).sha256}

    def _read(self) -> WordLists:
        lists = read_word_lists(self.lists, ("gender",))
        groups = sorted(lists.groups["gender"])
        if groups != ["female", "male"]:
            raise DataError(
                f"the axis gender of {self.lists} must have the groups male and female, got "
                f"{', '.join(groups)}; rename them"
            )
        return lists
