"""Plain texts of a supply that are kept apart from training, to look at perplexity on them."""

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
_MOST: Final = 200  # texts that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A plain text and what it is a passage of; those of one document belong together."""

    text: TokenizedText
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTexts:
    """A supply's plain texts."""

    learnt: tuple[str, ...]  # may be learnt from
    apart: tuple[Passage, ...] = ()  # are looked at

    @property
    def documents(self) -> int:
        """How many documents are looked at."""
        return len({one.document for one in self.apart})


def parted(model: LanguageModel, supply: Supply, *, longest: int) -> PlainTexts:
    """The last documents, until they are a tenth of the texts or 200, are kept apart: two or more.

    A text of a supply that names no documents is one of its own. Of longer documents about 200
    texts evenly spaced are looked at, of at most `longest` tokens each. Fewer than three
    documents are not parted: nothing is kept apart. Raises `RecipeError` unless each text has its
    document.
    """
    homes = supply.documents or supply.texts
    if len(homes) != len(supply.texts):
        raise RecipeError(
            f"a supply must name the document of each plain text or of none, '{supply.origin}' "
            f"has {len(supply.texts)} texts and {len(homes)} documents; name all"
        )
    last = _last_documents(homes)
    each = list(zip(supply.texts, homes, strict=True))
    learnt = tuple(text for text, home in each if home not in last)
    rest = {text: home for text, home in each if home in last}
    for text in learnt:  # a text may stand in several documents
        rest.pop(text, None)
    texts = tokenize_texts(model, list(rest), longest=longest)
    apart = [Passage(text=text, document=rest[text.text]) for text in texts]
    return PlainTexts(learnt=learnt, apart=tuple(_thinned(apart)))


def _thinned(passages: Sequence[Passage]) -> list[Passage]:
    """About 200, evenly spaced in every document, at least one of each."""
    share = max(1, math.ceil(len(passages) / _MOST))
    seen: Counter[str] = Counter()
    kept = []
    for passage in passages:
        if seen[passage.document] % share == 0:
            kept.append(passage)
        seen[passage.document] += 1
    return kept


def _last_documents(homes: Sequence[str]) -> frozenset[str]:
    sizes = Counter(homes)  # in order
    wanted = min(_MOST, math.ceil(_SHARE * len(homes)))
    if len(sizes) < 3:
        return frozenset()
    last: list[str] = []
    for home in reversed(list(sizes)[1:]):
        if len(last) >= 2 and sum(sizes[one] for one in last) >= wanted:
            break
        last.append(home)
    return frozenset(last)
