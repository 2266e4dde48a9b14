"""Plain texts of a supply that are held out from training, to evaluate perplexity on them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.contrast_training.tokenized import TokenizedText, tokenize_texts
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Supply

_SHARE: Final = 0.1  # of the texts
_MOST: Final = 200  # texts that are evaluated


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A plain text and the document it is from; passages of a document belong together."""

    text: TokenizedText
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTexts:
    """A supply's plain texts."""

    training: tuple[str, ...]
    held_out: tuple[Passage, ...] = ()

    @property
    def held_out_documents(self) -> int:
        """How many documents are evaluated."""
        return len({passage.document for passage in self.held_out})


def split_texts(model: LanguageModel, supply: Supply, *, longest: int) -> PlainTexts:
    """Hold out the last documents, two or more, until they are a tenth of the texts or 200.

    A text of a supply that names no documents is a document of its own. Of longer documents about
    200 texts, evenly spaced and of at most `longest` tokens each, are evaluated. Fewer than three
    documents are not split: nothing is held out. Raises `RecipeError` unless each text has its
    document.
    """
    documents = supply.documents or supply.texts
    if len(documents) != len(supply.texts):
        raise RecipeError(
            f"a supply must name the document of each plain text or of none, '{supply.origin}' "
            f"has {len(supply.texts)} texts and {len(documents)} documents; name all"
        )
    last = _last_documents(documents)
    pairs = list(zip(supply.texts, documents, strict=True))
    training = tuple(text for text, document in pairs if document not in last)
    held_out = {text: document for text, document in pairs if document in last}
    for text in training:  # a text may be in several documents
        held_out.pop(text, None)
    passages = [
        Passage(text=text, document=held_out[text.text])
        for text in tokenize_texts(model, list(held_out), longest=longest)
    ]
    return PlainTexts(training=training, held_out=tuple(_thin_out(passages)))


def _thin_out(passages: Sequence[Passage]) -> list[Passage]:
    """About 200 passages, evenly spaced in every document, at least one of each."""
    stride = max(1, math.ceil(len(passages) / _MOST))
    counts: Counter[str] = Counter()
    thinned = []
    for passage in passages:
        if counts[passage.document] % stride == 0:
            thinned.append(passage)
        counts[passage.document] += 1
    return thinned


def _last_documents(documents: Sequence[str]) -> frozenset[str]:
    sizes = Counter(documents)  # in the order of the texts
    wanted = min(_MOST, math.ceil(_SHARE * len(documents)))
    if len(sizes) < 3:
        return frozenset()
    last: list[str] = []
    for document in reversed(list(sizes)[1:]):
        if len(last) >= 2 and sum(sizes[name] for name in last) >= wanted:
            break
        last.append(document)
    return frozenset(last)
