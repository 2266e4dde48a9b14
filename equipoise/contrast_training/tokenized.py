"""Contrasts as token ids, with the places that a fine-tuning method scores.

A text begins with the start token, which is never scored. Its span is what follows the context:
the tokens of the ending, a token that straddles the boundary included (`models/tokens.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import without_start
from equipoise.models.context import context_length
from equipoise.models.start_token import start_token_id
from equipoise.models.tokenization import Ids, Marked, Tokens, encode
from equipoise.records import Contrast


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A text as ids; every place p is one whose token is predicted from place p - 1."""

    text: str
    ids: Ids
    span: tuple[int, ...]  # places of the ending's tokens, ascending
    tail: tuple[int, ...]  # of them, those of the words that all endings share; fast tokenizers

    @property
    def places(self) -> tuple[int, ...]:
        """Every place that has something before it."""
        return tuple(range(1, len(self.ids)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A contrast as coded texts."""

    id: str
    axis: str  # the type of bias; "" where the contrast names none
    target: str
    stereotype: Coded
    antistereotype: Coded
    unrelated: Coded | None
    ending_alone: bool = False  # the benchmark scores its texts given their context

    @property
    def pair(self) -> tuple[Coded, Coded]:
        """The stereotyping text and the other."""
        return self.stereotype, self.antistereotype

    @property
    def judged(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The places of the pair's texts whose mean log-probabilities its margin compares."""
        first, second = self.pair
        return self.judged_at(first), self.judged_at(second)

    def judged_at(self, text: Coded) -> tuple[int, ...]:
        """The places of one of its texts whose mean log-probability is compared."""
        return text.span if self.ending_alone else text.places

    @property
    def texts(self) -> tuple[Coded, ...]:
        """All its texts."""
        return self.pair if self.unrelated is None else (*self.pair, self.unrelated)


def coded_items(model: LanguageModel, contrasts: Sequence[Contrast], *, longest: int) -> list[Item]:
    """The contrasts of at most `longest` tokens a text; longer ones are left out.

    Nothing is ever cut. Raises `ModelError` naming a contrast without any token to score.
    """
    endings = [
        (contrast, ending)
        for contrast in contrasts
        for ending in (contrast.stereotype, contrast.antistereotype, contrast.unrelated)
        if ending is not None
    ]
    tails = {id(contrast): _shared_tail(contrast) for contrast in contrasts}
    texts = [(one.context, ending, tails[id(one)]) for one, ending in endings]
    codes = iter(_coded(model, texts))
    limit = min(longest, context_length(model.module) or longest)
    found = []
    for contrast in contrasts:
        stereotype, antistereotype = next(codes), next(codes)
        unrelated = None if contrast.unrelated is None else next(codes)
        several = [text for text in (stereotype, antistereotype, unrelated) if text is not None]
        for text in several:
            if not text.span:
                raise ModelError(
                    f"contrast '{contrast.id}' must have a token to score, got none for "
                    f"{len(text.ids)} tokens; give its endings some text"
                )
        if max(len(text.ids) for text in several) <= limit:
            found.append(
                Item(
                    id=contrast.id,
                    axis=contrast.groups.get("axis", ""),
                    target=contrast.groups.get("target", contrast.id),
                    stereotype=stereotype,
                    antistereotype=antistereotype,
                    unrelated=unrelated,
                    ending_alone=contrast.groups.get("task") == "intersentence",
                )
            )
    return found


def coded_texts(model: LanguageModel, texts: Sequence[str], *, longest: int) -> list[Coded]:
    """Plain texts of at most `longest` tokens, every token in the span; longer ones left out."""
    limit = min(longest, context_length(model.module) or longest)
    found = _coded(model, [("", text, 0) for text in texts])
    return [one for one in found if one.span and len(one.ids) <= limit]


def _coded(model: LanguageModel, texts: Sequence[tuple[str, str, int]]) -> list[Coded]:
    """Context, ending, and how many last characters all endings share."""
    start = start_token_id(model.tokenizer)
    marked = [Marked(c + e, len(c), len(c + e)) for c, e, _ in texts]
    tails = [Marked(c + e, len(c + e) - shared, len(c + e)) for c, e, shared in texts]
    rows = encode(model.tokenizer, marked, specials=False)
    ends = encode(model.tokenizer, tails, specials=False)
    if not model.tokenizer.is_fast:  # its parts are coded apart: cut elsewhere, the ids differ
        ends = [Tokens(row.text, row.ids, row.spans, (False,) * len(row.ids)) for row in rows]
    return [
        _with_start(without_start(row, start), without_start(end, start), start)
        for row, end in zip(rows, ends, strict=True)
    ]


def _with_start(row: Tokens, tail: Tokens, start: int | None) -> Coded:
    lead = () if start is None else (start,)
    shift = len(lead)
    return Coded(
        text=row.text,
        ids=(*lead, *row.ids),
        span=tuple(at + shift for at in row.marked if at + shift > 0),
        tail=tuple(at + shift for at in tail.marked if at + shift > 0),
    )


def _shared_tail(one: Contrast) -> int:
    """Characters of the words with which all endings end alike."""
    endings = [one.stereotype, one.antistereotype, one.unrelated]
    words = [text.split(" ")[::-1] for text in endings if text is not None]
    shared = 0
    for column in zip(*(text[:-1] for text in words), strict=False):
        if len(set(column)) > 1:
            break
        shared += len(column[0]) + 1
    return shared
