"""BBQ's official files: a context, a question and three answers, "unknown" among them.

Parrish et al. 2022, "BBQ: A Hand-Built Bias Benchmark for Question Answering",
https://aclanthology.org/2022.findings-acl.165; CC BY 4.0.

The target of a question is the answer that shows the bias: the stereotyped group for a negative
question and the other group for a non-negative question (section 5). It is read from the official
metadata file, whose `target_loc` has the non-negative questions turned round already since its
correction of July 2022; without that file it follows from the words and groups of the answers
(`bbq_targets`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le
from pydantic import field_validator

from equipoise.data.bbq_targets import NamedPeople, marked_unknown, ruled_targets
from equipoise.data.hub_forms import bbq_question
from equipoise.data.sources import OWN_LICENCE, REMEDY, Source, data_folders, read_table
from equipoise.data.validation import Number, Record, Text, read_record, refuse_repeated
from equipoise.errors import DataError, nearest
from equipoise.files.rows import ENDINGS, read_rows

LICENCE: Final = "CC BY 4.0"
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


def _official(path: str, official: str, sha256: str) -> Source:
    revision = "bea11bd97d79217245b5871acd247b9d6eb24598"
    url = f"https://raw.githubusercontent.com/nyu-mll/BBQ/{revision}/{official}"
    return Source(path, url=url, hashes=(sha256,), licence=LICENCE, endings=ENDINGS)


METADATA: Final = _official(
    "bbq/additional_metadata.csv",
    "analysis_scripts/additional_metadata.csv",
    "f36708416b0e7adb81b47ad1926f9c39c2beb611702b73b01e06c9b6c9ffbd3d",
)

_FIRST_NAME = 26  # templates of a category number up to 25 with labels, from 26 with names


@dataclass(frozen=True, slots=True, kw_only=True)
class BbqItem:
    """A question about two people, and which of its answers means what.

    Places count the answers from 0. `groups` has the category (with " (names)" where people go by
    proper names), the context's condition, the question's polarity and template, and the target: of
    whom the stereotype is told, where an answer names them.
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
    cleaned: bool = False  # whether a brace that its template left was taken out of the context
    about: tuple[str, ...] = ()  # the group of each answer, by `answer_info`
    stereotyped: tuple[str, ...] = ()  # groups or words of whom the stereotype is told
    others: tuple[
        "BbqItem", ...
    ] = ()  # the same with other groups in the stereotyped group's place

    @property
    def named(self) -> bool:
        """Whether people go by proper names."""
        return self.groups["category"] != self.category

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
    """The official file of a category, or that of the user's own category.

    Raises `DataError` for a category that is neither official nor in a data folder.
    """
    if category not in CATEGORIES:
        other = Source(f"bbq/{category}.jsonl", licence=OWN_LICENCE, endings=ENDINGS)
        if other.local_file() is None:
            known = nearest(category, {*CATEGORIES, *at_hand()})
            raise DataError(f"bbq: '{category}' is no category, nor {other.path} a file; {known}")
        return other
    return _official(f"bbq/{category}.jsonl", f"data/{category}.jsonl", _SHA256[category])


def at_hand() -> tuple[str, ...]:
    """The categories whose file is in the user's own folder; all eleven when none is.

    The official categories first, then others that have a file beside them.
    """
    present = [name for name in CATEGORIES if source(name).local_file() is not None]
    files = [file for folder in data_folders() for file in sorted((folder / "bbq").glob("*"))]
    # hidden are those that a system keeps beside others, such as "._Age.jsonl"
    visible = (file for file in files if not file.name.startswith("."))
    others = {file.stem: None for file in visible if file.suffix in ENDINGS}
    present += [
        name for name in others if name not in (*present, PurePosixPath(METADATA.path).stem)
    ]
    return tuple(present) or CATEGORIES


