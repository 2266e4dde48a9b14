"""Which characters of a text each token of a server covers, told by the tokens' texts.

Texts of tokens are matched with the text from its end and from its beginning. A token that is no
whole character, or not told, stands in a stretch whose tokens are known by their number alone; such
a stretch may lie on either side of the border that is looked for, and not across it.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from equipoise.models.tokenization import Ids, Marked, Span, Tokens, positions_inside
from equipoise.remote.wire import MOST_STARTS, UNKNOWN, UnreadableError

_LONGEST: Final = 64  # characters that a token which is not told may cover


def align(marked: Marked, texts: Sequence[str], ids: Ids | None) -> tuple[Tokens, int]:
    """The tokens of a text with their characters, and how many start tokens stood in front.

    White space that no token's text has is its next token's. Without `ids` a token's number is made
    of its text. Raises `UnreadableError` where the tokens are not those of the text.
    """
    text = marked.text
    texts = _name_first(text, texts)
    names = [*texts]  # of the tokens: a broken one is known by its place in its stretch
    spans: dict[int, Span] = {}
    count, end = _match_from_end(text, texts, spans)
    front = 0
    if end == 0:
        front = count
    elif count:
        front = _count_starts(text, texts[:count])
        first, begin = _match_from_start(text, texts, spans, front=front, stop=count)
        stretch = range(first, count)
        if not _may_cover(stretch, texts, text[begin:end]):
            raise UnreadableError(_other_tokens(text, texts))
        spans |= dict.fromkeys(stretch, (begin, end))
        for index in stretch:
            names[index] = f"{text[begin:end]}\0{index - first}"
        borders = (marked.start, marked.end)
        if any(begin < border < end for border in borders):
            raise UnreadableError(
                "does not tell the tokens around the border of what is scored, "
                f"{text[begin:end][:40]!r}"
            )
    else:
        raise UnreadableError(_other_tokens(text, texts))
    if front > MOST_STARTS:
        raise UnreadableError(f"puts {front} tokens before a text")
    kept = tuple(spans[index] for index in range(front, len(texts)))
    numbers = tuple(ids[front:]) if ids is not None else tuple(map(_number_of, names[front:]))
    inside = tuple(positions_inside(kept, marked.start, marked.end))
    return Tokens(text, numbers, kept, inside), front


def _is_whole(text: str) -> bool:
    """Whether a token's text is told, and is whole characters."""
    return bool(text) and UNKNOWN not in text


def _name_first(text: str, texts: Sequence[str]) -> Sequence[str]:
    """The tokens with the text of the first, where it is not told and what follows shows it."""
    if not texts or _is_whole(texts[0]):
        return texts
    following = "".join(takewhile(_is_whole, texts[1:]))
    size = text.find(following, 0, _LONGEST + len(following)) if following else 0
    return (text[:size], *texts[1:]) if size > 0 else texts


def _match_from_end(text: str, texts: Sequence[str], spans: dict[int, Span]) -> tuple[int, int]:
    """Tokens before those that match the text's end one by one, and the characters before them."""
    index, end = len(texts), len(text)
    while index and end and _is_whole(texts[index - 1]):
        token, last = texts[index - 1], end
        if not text.endswith(token, 0, end) and text.endswith(f"{token} ", 0, end):
            last = end - 1
            if index < len(texts):
                spans[index] = (last, spans[index][1])
        if text.endswith(token, 0, last):
            end = last - len(token)
        elif token == f" {text[:last]}":  # a space that SentencePiece puts before a text
            end = 0
        else:
            break
        index -= 1
        spans[index] = (end, last)
    return index, end


def _count_starts(text: str, texts: Sequence[str]) -> int:
    """1 where the first token is no part of the text, else 0."""
    if _is_whole(texts[0]):
        return int(not text.startswith(texts[0].lstrip()))
    return int(len(texts) > 1 and _is_whole(texts[1]) and text.startswith(texts[1].lstrip()))


def _match_from_start(
    text: str, texts: Sequence[str], spans: dict[int, Span], *, front: int, stop: int
) -> tuple[int, int]:
    """The first token, from `front` on, that does not match, and the characters before it."""
    index, begin = front, 0
    while index < stop and _is_whole(texts[index]):
        token = texts[index].removeprefix(" ") if begin == 0 else texts[index]
        first = begin
        if not text.startswith(token, begin) and text.startswith(f" {token}", begin):
            begin += 1
        if not text.startswith(token, begin):
            begin = first
            break
        begin += len(token)
        spans[index] = (first, begin)
        index += 1
    return index, begin


def _may_cover(stretch: Sequence[int], texts: Sequence[str], text: str) -> bool:
    broken = [index for index in stretch if not _is_whole(texts[index])]
    return bool(broken) and 0 < len(text) <= _LONGEST * len(stretch)


def _number_of(text: str) -> int:
    return int.from_bytes(text.encode("utf-8", "surrogatepass"), "big")


def _other_tokens(text: str, texts: Sequence[str]) -> str:
    said = "".join(texts)
    if said and (text.startswith(said) or text.endswith(said)):
        return f"cuts a text of {len(text)} characters to {len(said)}"
    return f"reads other tokens than those of the text it is sent, {said[:60]!r}"
