"""Text to token ids, with the characters that each token covers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from transformers import PreTrainedTokenizerBase

Ids: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as tokens: ids and, for each, what it covers and whether it belongs to the span."""

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # characters [start, end) of the text; (0, 0) if special
    inside: tuple[bool, ...]  # part of the marked span of the text

    @property
    def marked(self) -> tuple[int, ...]:
        """Positions of the tokens inside the marked span, in order."""
        return tuple(index for index, inside in enumerate(self.inside) if inside)

    def bytes_of(self, positions: Sequence[int]) -> int:
        """UTF-8 bytes of the characters that these tokens cover, each counted once.

        White space before a token is its own, also where the tokenizer trims it off the token.
        """
        ends = (0, *(end for _, end in self.spans))
        covered = {
            char
            for at in positions
            for char in range(min(ends[at], self.spans[at][0]), self.spans[at][1])
        }
        return sum(len(self.text[char].encode()) for char in covered)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the characters [start, end) of it that are of interest."""

    text: str
    start: int
    end: int


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[Marked], *, specials: bool
) -> list[Tokens]:
    """Tokenize texts and find the tokens of each marked span.

    The text is tokenized as a whole, and a token that straddles an edge of the span is inside it
    (it cannot be predicted without saying a part of the span). A tokenizer that does not tell
    characters (a slow one) gets the three parts of the text one by one instead.
    `specials`: with the tokenizer's own special tokens around it (masked models); without them
    the ids are those of the text alone, even where the tokenizer adds a start token by itself.
    """
    if not texts:
        return []
    if not tokenizer.is_fast:
        return [_in_parts(tokenizer, text, specials=specials) for text in texts]
    coded = tokenizer(
        [text.text for text in texts],
        add_special_tokens=specials,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        verbose=False,  # too long a text is our error to raise, with the request's number
    )
    rows = zip(
        texts,
        coded["input_ids"],
        coded["offset_mapping"],
        coded["special_tokens_mask"],
        strict=True,
    )
    return [_whole(one, ids, spans, special) for one, ids, spans, special in rows]


def _whole(one: Marked, ids: list[int], spans: list[tuple[int, int]], special: list[int]) -> Tokens:
    full = _untrimmed(spans)
    inside = (not own and _overlaps(span, one) for span, own in zip(full, special, strict=True))
    return Tokens(one.text, tuple(ids), full, tuple(inside))


def _untrimmed(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans in which a lone space, trimmed to nothing by some tokenizers, has its character."""
    found: list[tuple[int, int]] = []
    last = 0
    for begin, end in spans:
        found.append((min(last, begin), end) if begin == end else (begin, end))
        last = end
    return tuple(found)


def _overlaps(span: tuple[int, int], one: Marked) -> bool:
    if one.start == one.end:
        return False
    begin, end = span
    if begin == end:  # a token without any character
        return one.start <= begin <= one.end
    return begin < one.end and end > one.start


def _in_parts(tokenizer: PreTrainedTokenizerBase, one: Marked, *, specials: bool) -> Tokens:
    edges = (0, one.start, one.end, len(one.text))
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    inside: list[bool] = []
    for part, (begin, end) in enumerate(pairwise(edges)):
        found = tokenizer.encode(one.text[begin:end], add_special_tokens=False, verbose=False)
        ids += found
        spans += [(begin, end)] * len(found)
        inside += [part == 1] * len(found)
    if specials:
        framed = tokenizer.build_inputs_with_special_tokens(ids)
        before = next(
            index for index in range(len(framed)) if framed[index : index + len(ids)] == ids
        )
        after = len(framed) - before - len(ids)
        ids = list(framed)
        spans = [(0, 0)] * before + spans + [(0, 0)] * after
        inside = [False] * before + inside + [False] * after
    return Tokens(one.text, tuple(ids), tuple(spans), tuple(inside))
