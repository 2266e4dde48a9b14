"""BM25: rows that share rare words with the probes.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", equation
3.15, with the inverse document frequency of Lucene, which is never below 0. No model is asked.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.sparse import csr_array

from equipoise.attribute.base import Attributor, RowScores, check_probes
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow, blocks_of

_WORD = re.compile(r"\w+")
_BLOCK = 1024  # rows at a time


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BM25(Attributor):
    """The mean over probes of a row's BM25 score for the biased sentence as the query.

    sum over words w of the query, each as often as it is there, of
    ln(1 + (N - n + .5) / (n + .5)) f (k1 + 1) / (f + k1 (1 - b + b L / L_mean)): f how often w is
    in the row, n in how many of the N rows, L the row's words. Words are letters and digits,
    without case. 0: no word is shared. Only words of the probes are counted in the rows.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Robertson and Zaragoza 2009, BM25"
    baseline: ClassVar[bool] = True
    uses_model: ClassVar[bool] = False

    k1: Annotated[float, Field(ge=0)] = 1.5  # how soon a repeated word counts no more; 0: at once
    b: Annotated[float, Field(ge=0, le=1)] = 0.75  # how much long rows are held back; 0: not at all
    #: minus the score of the unbiased sentence: what both sentences say cancels out
    contrastive: bool = False

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row; the model and the seed do not matter."""
        del model, seed
        check_probes(probes, contrastive=self.contrastive)
        sides = [[words_of(probe.stereotype) for probe in probes]]
        if self.contrastive:
            sides.append([words_of(probe.antistereotype or "") for probe in probes])
        number = {word: k for k, word in enumerate(dict.fromkeys(chain(*chain(*sides))))}
        asked = _counts(sides[0], number)
        if self.contrastive:
            asked = asked - _counts(sides[1], number)
        ids: list[list[str]] = []
        lengths: list[NDArray[np.float64]] = []
        counts: list[csr_array] = []
        for block in blocks_of(rows, _BLOCK):
            words = [words_of(row.content) for row in block]
            ids.append([row.id for row in block])
            lengths.append(np.array([len(row) for row in words], dtype=np.float64))
            counts.append(_counts(words, number))
        total, length = sum(map(len, ids)), sum(map(np.sum, lengths))
        holding = sum((_holding(block) for block in counts), np.zeros(len(number)))
        weights = np.log1p((total - holding + 0.5) / (holding + 0.5))
        collected = RowScores(probes, contrastive=self.contrastive)
        for names, sizes, block in zip(ids, lengths, counts, strict=True):
            floor = self.k1 * (1 - self.b + self.b * sizes * total / max(length, 1.0))
            times = block.data
            block.data = times * (self.k1 + 1) / (times + floor[_row_numbers(block)])
            block.data *= weights[block.indices]
            empty = {name: "no words" for name, size in zip(names, sizes, strict=True) if not size}
            collected.add(names, (block @ asked.T).toarray(), skipped=empty)
        return collected.attribution("bm25", unit="BM25")


def words_of(text: str) -> list[str]:
    """Its runs of letters and digits, without case."""
    return _WORD.findall(text.casefold())


def _counts(texts: Sequence[Sequence[str]], number: Mapping[str, int]) -> csr_array:
    """How often each numbered word is in each text: [text, word]."""
    counted = [Counter(number[word] for word in text if word in number) for text in texts]
    data = np.array([*chain(*(count.values() for count in counted))], dtype=np.float64)
    places = np.array([*chain(*counted)], dtype=np.int64)
    starts = np.cumsum([0, *map(len, counted)])
    return csr_array((data, places, starts), shape=(len(texts), len(number)))


def _holding(counts: csr_array) -> NDArray[np.float64]:
    """In how many texts each word is: [word]."""
    return np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float64)


def _row_numbers(counts: csr_array) -> NDArray[np.intp]:
    """The row of each number that is kept."""
    return np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
