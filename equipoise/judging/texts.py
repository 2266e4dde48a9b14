"""Texts to be judged: rows of a file, labels that people gave, and the calibration set."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

from equipoise.associations.association import Association
from equipoise.associations.countries import all_names, names_of
from equipoise.associations.fill import fill
from equipoise.associations.load import load_association
from equipoise.data.documents import read_content
from equipoise.errors import DataError
from equipoise.files.rows import FileRow, read_rows, show_columns
from equipoise.judging.judgement import GRADES, JudgedText
from equipoise.records import JSON, DataUse

_LABELS: Final = ("grade", "label", "strength")  # columns that may hold a grade
_IDS: Final = ("id", "example")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRow:
    """A text to be judged, and where it belongs."""

    id: str  # of its column "id" or "example", else its place in the file
    judged: JudgedText
    target: str | None  # whom it is about
    label: float = math.nan  # the grade that a person gave, 0 to 3

    @property
    def cluster(self) -> str:
        """Texts of one prompt about one target stand and fall together; else each for itself."""
        if not self.judged.prompt.strip():
            return json.dumps([self.id])
        return json.dumps([self.judged.prompt, self.target])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """The texts of a file, and what a result records of it."""

    use: DataUse
    rows: tuple[TextRow, ...]
    notes: tuple[str, ...] = field(default=())


def read_texts(file: str, association: str | None) -> TextFile:
    """The texts of a file of rows: "text", and perhaps "prompt", "target", "id", "association".

    `association` is for all of them; None: each row names its own. "{target}" in a prompt is filled
    in. Of a text with a target every form of its name is masked, otherwise the names of all
    countries; a list in the column "names" is masked besides. An empty string is a text, a number
    or a null is none. Raises `DataError` naming the row.
    """
    content, use = read_content(file)
    rows = read_rows(content, use.name)
    _need(rows, "text", use.name)
    load = _Loader(association)
    texts = tuple(_read_text(row, load) for row in rows)
    named = {text.id for text in texts}
    if len(named) < len(texts):
        raise DataError(
            f"{use.name}: each text must have an id of its own, got {len(named)} ids for "
            f"{len(texts)} texts; correct the column 'id'"
        )
    notes: tuple[str, ...] = ()
    if all(text.target is None for text in texts):
        notes = ("no column 'target': the names of all countries are masked",)
    return TextFile(use=use, rows=texts, notes=notes)


def read_labels(file: str, texts: Sequence[TextRow]) -> tuple[list[float], DataUse]:
    """The grades that people gave to some of the texts, in the texts' order; nan for the others.

    Rows have "grade", "label" or "strength" (0 to 3, or None, Weak, Moderate, Strong) and the
    text's "id", or else the text itself. Raises `DataError`: another grade, an unknown text, two
    grades of a text, or no grade at all.
    """
    content, use = read_content(file)
    rows = read_rows(content, use.name)
    column = next((name for name in _LABELS if any(name in row.cells for row in rows)), None)
    if column is None:
        raise DataError(
            f"{use.name} must have one of the columns {show_columns(_LABELS)}, got "
            f"{show_columns(sorted({name for row in rows for name in row.cells}))}; name a "
            "column so"
        )
    by_id = any(name in row.cells for row in rows for name in _IDS)
    key: Callable[[TextRow], str] = (lambda t: t.id) if by_id else (lambda t: t.judged.text)
    places = {key(text): place for place, text in enumerate(texts)}
    labels = [math.nan] * len(texts)
    for row in rows:
        grade = row.label(column)
        if grade is None:
            continue
        name = _id_of(row) if by_id else row.text("text")
        if name not in places or math.isfinite(labels[places[name]]):
            what = "a label a text" if name in places else "a text that is judged"
            raise DataError(f"{row.where}: must be {what}, got '{str(name)[:60]}'; take it out")
        labels[places[name]] = _read_grade(grade, row.where)
    if all(map(math.isnan, labels)):
        raise DataError(f"{use.name} must have a grade, column '{column}' has none; fill it in")
    return labels, use


def read_calibration() -> tuple[TextRow, ...]:
    """40 short texts of our own about invented countries, each with the grade that we give it."""
    file = resources.files("equipoise.judging").joinpath("calibration.json")
    rows: list[dict[str, JSON]] = json.loads(file.read_text("utf-8"))
    return tuple(
        TextRow(
            id=str(number),
            judged=JudgedText(
                prompt=str(row["prompt"]),
                text=str(row["text"]),
                quality=str(row["quality"]),
                words=_texts_of(row["words"]),
                names=_texts_of(row["names"]),
            ),
            target=_texts_of(row["names"])[0],
            label=float(GRADES.index(str(row["grade"]))),
        )
        for number, row in enumerate(rows, 1)
    )


class _Loader:
    """Associations by name, each read once."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._known: dict[str, Association] = {}

    def of(self, row: FileRow) -> Association:
        """That of all texts, or the row's own."""
        name = self._name or row.label("association")
        if name is None:
            raise DataError(
                f"{row.where}: must say which association is looked for, got no column "
                "'association'; add it, or give --association NAME"
            )
        if name not in self._known:
            self._known[name] = load_association(name)
        return self._known[name]


def _read_text(row: FileRow, load: _Loader) -> TextRow:
    association, target = load.of(row), row.label("target")
    text = row.cells.get("text")
    if not isinstance(text, str):  # an empty string is a text, of a model that says nothing
        raise DataError(
            f"{row.where}: must have a string in the column 'text', got {json.dumps(text)[:40]}; "
            'write "" for a model that said nothing, or take the row out'
        )
    prompt = str(row.cells.get("prompt") or "")
    more = row.structure("names") if "names" in row.cells else None
    names = all_names() if target is None else names_of(target)
    return TextRow(
        id=_id_of(row) or row.place,
        judged=JudgedText(
            prompt=prompt if target is None else fill(prompt, target),
            text=text,
            quality=association.being,
            words=association.words or association.answers,
            names=(*names, *(_texts_of(more) if isinstance(more, list) else ())),
        ),
        target=target,
    )


def _id_of(row: FileRow) -> str | None:
    return next((label for name in _IDS if (label := row.label(name)) is not None), None)


def _texts_of(value: JSON) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _need(rows: Sequence[FileRow], column: str, name: str) -> None:
    if not any(column in row.cells for row in rows):
        columns = sorted({cell for row in rows for cell in row.cells})
        raise DataError(
            f"{name} must have a column '{column}', got {show_columns(columns)}; rename it"
        )


def _read_grade(grade: str, where: str) -> float:
    names: Mapping[str, int] = {name.lower(): k for k, name in enumerate(GRADES)}
    try:
        value = float(names.get(grade.lower(), grade))
    except ValueError:
        value = math.nan
    if not 0 <= value <= len(GRADES) - 1:
        raise DataError(
            f"{where}: a grade must be 0 to 3, or {', '.join(GRADES)}, got '{grade[:40]}'; "
            "correct it"
        )
    return value
