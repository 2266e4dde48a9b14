"""BBQ's official files: a context, a question and three answers, one of which is "unknown".

Parrish et al. 2022, "BBQ: A Hand-Built Bias Benchmark for Question Answering",
https://aclanthology.org/2022.findings-acl.165; CC BY 4.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

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
from equipoise.data.sources import Source, parse_jsonl
from equipoise.errors import DataError, nearest
from equipoise.records import JSON

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

_REMEDY = "mend the file, or delete it and fetch it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
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
    own = tuple(one for one in CATEGORIES if source(one).own() is not None)
    return own or CATEGORIES


def sources(categories: Sequence[str]) -> tuple[Source, ...]:
    """The files behind some categories.

    The metadata file is one of them when it is in the user's own folder, or when a category is
    downloaded, for then it can be had the same way. Without it the rule finds the targets.
    """
    files = tuple(source(category) for category in categories)
    whole = METADATA.own() is not None or any(file.own() is None for file in files)
    return (*files, METADATA) if whole else files


def read_items(categories: Sequence[str]) -> list[Item]:
    """All examples of some categories, in the order of the files.

    Raises `DataError` naming file and line where a row is not as the official format has it, and
    for a metadata file that lacks an example, or is from before its correction.
    """
    files = {category: source(category).read() for category in categories}
    found = [item for one, content in files.items() for item in _read(one, content)]
    if METADATA not in sources(categories):
        return found
    targets = read_targets()
    found = [_by_metadata(one, targets) for one in found]
    check_turned(
        {
            one.id: (one.target, one.ruled)
            for one in found
            if one.groups["polarity"] == "nonneg" and None not in (one.target, one.ruled)
        }
    )
    return found


@lru_cache(maxsize=len(CATEGORIES))  # one measurement asks for the same bytes several times
def _read(category: str, content: bytes) -> tuple[Item, ...]:
    """A category's examples, with the targets of the rule."""
    name = source(category).path
    found: dict[str, Item] = {}
    for line, raw in parse_jsonl(content, name):
        where = f"{name}, line {line}"
        item = _item(mapping(raw, where), category, where)
        if item.id in found:
            raise DataError(
                f"{where}: example '{item.id}' must be there once, got it again; drop one"
            )
        found[item.id] = item
    return tuple(found.values())


def _item(row: Mapping[str, JSON], category: str, where: str) -> Item:
    info = _info(row, where)
    polarity = _one_of(row, "question_polarity", POLARITIES, where)
    condition = _one_of(row, "context_condition", CONDITIONS, where)
    _one_of(row, "category", (category,), where)
    question = str(_scalar(row, "question_index", where))
    target = ruled_target(info, _stereotyped(row, where), negative=polarity == "neg")
    item = Item(
        id=f"{category}/{number_of(row, where)}",
        category=category,
        context=text(row, "context", where),
        question=text(row, "question", where),
        answers=tuple(_braceless(text(row, key, where)) for key in ANSWERS),
        words=tuple(_braceless(word) for word, _ in info or (("", ""),) * len(ANSWERS)),
        label=_label(row, where),
        unknown=_unknown(row, info, condition, where),
        target=target,
        ruled=target,
        groups={
            "category": _named(category, names=has_names(category, question)),
            "condition": condition,
            "polarity": polarity,
            "question": f"{category}/{question}",
        },
    )
    if item.unknown is not None and item.ambiguous != (item.label == item.unknown):
        must = "the unknown answer" if item.ambiguous else "a person"
        raise DataError(
            f"{where}: the label of a question with {condition} context must be {must}, "
            f"got answer {item.label}; {_REMEDY}"
        )
    return item


