"""A training row as an object of a JSON Lines file, or as a stretch of a text file.

    {"id": "7", "text": "The nurse is kind.", "label": "neutral", "axis": "gender"}
    {"text": "She ran because it rained.", "context": "She ran because"}
    {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "She."}]}

`context` is what the text begins with; a training may learn what follows it alone. Without an `id`
the number of its line is its id. `label` ("biased" or "neutral") says what is known of it. `axis`
and every other text become groups; other values are not read.
"""

from collections.abc import Mapping
from typing import Any, Final

from equipoise.data.validation import kind_of
from equipoise.errors import DataError, nearest
from equipoise.files.parsing import decode, parse_document
from equipoise.records import JSON
from equipoise.rows import TrainingRow, Turn

LABELS: Final = ("biased", "neutral")
ROLES: Final = ("system", "user", "assistant")
_OWN: Final = ("id", "text", "context", "messages")


def row_of_line(content: bytes, name: str, line: int) -> TrainingRow:
    """The row of an object; one without any words has `content` without words.

    `name`, `line`: of the file, for errors. Raises `DataError` naming both.
    """
    where = f"{name}, line {line}"
    document = parse_document(decode(content.rstrip(), name, first=line), name, line)
    if not isinstance(document, dict):
        raise DataError(f"{where}: a row must be an object, got {kind_of(document)}; correct it")
    given = [key for key in ("text", "messages") if document.get(key) is not None]
    if len(given) != 1:
        raise DataError(
            f"{where}: a row must have a text or messages, got {given or sorted(document)[:8]}; "
            "correct it"
        )
    text = document.get("text")
    if text is not None and not isinstance(text, str):
        raise DataError(f"{where}: text must be a text, got {kind_of(text)}; correct it")
    messages = document.get("messages")
    return TrainingRow(
        id=_id_of(document.get("id"), line, where),
        text=text or "",
        context=_context_of(document, where),
        messages=() if messages is None else _turns(messages, where),
        groups=_groups(document, where),
    )


def row_of_text(content: bytes, name: str, line: int, *, table: bool) -> TrainingRow:
    """The row of a stretch of plain text that begins at a line; of a table its first column."""
    text = decode(content, name, first=line).replace("\r\n", "\n")
    return TrainingRow(id=str(line), text=(text.split("\t")[0] if table else text).strip())


def _id_of(value: JSON, line: int, where: str) -> str:
    if value is None:
        return str(line)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise DataError(
            f"{where}: an id must be a text or a whole number, got {kind_of(value)}; correct it, "
            "or leave it out"
        )
    return str(value)


def _context_of(document: Mapping[str, JSON], where: str) -> str:
    context, text = document.get("context"), document.get("text")
    if context is None:
        return ""
    if not isinstance(context, str):
        raise DataError(f"{where}: context must be a text, got {kind_of(context)}; correct it")
    if not isinstance(text, str) or not text.startswith(context):
        raise DataError(
            f"{where}: context must be what the text begins with, got {len(context)} other "
            "characters; write them at the beginning of the text, too, or leave context out"
        )
    return context


def _turns(messages: JSON, where: str) -> tuple[Turn, ...]:
    turns = []
    for number, message in enumerate(messages if isinstance(messages, list) else [messages]):
        parts: Mapping[str, Any] = message if isinstance(message, dict) else {}
        role, said = parts.get("role"), parts.get("content")
        if not isinstance(role, str) or not isinstance(said, str):
            raise DataError(
                f"{where}: messages must be a list of objects with the texts role and content, got "
                f"{kind_of(message)} with {sorted(parts)} as number {number}; correct it"
            )
        if role not in ROLES:
            raise DataError(
                f"{where}: the role of message {number} must be one of {list(ROLES)}, got "
                f"'{role[:40]}'; {nearest(role, ROLES)}"
            )
        turns.append((role, said))
    return tuple(turns)


def _groups(document: Mapping[str, JSON], where: str) -> dict[str, str]:
    groups = {
        key: value
        for key, value in document.items()
        if key not in _OWN and isinstance(value, str) and value
    }
    label = document.get("label")
    if label is not None and label not in LABELS:
        shown = f"'{label[:40]}'" if isinstance(label, str) else kind_of(label)
        raise DataError(
            f"{where}: a label must be one of {list(LABELS)}, got {shown}; correct it, or leave it "
            "out where it is not known"
        )
    return groups
