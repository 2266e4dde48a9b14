"""HellaSwag's validation file: a beginning and four endings, of which only 1 is real.

Zellers, Holtzman, Bisk, Farhadi & Choi 2019, https://aclanthology.org/P19-1472; MIT. The labels of
its test file are not public.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, model_validator

from equipoise.data.sources import Source
from equipoise.data.validation import Record, Text, read_lines, refuse_blank

LICENCE: Final = "MIT"

VALIDATION: Final = Source(
    path="hellaswag/hellaswag_val.jsonl",
    url="https://raw.githubusercontent.com/rowanz/hellaswag/a29ff8e9a04bba4bd6588223785ce105328adc57/data/hellaswag_val.jsonl",
    hashes=("0aa3b88843990f3f10a97b9575c94d7b71fb2205240ba04ae4884d9e9c992588",),
    licence=LICENCE,
)
#: The same rows without the parts of their beginnings and without their sources.
REDUCED: Final = Source(path="hellaswag/hellaswag_val.reconstructed.jsonl", licence=LICENCE)

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
    """The official file, or the reduced form where the user has only that."""
    reduced = VALIDATION.local_file() is None and REDUCED.local_file() is not None
    return REDUCED if reduced else VALIDATION


def read_stories() -> list[Story]:
    """All rows in the order of the file. Group `source` names the video or page, else the row.

    The official keys `ctx_a` and `ctx_b` make the beginning where they are, the second with a
    capital; `ctx` does otherwise. Raises `DataError` naming file and line.
    """
    file = source()
    return [
        Story(
            id=f"line {line}",
            activity=cleaned(row.activity_label),
            beginning=row.beginning,
            endings=tuple(row.endings),
            answer=int(row.label),
            groups={"source": row.source_id or f"line {line}"},
        )
        for line, row in read_lines(_Row, file.read(), file.path)
    ]


def cleaned(text: str) -> str:
    """Text without the marks in square brackets; " [title]" ends a sentence.

    As lm-evaluation-harness prepares it, its single pass over double spaces included; the ends are
    stripped here once more, since a mark that is taken away leaves a space there.
    """
    text = text.strip().replace(" [title]", ". ")
    return _MARK.sub("", text).replace("  ", " ").strip()


class _Row(Record):
    """A row of either form of the file."""

    activity_label: Text
    ctx_a: Text | None = None
    ctx_b: str = ""
    ctx: Text | None = None
    endings: Annotated[
        list[Annotated[str, AfterValidator(cleaned), AfterValidator(refuse_blank)]], Len(4, 4)
    ]
    label: Annotated[Literal["0", "1", "2", "3"], BeforeValidator(str)]  # some copies have texts
    source_id: str = ""

    @model_validator(mode="after")
    def _has_a_beginning(self) -> Self:
        if self.ctx_a is None and self.ctx is None:
            raise ValueError(f"must have a text 'ctx', or 'ctx_a' and 'ctx_b', got {self.ctx}")
        return self

    @property
    def beginning(self) -> str:
        if self.ctx_a is None:
            return cleaned(self.ctx or "")
        # `capitalize` also lowers the rest of `ctx_b`, as lm-evaluation-harness does.
        return cleaned(f"{self.ctx_a} {self.ctx_b.capitalize()}")