def _by_metadata(item: Item, targets: Mapping[tuple[str, str, str], Target]) -> Item:
    """The item with what the metadata file says of it in place of the rule."""
    question, number = (one.partition("/")[2] for one in (item.groups["question"], item.id))
    known = targets.get((item.category, question, number))
    if known is None:
        raise DataError(
            f"{METADATA.path} must have a row for example '{item.id}' of question {question}, "
            "got none; fetch both files again"
        )
    if known.place is not None and known.place == item.unknown:
        raise DataError(
            f"{METADATA.path}: the target of '{item.id}' must be one of two people, got the "
            f"unknown answer {known.place}; fetch both files again"
        )
    category = _named(item.category, names=known.name)
    return replace(item, target=known.place, groups={**item.groups, "category": category})


def _named(category: str, *, names: bool) -> str:
    """As the published script calls it: people by proper names are a category of their own."""
    return f"{category} (names)" if names else category


def _unknown(row: Mapping[str, JSON], info: Info | None, condition: str, where: str) -> int | None:
    """By `answer_info`; without it an ambiguous context's right answer is the one."""
    place = unknown_place(info)
    if place is None and info is None and condition == "ambig":
        return _label(row, where)
    return place


def _info(row: Mapping[str, JSON], where: str) -> Info | None:
    """Word and group of each answer; None for a row without `answer_info`."""
    given = row.get("answer_info")
    if given is None or given == {}:
        return None
    named = mapping(given, f"{where}: 'answer_info'")
    found = []
    for key in ANSWERS:
        pair = named.get(key)
        if not isinstance(pair, list) or not all(isinstance(one, str) for one in pair):
            raise DataError(
                f"{where}: answer_info.{key} must be a list of texts, got a "
                f"{type(pair).__name__}; {_REMEDY}"
            )
        texts = [str(one) for one in pair]  # some official rows are silent on an answer
        found.append((texts[0] if texts else "", texts[-1] if len(texts) > 1 else ""))
    return tuple(found)


def _stereotyped(row: Mapping[str, JSON], where: str) -> list[str]:
    metadata = row.get("additional_metadata")
    if metadata is None:
        return []
    groups = mapping(metadata, f"{where}: 'additional_metadata'").get("stereotyped_groups") or []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise DataError(
            f"{where}: 'stereotyped_groups' must be a list of texts, got a "
            f"{type(groups).__name__}; {_REMEDY}"
        )
    return [str(group) for group in groups]


def _label(row: Mapping[str, JSON], where: str) -> int:
    value = row.get("label")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(ANSWERS):
        raise DataError(f"{where}: 'label' must be 0, 1 or 2, got {shown(value)}; {_REMEDY}")
    return value


def _one_of(row: Mapping[str, JSON], key: str, known: Sequence[str], where: str) -> str:
    value = text(row, key, where)
    if value not in known:
        raise DataError(f"{where}: {key} '{value}' is not right here; {nearest(value, known)}")
    return value


def _braceless(answer: str) -> str:
    """Without the braces that templates left in some official answers."""
    return answer.replace("{", "").replace("}", "").strip()


# --- rows, here and in files of predictions ---------------------------------------------------


def mapping(value: JSON, where: str) -> Mapping[str, JSON]:
    """An object of a file. Raises `DataError` naming the place for anything else."""
    if not isinstance(value, dict):
        raise DataError(f"{where} must be an object, got a {type(value).__name__}; {_REMEDY}")
    return value


def text(row: Mapping[str, JSON], key: str, where: str) -> str:
    """A text of a row that is not blank. Raises `DataError` naming the place."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        got = shown(value) if key in row else f"the keys {sorted(row)}"
        raise DataError(f"{where} must have a text '{key}', got {got}; {_REMEDY}")
    return value


def number_of(row: Mapping[str, JSON], where: str) -> str:
    """The file's own id of a row, unique within a category. Raises `DataError`."""
    return str(_scalar(row, "example_id", where))


def _scalar(row: Mapping[str, JSON], key: str, where: str) -> int | str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise DataError(f"{where} must have a number '{key}', got {shown(value)}; {_REMEDY}")
    return value


def shown(value: JSON) -> str:
    """A wrong value as an error shows it: no text of the data."""
    if isinstance(value, str) and not value.strip():
        return "a blank text"
    return f"a {type(value).__name__}" if isinstance(value, str | list | dict) else repr(value)
