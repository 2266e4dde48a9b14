"""Text to token ids with the characters that each covers; padding, vocabulary."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any, TypeAlias

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from equipoise.errors import ModelError

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
            inside = positions_inside(spans, text.start, text.end)
            if specials:
                # they have the span (0, 0), which is beside a marked span that begins the text
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


def positions_inside(spans: Iterable[Span], start: int, end: int) -> list[int]:
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


def without_start(tokens: Tokens, start: int | None) -> Tokens:
    """The tokens without a start token in front."""
    if start is None or not tokens.ids or tokens.ids[0] != start:
        return tokens
    marked = tuple(position - 1 for position in tokens.marked if position > 0)
    return Tokens(tokens.text, tokens.ids[1:], tokens.spans[1:], marked)


def adds_start(tokenizer: PreTrainedTokenizerBase, start: int | None) -> bool:
    """Whether the tokenizer puts the start token before a text by itself, as Llama's does."""
    return start is not None and list(tokenizer("a")["input_ids"])[:1] == [start]


def find_unfit_token(tokenizer: PreTrainedTokenizerBase, rows: int) -> str | None:
    """The first token that may be fed to a model and that it has no row for; None: all fit."""
    beyond = {token: id for token, id in tokenizer.get_vocab().items() if id >= rows}
    # Special tokens that nothing feeds, as a padding token often is, do no harm.
    unfed = set(tokenizer.all_special_tokens) - {
        tokenizer.bos_token, tokenizer.eos_token, tokenizer.mask_token
    }  # fmt: skip
    return min(beyond.keys() - unfed, key=lambda token: beyond[token], default=None)


def set_pad_token(tokenizer: PreTrainedTokenizerBase, rows: int) -> str:
    """Give the tokenizer a pad token if it can have any: "own", "eos" or "none" (id 0, masked)."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id < rows:
        return "own"
    if tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
        return "eos"
    tokenizer.pad_token = None  # it may be a token that the model has no row for
    return "none"


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills the masked end (or beginning) of a shorter row; 0 when there is no pad.

    Its value never matters, because the attention mask covers it.
    """
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


_FORM = re.compile(r"(\d+):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A tokenizer's map of tokens to ids; two are equal when every token has the same id."""

    size: int  # the highest id and 1; ids that no token has are counted
    sha256: str  # hex, over every id and its token, in order

    def __str__(self) -> str:
        """What `EditInfo.base_vocabulary` holds and `parsed` reads: "50257:1f0c…"."""
        return f"{self.size}:{self.sha256}"

    @classmethod
    def parsed(cls, text: str) -> "Vocabulary":
        """The vocabulary that `str` wrote. Raises `ModelError` for another text."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ModelError(
                f"a vocabulary must be its size, a colon and a sha256, got {text[:80]!r}; "
                "name the base, whose tokenizer has it"
            )
        return cls(size=int(match[1]), sha256=match[2])


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, *, below: int | None = None) -> Vocabulary:
    """The vocabulary of a tokenizer, added tokens included; of the ids under `below` alone."""
    tokens = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    chosen = [token for token in tokens if below is None or token[0] < below]
    digest = hashlib.sha256()
    for number, token in chosen:
        digest.update(f"{number} {token}\n".encode("utf-8", "surrogatepass"))
    return Vocabulary(size=chosen[-1][0] + 1 if chosen else 0, sha256=digest.hexdigest())


#: A text that a slow tokenizer's way of cutting is known by: case, accents, numbers, spaces, signs.
_PROBE = "The Nurse's  12 friends naïvely said:\n\n\tÉTUDES, 3.14 … 你好 don't <b>x</b>_y ﬁ"


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase, *, specials: bool) -> str:
    """Identity of what turns a text into ids, as a hash (hex): two alike cut every text alike.

    Of a fast tokenizer: its normalizer, pre-tokenizer and model (vocabulary, merges). Of a slow
    tokenizer, whose way is code: its class, its vocabulary and how it cuts a probe text. Padding,
    truncation and the form of its files are left out, and added tokens, which change the texts that
    hold them and no others (`added_tokens_in`). `specials`: with the special tokens that it puts
    around a text, as a masked model is asked.
    """
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        backend = tokenizer.backend_tokenizer
        parts = [_serialize(backend.normalizer), _serialize(backend.pre_tokenizer)]
        parts += [_hash_model(tokenizer)]
        parts += [_serialize(backend.post_processor)] if specials else []
    else:
        added = {int(number) for number in tokenizer.added_tokens_decoder}
        vocabulary = sorted((n, token) for token, n in tokenizer.get_vocab().items())
        cut = tokenizer.tokenize(_PROBE)
        framed = list(tokenizer.build_inputs_with_special_tokens([])) if specials else []
        words = [pair for pair in vocabulary if pair[0] not in added]
        parts = [repr((type(tokenizer).__name__, words, cut, framed)).encode()]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


@lru_cache(maxsize=4)  # half a second for the largest vocabularies
def _hash_model(tokenizer: PreTrainedTokenizerFast) -> bytes:
    return hashlib.sha256(_serialize(tokenizer.backend_tokenizer.model)).digest()


def _serialize(part: Any) -> bytes:
    """A part of a fast tokenizer as JSON, as `tokenizers` writes it."""
    return b"none" if part is None else bytes(part.__getstate__())


def added_tokens_in(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[str]:
    """The added tokens, special tokens too, that some text is cut at; sorted."""
    by_start: dict[str, dict[str, int]] = {}
    for number, token in tokenizer.added_tokens_decoder.items():
        by_start.setdefault(str(token)[:3], {})[str(token)] = number
    met: set[str] = set()
    for text in dict.fromkeys(texts):
        # thousands of tokens may begin alike (<unused17>), and nearly no text holds any
        held = {
            token: number
            for start, tokens in by_start.items()
            if start in text
            for token, number in tokens.items()
            if token in text and token not in met
        }
        if held:  # a token for whole words is no token inside of another
            (tokens,) = encode(tokenizer, [Marked(text, 0, 0)], specials=False)
            met |= {token for token, number in held.items() if number in tokens.ids}
    return sorted(met)