def sources(categories: Sequence[str]) -> tuple[Source, ...]:
    """The files behind some categories.

    Beside official categories the metadata file is among them when it is in the user's own folder,
    or when a category is downloaded, for then it can be had the same way. Without it the rule finds
    the targets, and so it does for categories of the user's own, which are not in it.
    """
    files = tuple(source(category) for category in categories)
    if not set(categories) & set(CATEGORIES):
        return files
    fetched = [file for file in files if file.local_file() is None]
    # `bbq_package` puts the categories there without it
    cached = all(file.cached_file().is_file() for file in fetched)
    whole = METADATA.local_file() is not None or (
        fetched and (not cached or METADATA.cached_file().is_file())
    )
    return (*files, METADATA) if whole else files


def read_items(categories: Sequence[str]) -> list[BbqItem]:
    """All examples of some categories, in the order of the files; also as the Hub has them.

    Raises `DataError` naming file and line where a row is not as the official format has it, and
    for a metadata file that lacks an example, or is from before its correction.
    """
    files = {category: source(category).read() for category in categories}
    items = [
        item for category, content in files.items() for item in _read_category(category, content)
    ]
    return _follow_metadata(items) if METADATA in sources(categories) else items


def note_targets(categories: Sequence[str]) -> list[str]:
    """Where the targets of the official categories come from, and of the user's own."""
    by_rule = "targets: by the words and groups of answer_info"
    others = [category for category in categories if category not in CATEGORIES]
    if METADATA in sources(categories):
        more = [f"{by_rule} in {', '.join(others)}"] if others else []
        return [f"targets: {METADATA.path}", *more]
    only_others = len(others) == len(categories)
    return [by_rule if only_others else f"{by_rule}, for want of {METADATA.path}"]


class _AnswerInfo(Record):
    """Word and group of each answer; some official rows are silent on some."""

    ans0: list[str]
    ans1: list[str]
    ans2: list[str]


class _Metadata(Record):
    stereotyped_groups: list[str] | None = None


class BbqRow(Record):
    """A line of an official file."""

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


@lru_cache(maxsize=len(CATEGORIES))  # a measurement asks for the same bytes several times
def _read_category(category: str, content: bytes) -> tuple[BbqItem, ...]:
    """A category's examples, with the targets of the rule."""
    name = source(category).use().name
    lines = [
        (read.where, read_record(BbqRow, bbq_question(read, category), read.where))
        for read in read_rows(content, name)
    ]
    items = build_items([row for _, row in lines])
    for (where, row), item in zip(lines, items, strict=True):
        if row.category != category:
            raise DataError(
                f"{where}: category must be '{category}', got '{row.category}'; {REMEDY}"
            )
        if item.unknown is not None and item.ambiguous != (item.label == item.unknown):
            must = "the unknown answer" if item.ambiguous else "a person"
            raise DataError(
                f"{where}: the label of a question with {row.context_condition} context must be "
                f"{must}, got answer {item.label}; {REMEDY}"
            )
    refuse_repeated((item.id for item in items), f"{name}: example")
    return tuple(items)


def build_items(rows: Sequence[BbqRow]) -> list[BbqItem]:
    """The items of a category's rows, with the targets of the rule, which looks at all of them."""
    people = [_read_people(row) for row in rows]
    targets = ruled_targets(people)
    return [
        _build_item(row, who, target)
        for row, who, target in zip(rows, people, targets, strict=True)
    ]


def _read_people(row: BbqRow) -> NamedPeople:
    """Whom a row's answers name, and which is "unknown", by its `answer_info`."""
    info = [("", "")] * 3  # word and group of each answer
    if row.answer_info is not None:
        said: list[list[str]] = [texts for _, texts in row.answer_info]
        info = [(texts[0] if texts else "", texts[-1] if texts[1:] else "") for texts in said]
    unknown = marked_unknown(info)
    if row.answer_info is None and row.context_condition == "ambig":
        unknown = row.label  # nobody can know, so that the right answer says so
    metadata = row.additional_metadata
    return NamedPeople(
        template=row.question_index,
        negative=row.question_polarity == "neg",
        info=tuple(info),
        texts=(row.ans0, row.ans1, row.ans2),
        unknown=unknown,
        stereotyped=tuple((metadata and metadata.stereotyped_groups) or ()),
    )


