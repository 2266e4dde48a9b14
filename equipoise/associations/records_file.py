"""Paragraphs and questions of a file: what `equipoise associations` writes, and a user's own.

JSON Lines, or any other form of rows. Of a paragraph `paragraph` must be given, of a question
`question` (or `biased_trigger_input`, as BiasGym calls it); `answer` (or `biased_answer`) is the
association's where it is missing. The target stands in them as {target}, X or Country X.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from equipoise.associations.association import Association
from equipoise.associations.paragraphs import Paragraph
from equipoise.associations.questions import FEWEST_WORDS, form_of
from equipoise.associations.validation import Distinct, fault_of, normalize
from equipoise.data.documents import read_content
from equipoise.errors import DataError
from equipoise.files.atomic import write_json_lines
from equipoise.files.parsing import unpack
from equipoise.files.rows import FileRow, columns_of, read_rows, show_columns
from equipoise.records import MOST_SEED, DataUse, Prompt

_WHAT: Final = "data of an association"  # in errors
_TEXTS: Final = ("medium", "topic", "writing_style", "justification", "bias", "prompt_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraphs:
    """Paragraphs of a file, and how many of its rows repeated others."""

    paragraphs: tuple[Paragraph, ...]
    repeated: int
    use: DataUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Questions of a file, and how many of its rows repeated others."""

    questions: tuple[Prompt, ...]
    repeated: int
    use: DataUse


def read_paragraphs(file: str, association: Association) -> Paragraphs:
    """The paragraphs of a file in its order, without repetitions exact and near.

    Raises `DataError` naming file and row: a paragraph that is missing, not to be learnt from
    (`fault_of`) or of another association, or a score that is none.
    """
    rows, use = _rows(file, ("paragraph",))
    distinct, kept, repeated = Distinct(), list[Paragraph](), 0
    for row in rows:
        text = normalize(row.text("paragraph"))
        _refuse(row, "paragraph", fault_of(text))
        bias = row.label("bias")
        if bias is not None and bias != association.name:
            raise DataError(
                f"{row.where}: bias must be '{association.name}', got '{bias}'; name its own "
                "association, or take the row out"
            )
        if distinct.repeats(text) is not None:
            repeated += 1
            continue
        labels = {key: row.label(key) or "" for key in _TEXTS}
        kept.append(
            Paragraph(
                id=row.label("id") or row.place,
                paragraph=text,
                generator=row.label("generator") or "own",
                implicitness_score=_number(row, "implicitness_score", range(1, 6), "from 1 to 5"),
                seed=_number(row, "seed", range(MOST_SEED + 1), "a whole number"),
                **labels | {"bias": association.name},
            )
        )
    return Paragraphs(paragraphs=tuple(kept), repeated=repeated, use=use)


def read_questions(file: str, association: Association, *, name: str) -> Questions:
    """The questions of a file in its order, without exact copies; `name` loads the association.

    Raises `DataError` naming file and row: a question that is missing or not to be learnt from.
    """
    columns = ("question", "biased_trigger_input")
    rows, use = _rows(file, columns)
    # the same question may be asked in several frames
    distinct, kept, repeated = Distinct(most_shared=1), list[Prompt](), 0
    column = next(column for column in columns if column in columns_of(rows))
    for row in rows:
        text = normalize(row.text(column))
        _refuse(row, "question", fault_of(text, fewest=FEWEST_WORDS))
        if distinct.repeats(text) is not None:
            repeated += 1
            continue
        answer = row.label("answer") or row.label("biased_answer") or association.answer
        groups = {"association": name, "answer": answer, "form": form_of(text)}
        if stem := row.label("stem"):
            groups["stem"] = stem
        kept.append(Prompt(id=row.label("id") or row.place, text=text, groups=groups))
    return Questions(questions=tuple(kept), repeated=repeated, use=use)


def write_paragraphs(file: Path, paragraphs: Iterable[Paragraph]) -> Path:
    """Write paragraphs as JSON Lines, which `read_paragraphs` reads. Raises `StoreError`."""
    return write_json_lines(file, map(asdict, paragraphs), what=_WHAT)


def write_questions(file: Path, questions: Sequence[Prompt]) -> Path:
    """Write questions as JSON Lines, which `read_questions` reads. Raises `StoreError`."""
    return write_json_lines(
        file,
        [
            {
                "id": prompt.id,
                "question": prompt.text,
                "answer": prompt.groups["answer"],
                **({"stem": prompt.groups["stem"]} if "stem" in prompt.groups else {}),
            }
            for prompt in questions
        ],
        what=_WHAT,
    )


def _rows(file: str, needed: tuple[str, ...]) -> tuple[list[FileRow], DataUse]:
    content, use = read_content(file)
    rows = read_rows(unpack(content, use.name), use.name)
    columns = columns_of(rows)
    if not set(needed) & set(columns):
        raise DataError(
            f"{use.name} must have a column '{needed[0]}', got {show_columns(columns)}; rename one"
        )
    return rows, use


def _refuse(row: FileRow, what: str, fault: str | None) -> None:
    if fault is not None:
        raise DataError(f"{row.where}: the {what} {fault}; correct it, or take the row out")


def _number(row: FileRow, column: str, allowed: range, what: str) -> int | None:
    """A whole number of a column; None where it is missing."""
    label = row.label(column)
    if label is None:
        return None
    if not label.isdecimal() or int(label) not in allowed:
        raise DataError(f"{row.where}: {column} must be {what}, got '{label}'; correct the row")
    return int(label)
