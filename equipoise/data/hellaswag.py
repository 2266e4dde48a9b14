"""HellaSwag's validation file: a beginning and four endings, of which only 1 is real.

Zellers, Holtzman, Bisk, Farhadi & Choi 2019, https://aclanthology.org/P19-1472; MIT. The labels of
its test file are not public.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal, Self, TypeAlias, get_args

from annotated_types import Len
from pydantic import AfterValidator, BeforeValidator, model_validator

from equipoise.data.documents import read_content
from equipoise.data.sources import Source
from equipoise.data.validation import Record, Text, read_lines, refuse_blank
from equipoise.files.parsing import unpack
from equipoise.records import DataUse

LICENCE: Final = "MIT"

VALIDATION: Final = Source(
    path="hellaswag/hellaswag_val.jsonl",
    url="https://raw.githubusercontent.com/rowanz/hellaswag/a29ff8e9a04bba4bd6588223785ce105328adc57/data/hellaswag_val.jsonl",
    hashes=("0aa3b88843990f3f10a97b9575c94d7b71fb2205240ba04ae4884d9e9c992588",),
    licence=LICENCE,
)
#: The same rows without the parts of their beginnings and without their sources.
REDUCED: Final = Source(path="hellaswag/hellaswag_val.reconstructed.jsonl", licence=LICENCE)

#: Where rows are from: captions of videos, or pages of instructions.
Origin: TypeAlias = Literal["activitynet", "wikihow"]
ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)

#: Activity labels of WikiHow's rows, which are its categories; ActivityNet has none of them.
_WIKIHOW: Final = frozenset(
    {
        "Cars & Other Vehicles",
        "Computers and Electronics",
        "Education and Communications",
        "Family Life",
        "Finance and Business",
        "Food and Entertaining",
        "Health",
        "Holidays and Traditions",
        "Home and Garden",
        "Home,Categories",
        "Personal Care and Style",
        "Pets and Animals",
        "Philosophy and Religion",
        "Relationships",
        "Sports and Fitness",
        "Travel",
        "Uncategorized",
        "Work World",
        "Youth",
    }
)
_MARK = re.compile(r"\[.*?\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A beginning and what may follow, without the marks of the page it was taken from.

    Unless it was read with marks.
    """

    id: str  # "line 1": where it stands in the file
    activity: str
    beginning: str
    endings: tuple[str, ...]  # no leading space
    answer: int  # place of the real ending
    groups: Mapping[str, str] = field(default_factory=dict)
    split: str = ""  # "train", "val" or "test"; "": the file does not say
    source_id: str = ""  # "activitynet~v_…" or "wikihow~…"; "": the file does not say

    @property
    def text(self) -> str:
        """The beginning and the real ending."""
        return f"{self.beginning} {self.endings[self.answer]}"

    @property
    def origin(self) -> Origin | None:
        """By its source, or by the label of its activity in a file without sources; None: neither.

        The reduced file's rows are told apart so: 3,243 of ActivityNet, 6,799 of WikiHow.
        """
        if not self.source_id:
            return "wikihow" if self.activity in _WIKIHOW else "activitynet"
        named = self.source_id.partition("~")[0]
        return next((origin for origin in ORIGINS if origin == named), None)


def source() -> Source:
    """The official file, or the reduced form where the user has only that."""
    reduced = VALIDATION.local_file() is None and REDUCED.local_file() is not None
    return REDUCED if reduced else VALIDATION


def read_stories(path: str | None = None, *, marks: bool = False) -> list[Story]:
    """All rows in the order of the file. Group `source` names the video or page, else the row.

    Group `origin` is `Story.origin`; a row of neither has none.
    `path`: of another file of either form; None: that of `source`. `marks`: with the marks in
    square brackets. The official keys `ctx_a` and `ctx_b` make the beginning where they are, the
    second with a capital; `ctx` does otherwise. Raises `DataError` naming file and line.
    """
    content, use = _content(path)
    rows = read_lines(_Row, content, use.name)
    form = str.strip if marks else cleaned
    stories = [
        Story(
            id=f"line {line}",
            activity=cleaned(row.activity_label),
            beginning=form(row.beginning),
            endings=tuple(map(form, row.endings)),
            answer=int(row.label),
            groups={"source": row.source_id or f"line {line}"},
            split=row.split,
            source_id=row.source_id,
        )
        for line, row in rows
    ]
    return [
        replace(story, groups={**story.groups, "origin": story.origin}) if story.origin else story
        for story in stories
    ]


def file_use(path: str | None = None) -> DataUse:
    """What a result records about the file that `read_stories` reads; same errors."""
    return _content(path)[1]


def _content(path: str | None) -> tuple[bytes, DataUse]:
    if path is None:
        file = source()
        return file.read(), file.use()
    content, use = read_content(path)
    return unpack(content, use.name), use


def cleaned(text: str) -> str:
    """Text without the marks in square brackets; " [title]" ends a sentence.

    As lm-evaluation-harness prepares it, its single pass over double spaces included; the ends are
    stripped here once more, since a mark that is taken away leaves a space there.
    """
    text = text.strip()
    if "[" in text:
        text = _MARK.sub("", text.replace(" [title]", ". "))
    return text.replace("  ", " ").strip()


def _refuse_bare(text: str) -> str:
    """The text. Raises `ValueError` where it is nothing but marks and white space."""
    refuse_blank(cleaned(text))
    return text


class _Row(Record):
    """A row of either form of the file."""

    activity_label: Text
    ctx_a: Text | None = None
    ctx_b: str = ""
    ctx: Text | None = None
    endings: Annotated[list[Annotated[str, AfterValidator(_refuse_bare)]], Len(4, 4)]
    label: Annotated[Literal["0", "1", "2", "3"], BeforeValidator(str)]  # some copies have texts
    source_id: str = ""
    split: str = ""

    @model_validator(mode="after")
    def _has_a_beginning(self) -> Self:
        if self.ctx_a is None and self.ctx is None:
            raise ValueError(f"must have a text 'ctx', or 'ctx_a' and 'ctx_b', got {self.ctx}")
        return self

    @property
    def beginning(self) -> str:
        if self.ctx_a is None:
            return self.ctx or ""
        # `capitalize` also lowers the rest of `ctx_b`, as lm-evaluation-harness does.
        return f"{self.ctx_a} {self.ctx_b.capitalize()}"
