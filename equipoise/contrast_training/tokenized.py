"""Contrasts and plain texts as token ids, with the positions that a method scores.

A text begins with the start token, which is never scored. Its target is what follows the context:
the tokens of the ending, including a token that straddles the boundary (`models/tokenization.py`).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Ids, Marked, encode, without_start
from equipoise.records import Contrast, Supply

_SHARE = 0.1  # of the texts
_MOST = 200  # texts that are evaluated
#: What a method scores: the whole text, or its ending.
ScoredSpan: TypeAlias = Literal["text", "span"]
#: "after_filler": the last words, which all endings share.
TextPart: TypeAlias = Literal["text", "span", "after_filler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """A text as ids; the token at every position p is predicted from position p - 1."""

    text: str
    ids: Ids
    target_positions: tuple[int, ...]  # of the ending's tokens, ascending
    #: Of the target positions, those of the words that all endings share; fast tokenizers only.
    shared_suffix_positions: tuple[int, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """Every position that has a token before it."""
        return tuple(range(1, len(self.ids)))

    def part(self, which: TextPart) -> tuple[int, ...]:
        """The positions of a part of the text, ascending; empty when it has no such part."""
        if which == "text":
            return self.positions
        return self.target_positions if which == "span" else self.shared_suffix_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedContrast:
    """A contrast as tokenized texts."""

    id: str
    axis: str  # the type of bias; "" where the contrast names none
    target: str
    stereotype: TokenizedText
    antistereotype: TokenizedText
    unrelated: TokenizedText | None
    ending_alone: bool = False  # the benchmark scores its texts given their context

    @property
    def pair(self) -> tuple[TokenizedText, TokenizedText]:
        """The stereotyping text and the other."""
        return self.stereotype, self.antistereotype

    def scored_positions(self, text: TokenizedText) -> tuple[int, ...]:
        """The positions of a text of it whose mean log-probability the margin compares."""
        return text.target_positions if self.ending_alone else text.positions

    @property
    def texts(self) -> tuple[TokenizedText, ...]:
        """All its texts."""
        return self.pair if self.unrelated is None else (*self.pair, self.unrelated)


def tokenize_contrasts(
    model: LanguageModel, contrasts: Sequence[Contrast], *, longest: int
) -> list[TokenizedContrast]:
    """The contrasts of at most `longest` tokens per text; longer contrasts are left out.

    Nothing is ever cut. Raises `ModelError` naming a contrast without any token to score.
    """
    limit = min(longest, model.context_length or longest)
    endings = [
        [
            ending
            for ending in (item.stereotype, item.antistereotype, item.unrelated)
            if ending is not None
        ]
        for item in contrasts
    ]
    marked = [
        (contrast.context, ending, _shared_suffix(group))
        for contrast, group in zip(contrasts, endings, strict=True)
        for ending in group
    ]
    texts = iter(_tokenize(model, marked))
    tokenized = []
    for contrast, group in zip(contrasts, endings, strict=True):
        first, second, *unrelated = [next(texts) for _ in group]
        for text in (first, second, *unrelated):
            if not text.target_positions:
                raise ModelError(
                    f"contrast '{contrast.id}' must have a token to score, got none for "
                    f"{len(text.ids)} tokens; give its endings some text"
                )
        if max(len(text.ids) for text in (first, second, *unrelated)) > limit:
            continue
        tokenized.append(
            TokenizedContrast(
                id=contrast.id,
                axis=contrast.groups.get("axis", ""),
                # without a target term it is a cluster of its own
                target=contrast.groups.get("target", contrast.id),
                stereotype=first,
                antistereotype=second,
                unrelated=unrelated[0] if unrelated else None,
                ending_alone=contrast.groups.get("task") == "intersentence",
            )
        )
    return tokenized


def tokenize_texts(
    model: LanguageModel, texts: Sequence[str], *, longest: int
) -> list[TokenizedText]:
    """Plain texts of at most `longest` tokens, all tokens targets; longer texts are left out."""
    limit = min(longest, model.context_length or longest)
    tokenized = _tokenize(model, [("", text, 0) for text in texts])
    return [text for text in tokenized if text.target_positions and len(text.ids) <= limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A plain text and the document it is from; passages of a document belong together."""

    text: TokenizedText
    document: str


def split_texts(
    model: LanguageModel, supply: Supply, *, longest: int
) -> tuple[tuple[str, ...], tuple[Passage, ...]]:
    """The texts to learn from and the held-out passages, of the last documents, two or more.

    They are held out until they are a tenth of the texts or 200.

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
    sizes = Counter(documents)  # in the order of the texts
    wanted = min(_MOST, math.ceil(_SHARE * len(documents)))
    last: set[str] = set()
    # the first document is always left to learn from
    for document in reversed(list(sizes)[1:] if len(sizes) > 2 else []):
        if len(last) >= 2 and sum(sizes[name] for name in last) >= wanted:
            break
        last.add(document)
    pairs = list(zip(supply.texts, documents, strict=True))
    training = tuple(text for text, document in pairs if document not in last)
    held_out = {text: document for text, document in pairs if document in last}
    for text in training:  # a text may be in several documents
        held_out.pop(text, None)
    tokenized = tokenize_texts(model, list(held_out), longest=longest)
    # Evenly spaced in every document, so that each keeps 1 or more.
    stride = max(1, math.ceil(len(tokenized) / _MOST))
    counts: Counter[str] = Counter()
    passages = []
    for passage in tokenized:
        document = held_out[passage.text]
        if counts[document] % stride == 0:
            passages.append(Passage(text=passage, document=document))
        counts[document] += 1
    return training, tuple(passages)


def _tokenize(model: LanguageModel, texts: Sequence[tuple[str, str, int]]) -> list[TokenizedText]:
    """`texts`: context, ending, and how many last characters all endings share."""
    start = model.start_token_id
    lead = () if start is None else (start,)
    marked = [
        Marked(context + ending, len(context), len(context + ending))
        for context, ending, _ in texts
    ]
    tokenized = []
    encoded = encode(model.tokenizer, marked, specials=False)
    for tokens, (_, _, shared) in zip(encoded, texts, strict=True):
        bare = without_start(tokens, start)
        # without a start token a first token has nothing to be predicted from
        targets = [index for index in bare.marked if index + len(lead) > 0]
        suffix_start = len(bare.text) - shared
        # A slow tokenizer tokenizes context and ending apart, and does not tell characters.
        suffix = [
            index
            for index in targets
            if shared and model.tokenizer.is_fast and bare.spans[index][1] > suffix_start
        ]
        tokenized.append(
            TokenizedText(
                text=bare.text,
                ids=(*lead, *bare.ids),
                target_positions=tuple(index + len(lead) for index in targets),
                shared_suffix_positions=tuple(index + len(lead) for index in suffix),
            )
        )
    return tokenized


def _shared_suffix(endings: Sequence[str]) -> int:
    """Characters of the words with which all endings end alike; a first word is never shared."""
    shared = 0
    for column in zip(*(ending.split(" ")[:0:-1] for ending in endings), strict=False):
        if len(set(column)) > 1:
            break
        shared += len(column[0]) + 1
    return shared
