"""BBQ's official files: a context, a question and three answers, "unknown" among them.

Parrish et al. 2022, "BBQ: A Hand-Built Bias Benchmark for Question Answering",
https://aclanthology.org/2022.findings-acl.165; CC BY 4.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le
from pydantic import field_validator

from equipoise.data.bbq_targets import (
    LICENCE,
    METADATA,
    REVISION,
    Info,
    Target,
    check_turned,
    has_names,
    read_targets,
    ruled_target,
    unknown_place,
)
from equipoise.data.sources import REMEDY, Source
from equipoise.data.validation import Number, Record, Text, read_lines, refuse_repeated
from equipoise.errors import DataError

ANSWERS: Final = ("ans0", "ans1", "ans2")
CONDITIONS: Final = ("ambig", "disambig")
POLARITIES: Final = ("neg", "nonneg")
#: Category to the sha256 of its official file.
_SHA256: Final[Mapping[str, str]] = {
    "Age": "46e805b3fc2d8cbd26eeb8e8430d98cf7b2dc9c83574ff3674e8ce4f0fca2a60",
    "Disability_status": "375d40d9b71f056150264445ec189b13934998f3f49a1e311aa7578eb3b45e5f",
    "Gender_identity": "8b5adbb368510a97d5775dc43e1c719e0249fe2da33f13c83e3e29edafec7a00",
    "Nationality": "a583e74666aec0341ded8aa3983e7cad694eb24de72c254d28b2df3035720090",
    "Physical_appearance": "e48d7e13508565f4801574e611043470c25c95a0a62af3699cb5ee7cb02608fb",
    "Race_ethnicity": "4a9f1214cfaa115ce7f0bdb40609122e431f5152c71b8ca64d665e483b946ae6",
    "Race_x_SES": "af8e2ae3d0e5be9ebcbfe7149e591d47ff649e263307f4548f7fb12f6a6d83e8",
    "Race_x_gender": "e5dbba782f8c4e25b99dd5470b5136e2db73dbf401cf6d4a5a3ed31b02f95696",
    "Religion": "cb9555f9f3454a52cd2df85956b59bd7fcca5aa922c8527693b1164d08417616",
    "SES": "9f92754bb037b0982604b9112705fb81d60a19d9e759c67e4a85e484a070f528",
    "Sexual_orientation": "2c71036b9e7584fe589c42aef32c1a42bc01b9a5e9b1b8704342630cdb08cefd",
}
CATEGORIES: Final = tuple(_SHA256)


@dataclass(frozen=True, slots=True, kw_only=True)
class BbqItem:
    """One question about two people, and which of its answers means what.

    Places count the answers from 0. `groups` has the category (with " (names)" where people go by
    proper names), the context's condition, the question's polarity and its template.
    """

    id: str  # "Age/17": category and the file's own id
    category: str  # the file's
    context: str
    question: str
    answers: tuple[str, ...]  # three
    words: tuple[str, ...]  # whom each answer names, by `answer_info`; "" where it is silent
    label: int  # place of the right answer
    unknown: int | None  # place of the answer that nobody can know; None: the file does not say
    target: int | None  # place of the answer that shows the bias; None: not known
    ruled: int | None  # the same by the rule alone, to be held against the metadata file
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def ambiguous(self) -> bool:
        """Whether the context leaves the answer open, so that "unknown" is right."""
        return self.groups["condition"] == "ambig"

    def lean(self, place: int | None) -> float:
        """1 for the answer that shows the bias, -1 for the other group, 0 for "unknown".

        nan for no answer, and where the file does not say which answer is which.
        """
        if place is None or self.unknown is None or self.target is None:
            return float("nan")
        return 0.0 if place == self.unknown else 1.0 if place == self.target else -1.0


def source(category: str) -> Source:
    """The official file of a category."""
    return Source(
        f"bbq/{category}.jsonl",
        url=f"https://raw.githubusercontent.com/nyu-mll/BBQ/{REVISION}/data/{category}.jsonl",
        revision=REVISION,
        sha256=(_SHA256[category],),
        licence=LICENCE,
    )


def at_hand() -> tuple[str, ...]:
    """The categories whose file is in the user's own folder; all eleven when none is."""
    present = tuple(name for name in CATEGORIES if source(name).local_file() is not None)
    return present or CATEGORIES


def sources(categories: Sequence[str]) -> tuple[Source, ...]:
    """The files behind some categories.

    The metadata file is among them when it is in the user's own folder, or when a category is
    downloaded, for then it can be had the same way. Without it the rule finds the targets.
    """
    files = tuple(source(category) for category in categories)
    whole = METADATA.local_file() is not None or any(file.local_file() is None for file in files)
    return (*files, METADATA) if whole else files


