"""HellaSwag's validation file: a beginning and four endings, one of them real.

Zellers, Holtzman, Bisk, Farhadi & Choi 2019, https://aclanthology.org/P19-1472; MIT. The labels of
its test file are not public.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from equipoise.data.sources import Source, parse_jsonl
from equipoise.errors import DataError
from equipoise.records import JSON

LICENCE: Final = "MIT"
ENDINGS: Final = 4

_REVISION = "a29ff8e9a04bba4bd6588223785ce105328adc57"
VALIDATION: Final = Source(
    path="hellaswag/hellaswag_val.jsonl",
    url=f"https://raw.githubusercontent.com/rowanz/hellaswag/{_REVISION}/data/hellaswag_val.jsonl",
    revision=_REVISION,
    sha256=("0aa3b88843990f3f10a97b9575c94d7b71fb2205240ba04ae4884d9e9c992588",),
    licence=LICENCE,
)
#: The same rows without the parts of their beginnings and without their sources.
REDUCED: Final = Source(path="hellaswag/hellaswag_val.reconstructed.jsonl", licence=LICENCE)

_REMEDY = "mend the file, or delete it and fetch the official one"
_MARK = re.compile(r"\[.*?\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A beginning and what may follow, without the marks of the page it was taken from."""

    id: str  # "line 1": where it stands in the file
    activity: str
    beginning: str
    endings: tuple[str, ...]  # no leading space
    answer: int  # place of the real ending
    groups: Mapping[str, str] = field(default_factory=dict)


def source() -> Source:
    """The official file, or the reduced form where the user has that one alone."""
    reduced = VALIDATION.own() is None and REDUCED.own() is not None
    return REDUCED if reduced else VALIDATION


def read_stories() -> list[Story]:
    """All rows in the order of the file. Group `source` names the video or page, else the row.

    The official keys `ctx_a` and `ctx_b` make the beginning where they are, the second with a
    capital; `ctx` does otherwise. Raises `DataError` naming file and line.
    """
    file = source()
    rows = parse_jsonl(file.read(), file.path)
    return [_story(row, f"line {at}", f"{file.path}, line {at}") for at, row in rows]


def cleaned(text: str) -> str:
    """Text without the marks in square brackets; " [title]" ends a sentence.

    As lm-evaluation-harness prepares it, its single pass over double spaces included; the ends are
    stripped here once more, since a mark that is taken away leaves a space there.
    """
    text = text.strip().replace(" [title]", ". ")
    return _MARK.sub("", text).replace("  ", " ").strip()


def _story(raw: JSON, id: str, where: str) -> Story:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: must be an object, got a {type(raw).__name__}; {_REMEDY}")
    activity = _text(raw, "activity_label", where)
    endings = raw.get("endings")
    if not isinstance(endings, list) or len(endings) != ENDINGS:
        got = len(endings) if isinstance(endings, list) else type(endings).__name__
        raise DataError(f"{where}: 'endings' must be a list of {ENDINGS}, got {got}; {_REMEDY}")
    texts = tuple(_ending(ending, place, where) for place, ending in enumerate(endings))
    named = raw.get("source_id")
    return Story(
        id=id,
        activity=cleaned(activity),
        beginning=_beginning(raw, where),
        endings=texts,
        answer=_answer(raw.get("label"), where),
        groups={"source": named if isinstance(named, str) and named else id},
    )


def _beginning(raw: Mapping[str, JSON], where: str) -> str:
    if "ctx_a" not in raw:
        return cleaned(_text(raw, "ctx", where))
    second = raw.get("ctx_b", "")
    if not isinstance(second, str):
        raise DataError(f"{where}: 'ctx_b' must be a text, got {second!r}; {_REMEDY}")
    return cleaned(f"{_text(raw, 'ctx_a', where)} {second.capitalize()}")


def _ending(value: JSON, place: int, where: str) -> str:
    if not isinstance(value, str) or not cleaned(value):
        kind = type(value).__name__ if not isinstance(value, str) else repr(value)
        raise DataError(f"{where}: ending {place} must be a text, got {kind}; {_REMEDY}")
    return cleaned(value)


def _answer(value: JSON, where: str) -> int:
    """A whole number, or one spelt as a text as some copies have it."""
    if isinstance(value, bool) or str(value) not in ("0", "1", "2", "3"):
        raise DataError(f"{where}: 'label' must be 0, 1, 2 or 3, got {value!r}; {_REMEDY}")
    return int(str(value))


def _text(raw: Mapping[str, JSON], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: must have a text '{key}', got {sorted(raw)}; {_REMEDY}")
    return value
