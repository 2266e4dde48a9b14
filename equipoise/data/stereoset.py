"""StereoSet's official files: examples of three sentences, and published per-sentence scores.

Nadeem, Bethke & Reddy 2021, https://aclanthology.org/2021.acl-long.416; CC BY-SA 4.0.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Len
from pydantic import Field, FiniteFloat, model_validator

from equipoise.data import hub_forms
from equipoise.data.sources import OWN_LICENCE, REMEDY, Source, unpacked
from equipoise.data.validation import Record, Text, read_record, refuse_repeated
from equipoise.errors import DataError
from equipoise.files.parsing import parse_json
from equipoise.files.rows import ENDINGS, holds_rows, read_rows
from equipoise.records import Contrast

Task: TypeAlias = Literal["intrasentence", "intersentence"]

TASKS: tuple[Task, ...] = ("intrasentence", "intersentence")
AXES = ("gender", "profession", "race", "religion")
LABELS = ("stereotype", "anti-stereotype", "unrelated")  # the order of an item's sentences
BLANK = "BLANK"

LICENCE = "CC BY-SA 4.0"

_FOLDER = (
    "https://raw.githubusercontent.com/McGill-NLP/bias-bench/"
    "aba440322fb38600f7790e457a17941f0b12bf20/data/stereoset"
)
DEV, TEST = (
    # Known by git's ids, which GitHub lists: the official files were not at hand to hash.
    Source(
        f"stereoset/{name}",
        url=f"{_FOLDER}/{name}",
        hashes=(blob,),
        licence=LICENCE,
        endings=ENDINGS,
    )
    for name, blob in (
        ("dev.json", "637b1e3d284a3c629b74a4659c583b8eca9bd13e"),
        ("test.json", "dc0204cca28144732f14cb2466ffdb87c86ca5ec"),
    )
)
#: Words of the user's own that stand for each other where a target stands (`exchange.words`).
TARGETS = Source("stereoset/targets.json", licence=OWN_LICENCE)
#: What circulates of the test split beside the official file; used together in its absence.
TEST_PARTS = (
    Source("stereoset/test_intrasentence_gender_religion.json", licence=LICENCE),
    Source("stereoset/test_intrasentence_race_profession_partial.json", licence=LICENCE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoSetItem:
    """An example: sentences that stereotype, contradict the stereotype, and mean nothing."""

    id: str
    task: Task
    context: str  # intrasentence: the sentence with a blank; intersentence: the sentence before
    sentences: tuple[str, ...]  # in the order of LABELS
    sentence_ids: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]  # in characters: what fills the blank, or all
    groups: Mapping[str, str] = field(default_factory=dict)
    #: `sentences` with the capitals of their template (`stereoset_case`); (): none were put back
    restored: tuple[str, ...] = ()
    others: tuple["StereoSetItem", ...] = ()  # the same with others in the target's place


def sources(split: str) -> tuple[Source, ...]:
    """The files of "dev" or "test".

    The test parts stand in where the user has them both and not the whole.
    """
    if split == "dev":
        return (DEV,)
    if TEST.local_file() is None and all(part.local_file() is not None for part in TEST_PARTS):
        return TEST_PARTS
    return (TEST,)


def read_items(split: str) -> list[StereoSetItem]:
    """All examples of a split, intrasentence first.

    In the official format, or in rows as the Hub has them (`hub_forms`), where an example with a
    blank in its context is intrasentence. Bias types are what the file says.
    Raises `DataError` naming file and example where it is of neither form.
    """
    files = {source.use().name: _read_file(source) for source in sources(split)}
    items = [
        _build_item(example, task, f"{path}, {task} example {index} '{example.id}'")
        for task in TASKS
        for path, data in files.items()
        for index, example in enumerate(data[task])
    ]
    names = " and ".join(files)
    refuse_repeated((item.id for item in items), f"{names}: example id")
    refuse_repeated((id for item in items for id in item.sentence_ids), f"{names}: sentence id")
    return items


def read_remarks(split: str) -> tuple[str, ...]:
    """What the files of a split have that the official files lack; errors as of `read_items`."""
    examples = [
        example for source in sources(split) for part in _read_file(source).values()
        for example in part
    ]  # fmt: skip
    others = sorted({example.bias_type for example in examples} - set(AXES))
    notes = [f"bias types of the file's own: {', '.join(others)}"] if others else []
    if any(sentence.numbered for example in examples for sentence in example.sentences):
        order = ", ".join(f"{i} {label}" for i, label in enumerate(hub_forms.STEREOSET_LABELS))
        notes.append(f"labels: numbers were read in the order of the Hub ({order})")
    return tuple(notes)


def read_scores(file: Path, column: str | None) -> dict[str, float]:
    """Published predictions: sentence id to score, where a higher score is preferred.

    The official format is {"intrasentence": [{"id", "score"}], "intersentence": […]}, plain or
    gzipped; `column` names another key than "score". Raises `DataError` naming file and entry.
    """
    key = column or "score"
    document = parse_json(unpacked(file), str(file))
    entries = dict(read_record(_Predictions, document, str(file)))
    scores: dict[str, float] = {}
    for task in TASKS:
        for index, entry in enumerate(entries[task]):
            where = f"{file}, {task} entry {index}"
            if key not in entry:
                raise DataError(
                    f"{where} must have a key '{key}', got {sorted(entry)}; name another of its "
                    "columns with predictions:FILE#COLUMN"
                )
            scored = {"id": entry.get("id"), "score": entry[key]}
            score = read_record(_Score, scored, where)
            if score.id in scores:
                raise DataError(
                    f"{file}: sentence id '{score.id}' must be there once, got it twice; {REMEDY}"
                )
            scores[score.id] = score.score
    return scores


def word_span(context: str, sentence: str, where: str) -> tuple[int, int]:
    """Where in a sentence (characters) the word stands that fills the context's blank.

    As the published loader finds it: the word, counted by single spaces, at the place of the
    context's last word with a blank, without the punctuation around it.
    """
    places = [index for index, word in enumerate(context.split(" ")) if BLANK in word]
    words = sentence.split(" ")
    if not places:
        raise DataError(f"{where}: context must have the word {BLANK}, got none; {REMEDY}")
    place = places[-1]
    if place >= len(words) or not words[place].strip(string.punctuation):
        raise DataError(f"{where}: no word fills the blank at word {place + 1}; {REMEDY}")
    word = words[place]
    start = sum(len(word) + 1 for word in words[:place])
    start += len(word) - len(word.lstrip(string.punctuation))
    return start, start + len(word.strip(string.punctuation))


def contrast_of(item: StereoSetItem) -> Contrast:
    """An item to learn from: its context is what its texts share before the filler.

    Of an intrasentence item, where all texts are equal before the filler; else whole sentences.
    """
    context, endings = item.context, tuple(f" {sentence}" for sentence in item.sentences)
    if item.task == "intrasentence":
        # Of the texts and not of the template: 794 of dev's 2,106 differ from it in case.
        before = {text[:start] for text, (start, _) in zip(item.sentences, item.spans, strict=True)}
        context = before.pop().rstrip() if len(before) == 1 else ""
        endings = tuple(text[len(context) :] for text in item.sentences)
    stereotype, antistereotype, unrelated = endings
    return Contrast(
        id=item.id,
        context=context,
        stereotype=stereotype,
        antistereotype=antistereotype,
        unrelated=unrelated,
        groups=item.groups,
    )


def _read_file(source: Source) -> dict[str, list["_Example"]]:
    """The examples of a file by task."""
    content, name = source.read(), source.use().name
    if not holds_rows(content) and name.endswith(".json"):
        return dict(read_record(_File, parse_json(content, name), name).data)
    data: dict[str, list[_Example]] = {task: [] for task in TASKS}
    for row in read_rows(content, name):
        example = read_record(_Example, hub_forms.stereoset_example(row), row.where)
        data["intrasentence" if BLANK in example.context else "intersentence"].append(example)
    return data


def _build_item(example: "_Example", task: Task, where: str) -> StereoSetItem:
    by_label = {str(sentence.gold_label): sentence for sentence in example.sentences}
    if len(by_label) < len(LABELS):
        labels = [sentence.gold_label for sentence in example.sentences]
        raise DataError(f"{where} must have each of {LABELS} once, got {labels}; {REMEDY}")
    sentences = tuple(by_label[label].sentence for label in LABELS)
    spans = tuple(
        word_span(example.context, text, where) if task == "intrasentence" else (0, len(text))
        for text in sentences
    )
    return StereoSetItem(
        id=example.id,
        task=task,
        context=example.context,
        sentences=sentences,
        sentence_ids=tuple(by_label[label].id for label in LABELS),
        spans=spans,
        groups={
            "task": task,
            "axis": example.bias_type,
            "target": example.target,
            "task_axis": f"{task}/{example.bias_type}",  # a row of the published tables
        },
    )


# --- the official format ------------------------------------------------------------------------


class _Sentence(Record):
    id: Text
    sentence: Text
    gold_label: Literal["stereotype", "anti-stereotype", "unrelated"]
    numbered: bool = False  # the file has a number in place of the label

    @model_validator(mode="before")
    @classmethod
    def _name_label(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        label = given.get("gold_label")
        name = hub_forms.label_name(label, hub_forms.STEREOSET_LABELS)
        return given if name is label else given | {"gold_label": name, "numbered": True}


class _Example(Record):
    id: Text
    bias_type: Text
    context: Text
    target: Text
    sentences: Annotated[list[_Sentence], Len(3, 3)]


class _Data(Record):
    intrasentence: list[_Example]
    intersentence: list[_Example]


class _File(Record):
    data: _Data


class _Predictions(Record):
    intrasentence: Annotated[list[dict[str, Any]], Field(default_factory=list)]
    intersentence: Annotated[list[dict[str, Any]], Field(default_factory=list)]


class _Score(Record):
    id: Text
    score: FiniteFloat
