"""StereoSet's official files: examples of three sentences, and published per-sentence scores.

Nadeem, Bethke & Reddy 2021, https://aclanthology.org/2021.acl-long.416; CC BY-SA 4.0.
"""

import gzip
import math
import string
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from equipoise.data.sources import Source, parse_json, read_json
from equipoise.errors import DataError, nearest
from equipoise.records import JSON

Task: TypeAlias = Literal["intrasentence", "intersentence"]

TASKS: tuple[Task, ...] = ("intrasentence", "intersentence")
AXES = ("gender", "profession", "race", "religion")
LABELS = ("stereotype", "anti-stereotype", "unrelated")  # the order of an item's sentences
BLANK = "BLANK"

_REVISION = "aba440322fb38600f7790e457a17941f0b12bf20"
_FOLDER = f"https://raw.githubusercontent.com/McGill-NLP/bias-bench/{_REVISION}/data/stereoset"
_REMEDY = "mend the file, or delete it and fetch it again"


LICENCE = "CC BY-SA 4.0"


def _official(name: str, blob: str) -> Source:
    return Source(
        f"stereoset/{name}", url=f"{_FOLDER}/{name}", revision=_REVISION, blob=blob, licence=LICENCE
    )


DEV = _official("dev.json", "637b1e3d284a3c629b74a4659c583b8eca9bd13e")
TEST = _official("test.json", "dc0204cca28144732f14cb2466ffdb87c86ca5ec")
#: What circulates of the test split beside the official file; used together in its absence.
TEST_PARTS = (
    Source("stereoset/test_intrasentence_gender_religion.json", licence=LICENCE),
    Source("stereoset/test_intrasentence_race_profession_partial.json", licence=LICENCE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One example: sentences that stereotype, contradict the stereotype, and mean nothing."""

    id: str
    task: Task
    context: str  # intrasentence: the sentence with a blank; intersentence: the sentence before
    sentences: tuple[str, ...]  # in the order of LABELS; a planted item may lack the third
    sentence_ids: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]  # in characters: what fills the blank, or all
    groups: Mapping[str, str] = field(default_factory=dict)


def sources(split: str) -> tuple[Source, ...]:
    """The files of "dev" or "test".

    The test parts stand in where the user has them both and not the whole.
    """
    if split == "dev":
        return (DEV,)
    if TEST.own() is None and all(part.own() is not None for part in TEST_PARTS):
        return TEST_PARTS
    return (TEST,)


def read_items(split: str) -> list[Item]:
    """All examples of a split, intrasentence first.

    Raises `DataError` naming file and example where one is not as the official format has it.
    """
    files = {source.path: read_json(source) for source in sources(split)}
    found = [
        _item(raw, task, f"{path}, {task} example {index}")
        for task in TASKS
        for path, document in files.items()
        for index, raw in enumerate(_examples(document, task, path))
    ]
    where = " and ".join(files)
    _refuse_twice((one.id for one in found), f"{where}: example")
    _refuse_twice((sid for one in found for sid in one.sentence_ids), f"{where}: sentence")
    return found


def read_scores(file: Path, column: str | None) -> dict[str, float]:
    """Published predictions: sentence id to score, where a higher score is preferred.

    The official format is {"intrasentence": [{"id", "score"}], "intersentence": […]}, plain or
    gzipped; `column` names another key than "score". Raises `DataError` naming file and entry.
    """
    document = _mapping(parse_json(_unpacked(file), str(file)), str(file))
    entries = [
        (f"{file}, {task} entry {index}", _mapping(raw, f"{file}, {task} entry {index}"))
        for task in TASKS
        for index, raw in enumerate(_list(document.get(task, []), f"{file}, {task}"))
    ]
    _refuse_twice((_text(one, "id", where) for where, one in entries), f"{file}: sentence")
    key = column or "score"
    for where, one in entries:
        if key not in one:
            raise DataError(
                f"{where} must have a key '{key}', got {sorted(one)}; name one of its columns with "
                "predictions:FILE#COLUMN"
            )
    return {_text(one, "id", where): _number(one, key, where) for where, one in entries}


def word_span(context: str, sentence: str, where: str) -> tuple[int, int]:
    """Where in a sentence (characters) the word stands that fills the context's blank.

    As the published loader finds it: the word, counted by single spaces, at the place of the
    context's last word with a blank, without the punctuation around it.
    """
    places = [index for index, word in enumerate(context.split(" ")) if BLANK in word]
    words = sentence.split(" ")
    if not places:
        raise DataError(f"{where}: context must have the word {BLANK}, got none; {_REMEDY}")
    place = places[-1]
    if place >= len(words) or not words[place].strip(string.punctuation):
        raise DataError(f"{where}: no word fills the blank at word {place + 1}; {_REMEDY}")
    word = words[place]
    start = sum(len(word) + 1 for word in words[:place])
    start += len(word) - len(word.lstrip(string.punctuation))
    return start, start + len(word.strip(string.punctuation))


def differing_spans(sentences: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Per sentence, where (characters) the words stand that not all sentences share.

    What is left without the words that all begin with and all end with, cut at single spaces;
    the whole sentence where nothing is left.
    """
    words = [sentence.split(" ") for sentence in sentences]
    room = min(len(word) for word in words)
    head = _common(words, room)
    tail = _common([word[::-1] for word in words], room - head)
    spans = []
    for one, text in zip(words, sentences, strict=True):
        start = sum(len(word) + 1 for word in one[:head])
        end = len(text) - sum(len(word) + 1 for word in one[len(one) - tail :])
        spans.append((start, end) if start < end else (0, len(text)))
    return tuple(spans)


def _common(words: Sequence[Sequence[str]], room: int) -> int:
    """How many first words all lists share, at most `room`."""
    same = (len(set(column)) == 1 for column in zip(*words, strict=False))
    return min(room, next((index for index, one in enumerate(same) if not one), room))


def _item(raw: JSON, task: Task, where: str) -> Item:
    example = _mapping(raw, where)
    where = f"{where} '{_text(example, 'id', where)}'"
    axis = _text(example, "bias_type", where)
    if axis not in AXES:
        raise DataError(f"{where}: bias type '{axis}' is not known; {nearest(axis, AXES)}")
    context = _text(example, "context", where)
    by_label = _by_label(example, where)
    sentences = tuple(_text(by_label[label], "sentence", where) for label in LABELS)
    if task == "intrasentence":
        spans = tuple(word_span(context, sentence, where) for sentence in sentences)
    else:
        spans = tuple((0, len(sentence)) for sentence in sentences)
    target = _text(example, "target", where)
    return Item(
        id=_text(example, "id", where),
        task=task,
        context=context,
        sentences=sentences,
        sentence_ids=tuple(_text(by_label[label], "id", where) for label in LABELS),
        spans=spans,
        groups=item_groups(task, axis, target),
    )


def item_groups(task: Task, axis: str, target: str) -> dict[str, str]:
    """The groups of an item; "task_axis" is what the published tables have a row for."""
    return {"task": task, "axis": axis, "target": target, "task_axis": f"{task}/{axis}"}


def _by_label(example: Mapping[str, JSON], where: str) -> dict[str, Mapping[str, JSON]]:
    sentences = _list(_value(example, "sentences", where), f"{where}, sentences")
    if len(sentences) != len(LABELS):
        raise DataError(f"{where} has {len(sentences)} sentences, needs 3; {_REMEDY}")
    found = [_mapping(sentence, where) for sentence in sentences]
    labels = [_text(one, "gold_label", where) for one in found]
    if sorted(labels) != sorted(LABELS):
        raise DataError(f"{where} must have each of {LABELS} once, got {labels}; {_REMEDY}")
    return dict(zip(labels, found, strict=True))


def _examples(document: JSON, task: Task, path: str) -> Sequence[JSON]:
    data = _mapping(_value(_mapping(document, path), "data", path), f"{path}, data")
    return _list(_value(data, task, f"{path}, data"), f"{path}, {task}")


def _refuse_twice(ids: Iterator[str], where: str) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise DataError(f"{where} id '{one}' must be there once, got it twice; {_REMEDY}")
        seen.add(one)


def _unpacked(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}; check the path, or replace it") from None


def _mapping(value: JSON, where: str) -> Mapping[str, JSON]:
    if not isinstance(value, dict):
        raise DataError(f"{where} must be an object, got a {type(value).__name__}; {_REMEDY}")
    return value


def _list(value: JSON, where: str) -> list[JSON]:
    if not isinstance(value, list):
        raise DataError(f"{where} must be a list, got a {type(value).__name__}; {_REMEDY}")
    return value


def _value(mapping: Mapping[str, JSON], key: str, where: str) -> JSON:
    if key not in mapping:
        raise DataError(f"{where} must have a key '{key}', got {sorted(mapping)}; {_REMEDY}")
    return mapping[key]


def _text(mapping: Mapping[str, JSON], key: str, where: str) -> str:
    value = _value(mapping, key, where)
    if not (isinstance(value, str) and value.strip()):
        got = f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)
        raise DataError(f"{where}: '{key}' must be a text, got {got}; {_REMEDY}")
    return value


def _number(mapping: Mapping[str, JSON], key: str, where: str) -> float:
    value = _value(mapping, key, where)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(cast(float, value)):
        raise DataError(f"{where}: '{key}' must be a finite number, got {value!r}; {_REMEDY}")
    return float(cast(float, value))