def read_items(categories: Sequence[str]) -> list[BbqItem]:
    """All examples of some categories, in the order of the files.

    Raises `DataError` naming file and line where a row is not as the official format has it, and
    for a metadata file that lacks an example, or is from before its correction.
    """
    files = {category: source(category).read() for category in categories}
    items = [
        item for category, content in files.items() for item in _read_category(category, content)
    ]
    if METADATA not in sources(categories):
        return items
    targets = read_targets()
    items = [_with_metadata_target(item, targets) for item in items]
    check_turned(
        {
            item.id: (item.target, item.ruled)
            for item in items
            if item.groups["polarity"] == "nonneg" and None not in (item.target, item.ruled)
        }
    )
    return items


@lru_cache(maxsize=len(CATEGORIES))  # a measurement asks for the same bytes several times
def _read_category(category: str, content: bytes) -> tuple[BbqItem, ...]:
    """A category's examples, with the targets of the rule."""
    name = source(category).path
    items = tuple(
        _build_item(row, category, f"{name}, line {line}")
        for line, row in read_lines(_Row, content, name)
    )
    refuse_repeated((item.id for item in items), f"{name}: example")
    return items


def _build_item(row: "_Row", category: str, where: str) -> BbqItem:
    if row.category != category:
        raise DataError(f"{where}: category must be '{category}', got '{row.category}'; {REMEDY}")
    info, negative = row.info, row.question_polarity == "neg"
    target = ruled_target(info, row.stereotyped, negative=negative)
    item = BbqItem(
        id=f"{category}/{row.example_id}",
        category=category,
        context=row.context,
        question=row.question,
        answers=tuple(map(_without_braces, (row.ans0, row.ans1, row.ans2))),
        words=tuple(_without_braces(word) for word, _ in info or (("", ""),) * len(ANSWERS)),
        label=row.label,
        unknown=row.unknown,
        target=target,
        ruled=target,
        groups={
            "category": _category_name(category, names=has_names(category, row.question_index)),
            "condition": row.context_condition,
            "polarity": row.question_polarity,
            "question": f"{category}/{row.question_index}",
        },
    )
    if item.unknown is not None and item.ambiguous != (item.label == item.unknown):
        must = "the unknown answer" if item.ambiguous else "a person"
        raise DataError(
            f"{where}: the label of a question with {row.context_condition} context must be "
            f"{must}, got answer {item.label}; {REMEDY}"
        )
    return item


def _with_metadata_target(item: BbqItem, targets: Mapping[tuple[str, str, str], Target]) -> BbqItem:
    """The item with what the metadata file says of it in place of the rule."""
    question, number = (text.partition("/")[2] for text in (item.groups["question"], item.id))
    known = targets.get((item.category, question, number))
    if known is None:
        raise DataError(
            f"{METADATA.path} must have a row for example '{item.id}' of question {question}, "
            "got none; fetch both files again"
        )
    if known.place is not None and known.place == item.unknown:
        raise DataError(
            f"{METADATA.path}: the target of '{item.id}' must be a person, got the "
            f"unknown answer {known.place}; fetch both files again"
        )
    category = _category_name(item.category, names=known.name)
    return replace(item, target=known.place, groups={**item.groups, "category": category})


def _category_name(category: str, *, names: bool) -> str:
    """As the published script calls it: people by proper names are a category of their own."""
    return f"{category} (names)" if names else category


def _without_braces(answer: str) -> str:
    """Without the braces that templates left in some official answers."""
    return answer.replace("{", "").replace("}", "").strip()


# --- the official format ------------------------------------------------------------------------


class _Metadata(Record):
    stereotyped_groups: list[str] | None = None


class _AnswerInfo(Record):
    """Word and group of each answer; some official rows are silent on some."""

    ans0: list[str]
    ans1: list[str]
    ans2: list[str]


class _Row(Record):
    example_id: Number
    question_index: Number
    question_polarity: Literal["neg", "nonneg"]
    context_condition: Literal["ambig", "disambig"]
    category: Text
    answer_info: _AnswerInfo | None = None
    additional_metadata: _Metadata | None = None
    context: Text
    question: Text
    ans0: Text
    ans1: Text
    ans2: Text
    label: Annotated[int, Ge(0), Le(2)]

    @field_validator("answer_info", mode="before")
    @classmethod
    def _empty_is_missing(cls, given: object) -> object:
        return None if given == {} else given

    @property
    def info(self) -> Info | None:
        """Word and group of each answer; None for a row without `answer_info`."""
        if self.answer_info is None:
            return None
        named = (self.answer_info.ans0, self.answer_info.ans1, self.answer_info.ans2)
        return tuple(
            (texts[0] if texts else "", texts[-1] if len(texts) > 1 else "") for texts in named
        )

    @property
    def stereotyped(self) -> list[str]:
        """The groups that the question's stereotype is about; empty where the row has none."""
        return (self.additional_metadata and self.additional_metadata.stereotyped_groups) or []

    @property
    def unknown(self) -> int | None:
        """By `answer_info`; without it an ambiguous context's right answer is it."""
        place = unknown_place(self.info)
        if place is None and self.answer_info is None and self.context_condition == "ambig":
            return self.label
        return place
