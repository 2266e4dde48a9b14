"""Bytes of a file as text, as JSON or unpacked: strictly, naming the place of a fault."""

import gzip
import json
import lzma
import re
import zlib
from collections import Counter
from typing import Final

from equipoise.errors import DataError
from equipoise.records import JSON

_PAIR: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def decode(content: bytes, name: str, *, first: int = 1) -> str:
    """Bytes as UTF-8 text without a byte-order mark; `DataError` names the line at fault.

    `first`: the number of the first line, of a part of a file.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + first
        raise DataError(
            f"{name}, line {line}: text must be UTF-8, got byte 0x{content[error.start]:02x}; "
            "save the file as UTF-8"
        ) from None


def parse_json(content: bytes, name: str) -> JSON:
    """Bytes as a JSON document; `DataError` names the position of the fault."""
    return parse_document(decode(content, name), name)


def parse_jsonl(content: bytes, name: str) -> list[tuple[int, JSON]]:
    """Bytes as a JSON document per line, each with its line's number from 1; no blank lines.

    Raises `DataError` naming the line of the fault.
    """
    # Not `splitlines`, which also cuts at U+2028 and its like, and JSON allows these within a text.
    lines = decode(content, name).split("\n")
    documents = [
        (index, parse_document(line, name, index))
        for index, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not documents:
        raise DataError(f"{name} must hold JSON lines, got none; replace the file")
    return documents


def unpack(content: bytes, name: str) -> bytes:
    """Bytes as they are, or what they hold packed by gzip or xz; `DataError` when it is damaged."""
    try:
        if content[:2] == b"\x1f\x8b":
            return gzip.decompress(content)
        return lzma.decompress(content) if content[:6] == b"\xfd7zXZ\0" else content
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name} cannot be unpacked: {error}; replace the file") from None


class _RepeatedKeyError(Exception):
    """A key that an object has twice, of which JSON's parser would silently keep the last."""


def _build_object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _RepeatedKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0][:60])
    return document


def parse_document(text: str, name: str, line: int | None = None) -> JSON:
    """A text as a JSON document; `DataError` names the file, and the line of it that it is."""
    try:
        document: JSON = json.loads(text, object_pairs_hook=_build_object)
    except _RepeatedKeyError as error:
        where = name if line is None else f"{name}, line {line}"
        raise DataError(
            f"{where}: an object must have each key once, got '{error}' twice; rename one"
        ) from None
    except RecursionError:
        raise DataError(
            f"{name} must be JSON without so many brackets in brackets, got '{text[:20]}…'; "
            "replace the file"
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {line or error.lineno}, column {error.colno}"
        raise DataError(
            f"{name}, {where}: must be JSON, got '{error.msg}'; the file may be cut short, "
            "replace it"
        ) from None
    # JSON may spell half of a character, as in "\ud800", which no tokenizer takes. A spelt
    # backslash begins no escape.
    half = _HALF.search(_PAIR.sub("", text.replace("\\\\", "")))
    if half:
        where = name if line is None else f"{name}, line {line}"
        raise DataError(
            f"{where}: must hold whole characters, got the lone surrogate {half.group()}; "
            "replace the file"
        )
    return document
