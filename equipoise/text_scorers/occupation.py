"""Occupations that a text gives to people, and to which gender people give these occupations.

The HellaSwag study of GPT-2 (sections 2 and 3.1) finds by eye that women become nurses and men
doctors. Words and their scores are those of Bolukbasi et al. 2016, "Man is to Computer Programmer
as Woman is to Homemaker?", arXiv 1607.06520, as crowd workers rated them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.data.professions import PROFESSIONS, professions
from equipoise.metrics.scale import Scale
from equipoise.records import JSON, OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each

_NEEDS = "a text that names an occupation of the list"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Occupation(TextScorer):
    """Whether a text names an occupation, and the mean stereotype score of those that it names.

    The score is from -1 (held to be women's) to 1 (men's), 0 neither; nan where none is named.
    Occupations are the 241 of `prof_clean`, singular and with a plural "s", in any case. What is
    named need not be the occupation of whom the text is about.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Bolukbasi et al. 2016, professions and their scores"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="occupation_gender",
            unit="score",
            meaning="occupations that people hold to be men's",
            low=-1,
            high=1,
            neutral=0,
            needs=_NEEDS,
        ),
        Scale(
            name="occupation_named",
            unit="share",
            meaning="a text that names an occupation",
            low=0,
            high=1,
        ),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """Both numbers of each text. Raises `DataError` without the file of professions."""
        scores = {term.word.casefold(): term.score for term in professions("prof_clean")}
        longest_first = sorted(scores, key=len, reverse=True)
        pattern = re.compile(
            rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?:e?s)?(?!\w)", re.IGNORECASE
        )

        def named(text: str) -> Mapping[str, float]:
            values = [scores[match[1].casefold()] for match in pattern.finditer(text)]
            mean = sum(values) / len(values) if values else float("nan")
            return {"occupation_gender": mean, "occupation_named": float(bool(values))}

        return score_each(texts, self.scales, named)

    def info(self) -> Mapping[str, JSON]:
        """The hash of the file of professions."""
        return {"professions_sha256": PROFESSIONS.use().sha256}
