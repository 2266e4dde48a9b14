"""StereoSet, CrowS-Pairs and BBQ as they are published on the Hugging Face Hub.

There labels are numbers, in the order in which the data sets define them (`ClassLabel` of
`stereoset.py` and `crows_pairs.py` in https://github.com/huggingface/datasets), a list of objects
is an object of lists, and a table spells lists and objects out as texts. What is no such form is
left as it is, for the record of the official form to accept or to refuse.
"""

from collections.abc import Sequence
from typing import Final

from equipoise.files.rows import FileRow
from equipoise.records import JSON

#: By its number: which of an example's three sentences it is.
STEREOSET_LABELS: Final = ("anti-stereotype", "stereotype", "unrelated")
CROWS_DIRECTIONS: Final = ("stereo", "antistereo")
CROWS_BIAS_TYPES: Final = (
    "race-color", "socioeconomic", "gender", "disability", "nationality", "sexual-orientation",
    "physical-appearance", "religion", "age",
)  # fmt: skip


def label_number(value: object) -> int | None:
    """The number that a label is, also as a text; None for what is no whole number from 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def label_name(value: object, names: Sequence[str]) -> object:
    """The name that a label's number stands for; what is no such number as it is."""
    number = label_number(value)
    return value if number is None or number >= len(names) else names[number]


def list_of_objects(value: JSON) -> JSON:
    """An object of equally long lists as a list of objects; anything else as it is."""
    if not isinstance(value, dict) or not value:
        return value
    columns = [column for column in value.values() if isinstance(column, list)]
    if len(columns) < len(value) or len(set(map(len, columns))) != 1:
        return value
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]


def stereoset_example(row: FileRow) -> dict[str, JSON]:
    """A row as an example of the official file; its sentences have ids where it gives none."""
    cells = dict(row.cells)
    sentences = list_of_objects(row.structure("sentences"))
    if isinstance(sentences, list):
        cells["sentences"] = [
            {"id": f"{cells.get('id')}/{place}", **part} if isinstance(part, dict) else part
            for place, part in enumerate(sentences)
        ]
    return cells


def bbq_question(row: FileRow, category: str) -> dict[str, JSON]:
    """A row as a line of the official file; where it names no category it is the file's, if any.

    `answer_info.ans0` and its like are put together, and `answer_label` is a name of `label`.
    """
    cells = dict(row.cells)
    for name in ("answer_info", "additional_metadata"):
        parts: dict[str, JSON] = {
            column[len(name) + 1 :]: row.structure(column)
            for column in row.cells
            if column.startswith((f"{name}.", f"{name}_", f"{name}/"))
        }
        if parts or name in cells:
            cells[name] = parts or row.structure(name)
    if "label" not in cells and "answer_label" in cells:
        cells["label"] = cells.pop("answer_label")
    for name in ("label", "example_id", "question_index"):
        number = label_number(cells.get(name))
        if number is not None:
            cells[name] = number
    given = cells.get("category")
    if (category and given is None) or (
        isinstance(given, str) and given.casefold() == category.casefold()
    ):
        cells["category"] = category
    return cells