def _build_item(row: BbqRow, people: NamedPeople, target: int | None) -> BbqItem:
    number = row.question_index
    # The authors' own script tells names from labels by the number, but in the two categories of
    # two attributes, whose labels say the race: "the Black man".
    names = number.isdigit() and int(number) >= _FIRST_NAME
    if row.category not in CATEGORIES:
        names = False  # templates are numbered so in the official files alone
    elif "_x_" in row.category:
        names = not people.say_race()
    context = without_braces(row.context)
    return BbqItem(
        id=f"{row.category}/{row.example_id}",
        category=row.category,
        context=context,
        question=row.question,
        answers=tuple(_strip_braces(answer) for answer in people.texts),
        words=tuple(_strip_braces(word) for word, _ in people.info),
        label=row.label,
        unknown=people.unknown,
        target=target,
        ruled=target,
        groups={
            "category": _category_name(row.category, names=names),
            "condition": row.context_condition,
            "polarity": row.question_polarity,
            "question": f"{row.category}/{row.question_index}",
            **_name_target(people),
        },
        cleaned=context != row.context,
        about=tuple(group for _, group in people.info),
        stereotyped=people.stereotyped,
    )


def _name_target(people: NamedPeople) -> dict[str, str]:
    """Of whom the stereotype is told, as the file calls them, where an answer names them."""
    told_of = {group.casefold() for group in people.stereotyped}
    named = [group for _, group in people.info] + [word for word, _ in people.info]
    return next(({"target": name} for name in named if name.casefold() in told_of), {})


def _category_name(category: str, *, names: bool) -> str:
    """As the published script calls it: people by proper names are a category of their own."""
    return f"{category} (names)" if names else category


def without_braces(context: str) -> str:
    """Without a brace that a template left in a context; a brace with its partner is text."""
    if context.count("{") == context.count("}"):
        return context
    return context.replace("{", "").replace("}", "")


def _strip_braces(answer: str) -> str:
    """Without the braces that templates left in some official answers."""
    return answer.replace("{", "").replace("}", "").strip()


def _follow_metadata(items: Sequence[BbqItem]) -> list[BbqItem]:
    """The items with what the metadata file says of them in place of the rule."""
    columns = ("category", "question_index", "example_id", "target_loc", "label_type")
    targets: dict[str, tuple[int | None, bool]] = {}  # place, if any; whether people have names
    for row in read_table(METADATA, columns):
        key = "/".join(row.values[column] for column in columns[:3])
        place = row.choice("target_loc", ("0", "1", "2", "NA", ""))
        names = row.choice("label_type", ("label", "name")) == "name"
        target = (int(place) if place.isdigit() else None, names)
        if targets.setdefault(key, target) != target:  # some rows are there twice, and equal
            raise DataError(
                f"{row.where}: example {key} must have the same target in every row, "
                f"got {target[0]} and {targets[key][0]}; fetch the official file again"
            )
    followed = []
    for item in items:
        if item.category not in CATEGORIES:
            followed.append(item)
            continue
        question, number = item.groups["question"], item.id.partition("/")[2]
        if f"{question}/{number}" not in targets:
            raise DataError(
                f"{METADATA.path} must have a row for example '{item.id}' of question "
                f"{question.partition('/')[2]}, got none; fetch both files again"
            )
        target_place, names = targets[f"{question}/{number}"]
        if target_place is not None and target_place == item.unknown:
            raise DataError(
                f"{METADATA.path}: the target of '{item.id}' must be a person, got the "
                f"unknown answer {target_place}; fetch both files again"
            )
        category = _category_name(item.category, names=names)
        groups = {**item.groups, "category": category}
        followed.append(replace(item, target=target_place, groups=groups))
    # Before its correction the file turned no non-negative question; the rule turns them all.
    turned = [
        item
        for item in followed
        if item.groups["polarity"] == "nonneg" and None not in (item.target, item.ruled)
    ]
    differing = [item.id for item in turned if item.target != item.ruled]
    if 2 * len(differing) > len(turned):
        raise DataError(
            f"{METADATA.path}: target_loc must name the other group for non-negative questions, "
            f"got the stereotyped group in {len(differing)} of {len(turned)}, the first is "
            f"'{differing[0]}'; take the file as corrected in July 2022"
        )
    return followed
