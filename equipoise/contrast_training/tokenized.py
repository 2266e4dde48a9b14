"""Contrasts as token ids, with the positions that a fine-tuning method scores.

A text begins with the start token, which is never scored. Its target is what follows the context:
the tokens of the ending, including a token that straddles the boundary (`models/tokenization.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import without_start
from equipoise.models.loaded_model import context_length
from equipoise.models.tokenization import Ids, Marked, encode, start_token_id
from equipoise.records import Contrast

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
    """The contrasts of at most `longest` tokens per text; longer ones are left out.

    Nothing is ever cut. Raises `ModelError` naming a contrast without any token to score.
    """
    limit = min(longest, context_length(model.module) or longest)
    texts = iter(
        _tokenize(
            model,
            [
                (contrast.context, ending, _shared_suffix(contrast))
                for contrast in contrasts
                for ending in _endings(contrast)
            ],
        )
    )
    tokenized = []
    for contrast in contrasts:
        contrast_texts = [next(texts) for _ in _endings(contrast)]
        for text in contrast_texts:
            if not text.target_positions:
                raise ModelError(
                    f"contrast '{contrast.id}' must have a token to score, got none for "
                    f"{len(text.ids)} tokens; give its endings some text"
                )
        if max(len(text.ids) for text in contrast_texts) > limit:
            continue
        tokenized.append(
            TokenizedContrast(
                id=contrast.id,
                axis=contrast.groups.get("axis", ""),
                target=contrast.groups.get("target", contrast.id),
                stereotype=contrast_texts[0],
                antistereotype=contrast_texts[1],
                unrelated=contrast_texts[2] if len(contrast_texts) > 2 else None,
                ending_alone=contrast.groups.get("task") == "intersentence",
            )
        )
    return tokenized


def tokenize_texts(
    model: LanguageModel, texts: Sequence[str], *, longest: int
) -> list[TokenizedText]:
    """Plain texts of at most `longest` tokens, all tokens targets; longer ones are left out."""
    limit = min(longest, context_length(model.module) or longest)
    tokenized = _tokenize(model, [("", text, 0) for text in texts])
    return [text for text in tokenized if text.target_positions and len(text.ids) <= limit]


def _tokenize(model: LanguageModel, texts: Sequence[tuple[str, str, int]]) -> list[TokenizedText]:
    """`texts`: context, ending, and how many last characters all endings share."""
    start = start_token_id(model.tokenizer)
    lead = () if start is None else (start,)
    marked = [
        Marked(context + ending, len(context), len(context + ending))
        for context, ending, _ in texts
    ]
    tokenized = []
    encoded = encode(model.tokenizer, marked, specials=False)
    for tokens, (_, _, shared) in zip(encoded, texts, strict=True):
        bare = without_start(tokens, start)
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


def _endings(contrast: Contrast) -> list[str]:
    endings = (contrast.stereotype, contrast.antistereotype, contrast.unrelated)
    return [ending for ending in endings if ending is not None]


def _shared_suffix(contrast: Contrast) -> int:
    """Characters of the words with which all endings end alike; a first word is never shared."""
    words = [ending.split(" ")[:0:-1] for ending in _endings(contrast)]
    shared = 0
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        shared += len(column[0]) + 1
    return shared
