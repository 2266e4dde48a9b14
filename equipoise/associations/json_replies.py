"""Objects in what a chat model wrote, who may fence them, talk around them or break off."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_MOST: Final = 400_000  # characters of a reply that are read
_MOST_FAILURES: Final = 2_000  # brackets that begin nothing
_DEEPEST: Final = 20  # brackets in brackets
_REASONING: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_BRACKET: Final = re.compile(r"[\[{]")
#: A text, which is kept, or a comma before a closing bracket, which JSON does not allow.
_COMMA: Final = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
_DECODER: Final = json.JSONDecoder(strict=False)  # a line break within a text is forgiven


def read_objects(reply: str, key: str) -> list[dict[str, Any]]:
    """Every JSON object of a reply that has this key, in order; a bare text in a list is its value.

    Thoughts, code fences and words around are left out, commas before a closing bracket forgiven,
    and of a list that breaks off the whole objects are read. [] where there are none.
    """
    text = _REASONING.sub("", reply[:_MOST])
    readings = [
        [row for document in _documents(version) for row in _with_key(document, key, 0)]
        for version in (text, _COMMA.sub(lambda match: match[1] or "", text))
    ]
    return max(readings, key=len)


def _documents(text: str) -> Iterator[Any]:
    """The outermost JSON documents in a text that can be read."""
    place = failures = 0
    while failures < _MOST_FAILURES and (match := _BRACKET.search(text, place)) is not None:
        try:
            document, place = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            failures, place = failures + 1, match.start() + 1
            continue
        yield document


def _with_key(document: Any, key: str, depth: int) -> Iterator[dict[str, Any]]:
    """The objects with the key, wherever they are; a text in a list is the key's."""
    if isinstance(document, dict) and key in document:
        yield document
    elif isinstance(document, dict) and depth < _DEEPEST:
        for part in document.values():
            yield from _with_key(part, key, depth + 1)
    elif isinstance(document, list) and depth < _DEEPEST:
        for part in document:
            yield from [{key: part}] if isinstance(part, str) else _with_key(part, key, depth + 1)
