"""Text to token ids, with the characters that each token covers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TypeAlias

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

Ids: TypeAlias = tuple[int, ...]
Span: TypeAlias = tuple[int, int]  # characters [start, end) of a text

_BATCH = 128  # texts: what the tokenizer returns is large, and is dropped batch by batch


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as tokens: ids, the characters that each covers, and which are in its marked span."""

    text: str
    ids: Ids
    spans: tuple[Span, ...]  # (0, 0) for a special token
    marked: tuple[int, ...]  # positions of the tokens inside the marked span, in order

    def bytes_of(self, positions: Sequence[int]) -> int:
        """UTF-8 bytes of the characters that these tokens cover, each counted once.

        White space before a token counts as its own, also where the tokenizer trims it off.
        """
        ends = (0, *(end for _, end in self.spans))
        covered = {
            char
            for position in positions
            for char in range(min(ends[position], self.spans[position][0]), self.spans[position][1])
        }
        return len("".join([self.text[char] for char in covered]).encode())


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the characters [start, end) of it that are of interest."""

    text: str
    start: int
    end: int


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[Marked], *, specials: bool
) -> list[Tokens]:
    """Tokenize texts and find the tokens of each marked span.

    The text is tokenized as a whole, and a token that straddles an edge of the span is inside it:
    it cannot be predicted without predicting a part of the span. A slow tokenizer, which reports
    no characters, gets the three parts of the text separately instead.
    `specials`: with the tokenizer's special tokens around the text (masked models); without them
    the ids are those of the text alone, even where the tokenizer adds a start token by itself.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return [_encode_in_parts(tokenizer, text, specials=specials) for text in texts]
    # what `tokenizer(...)` does without truncation and padding, but for the lists that it builds
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    tokens: list[Tokens] = []
    remaining = iter(texts)
    while batch := list(islice(remaining, _BATCH)):
        encodings = backend.encode_batch([text.text for text in batch], add_special_tokens=specials)
        for text, encoding in zip(batch, encodings, strict=True):
            spans = _untrim(encoding.offsets)
            inside = _positions_inside(spans, text.start, text.end)
            if specials:
                special = encoding.special_tokens_mask
                inside = [position for position in inside if not special[position]]
            tokens.append(Tokens(text.text, tuple(encoding.ids), spans, tuple(inside)))
    return tokens


def _untrim(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Give a lone space its character where the tokenizer trims it to nothing."""
    if all(begin < end for begin, end in spans):
        return tuple(spans)
    last_ends = (0, *(end for _, end in spans))
    return tuple(
        (min(last, begin), end) if begin == end else (begin, end)
        for last, (begin, end) in zip(last_ends, spans, strict=False)
    )


def _positions_inside(spans: Iterable[Span], start: int, end: int) -> list[int]:
    """Tokens that overlap [start, end); of tokens without a character, those within or beside."""
    if start == end:
        return []
    return [
        index
        for index, (first, last) in enumerate(spans)
        if (first < end and last > start) or start <= first == last <= end
    ]


def _encode_in_parts(
    tokenizer: PreTrainedTokenizerBase, marked: Marked, *, specials: bool
) -> Tokens:
    edges = (0, marked.start, marked.end, len(marked.text))
    ids: list[int] = []
    spans: list[Span] = []
    inside = range(0)
    for part, (begin, end) in enumerate(pairwise(edges)):
        new = tokenizer.encode(marked.text[begin:end], add_special_tokens=False, verbose=False)
        if part == 1:
            inside = range(len(ids), len(ids) + len(new))
        ids += new
        spans += [(begin, end)] * len(new)
    if not specials:
        return Tokens(marked.text, tuple(ids), tuple(spans), tuple(inside))
    framed = list(tokenizer.build_inputs_with_special_tokens(ids))
    before = next(index for index in range(len(framed)) if framed[index : index + len(ids)] == ids)
    after = len(framed) - before - len(ids)
    return Tokens(
        marked.text,
        tuple(framed),
        ((0, 0),) * before + tuple(spans) + ((0, 0),) * after,
        tuple(before + position for position in inside),
    )
