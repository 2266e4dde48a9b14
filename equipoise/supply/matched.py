"""Neutral passages as long as the rows of another supply: what does training on any text do?

A control for a fine-tuning: as many rows, of as many words each, of news and encyclopaedia. What it
does too is no effect of what the other rows say.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from itertools import accumulate
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.data.documents import AG_NEWS, WIKITEXT, read_content, read_documents
from equipoise.data.partition import shuffled
from equipoise.errors import RecipeError
from equipoise.records import MOST_SEED, OPTIONS, DataUse, Supply
from equipoise.rows import TrainingRow, text_sha256
from equipoise.supply.base import Supplier
from equipoise.supply.corpus import sentences
from equipoise.supply.hellaswag import HellaSwagSupply

#: How far a passage's length may be from that wanted: a share of it, and at least some words.
_SHARE = 0.1
_WORDS = 2
#: Sentences that a passage has at most: longer runs of a document are not looked at.
_SENTENCES = 40


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MatchedSupply(Supplier):
    """Rows of neutral text, for each row of `like` one of about as many words.

    A passage is whole sentences of a document, one after the other, and none is in two rows.
    Lengths are in words (between white space), which need no tokenizer: news and encyclopaedia have
    rarer words than HellaSwag, and so more tokens; an edit's report says how many were learnt.
    """

    version: ClassVar[str] = "1"

    #: whose rows are matched; the two files have the words for about 3,700 of HellaSwag
    like: Supplier = HellaSwagSupply(items=3000)
    #: neutral documents, also in the data folder, cut as `corpus` says
    documents: Annotated[tuple[str, ...], Field(min_length=1)] = (AG_NEWS.path, WIKITEXT.path)
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0  # which passages are taken

    def supply(self) -> Supply:
        """Rows in the order of those that they match, with group "source": the file.

        Raises `RecipeError` when `like` has no rows, or the documents have too few passages of
        some length; `DataError` as the reading of either.
        """
        wanted = self.like.supply()
        sizes = [_words(row.content) for row in wanted.rows]
        if not sizes:
            raise RecipeError(
                f"like must be a supply with training rows, got {len(sizes)} of {wanted.origin}; "
                "take hellaswag, or rows with a file of your own"
            )
        pool = _Pool(self._documents())
        taken: list[tuple[_Document, str] | None] = [None] * len(sizes)
        # the longest first, for which there are the fewest passages
        for place in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
            taken[place] = pool.take(sizes[place])
        passages = [passage for passage in taken if passage is not None]
        if len(passages) < len(sizes):
            lacking = max(sizes[place] for place, passage in enumerate(taken) if passage is None)
            raise RecipeError(
                f"the documents must have a passage for each of {len(sizes)} rows of "
                f"{sum(sizes)} words in all, got {len(passages)} (of {lacking} words none is "
                "left); let like have fewer rows, or name more documents"
            )
        words = sum(_words(text) for _, text in passages)
        return Supply(
            origin=f"matched({words} words in {len(passages)} rows, seed={self.seed}, as "
            f"{sum(sizes)} of {wanted.origin})",
            rows=tuple(
                TrainingRow(
                    id=f"passage {number}",
                    text=text,
                    groups={"source": document.file},
                    document=document.sha256,
                )
                for number, (document, text) in enumerate(passages, 1)
            ),
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The neutral files, and those of `like`."""
        uses = [read_content(file)[1] for file in self.documents]
        return tuple(dict.fromkeys((*uses, *self.like.files())))

    def _documents(self) -> list["_Document"]:
        """All of them, in an order drawn by seed."""
        cut = {
            f"{number} {id}": _Document(
                file=use.name, sha256=text_sha256(text), sentences=tuple(sentences(text))
            )
            for number, (documents, use) in enumerate(map(read_documents, self.documents))
            for id, text in documents.items()
        }
        return [cut[id] for id in shuffled(list(cut), seed=f"matched {self.seed}")]


@plain_dataclass(slots=True, kw_only=True)
class _Document:
    file: str
    sha256: str
    sentences: Sequence[str]
    start: int = 0  # sentences before it are taken

    def lengths(self) -> Iterator[int]:
        """Words of the next sentence, of the next two, and so on."""
        rest = self.sentences[self.start : self.start + _SENTENCES]
        return accumulate(map(_words, rest))


class _Pool:
    """Passages that can be taken: the next sentences of every document, by their words."""

    def __init__(self, documents: Sequence[_Document]) -> None:
        self.documents = documents
        #: Of a length: documents, and the sentence where each passage of it begins and ends.
        self.passages: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number in reversed(range(len(documents))):  # the last that is put in is taken first
            self._offer(number)

    def take(self, words: int) -> tuple[_Document, str] | None:
        """A passage of about so many words, the nearest that there is; None: there is none."""
        most = max(_WORDS, int(_SHARE * words))
        for distance in range(most + 1):
            for length in dict.fromkeys((words + distance, words - distance)):
                passage = self._take(length) if length > 0 else None
                if passage is not None:
                    return passage
        return None

    def _take(self, words: int) -> tuple[_Document, str] | None:
        offers = self.passages[words]
        while offers:
            number, start, count = offers.pop()
            document = self.documents[number]
            if document.start != start:
                continue  # it begins within what was taken
            text = "".join(document.sentences[start : start + count]).strip()
            document.start = start + count
            self._offer(number)
            return document, text
        return None

    def _offer(self, number: int) -> None:
        document = self.documents[number]
        for count, words in enumerate(document.lengths(), 1):
            self.passages[words].append((number, document.start, count))


def _words(text: str) -> int:
    return len(text.split())
