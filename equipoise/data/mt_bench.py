"""Question files in MT-bench's form: two turns of a user in a domain, for an answer to be rated.

Zheng et al. 2023, https://arxiv.org/abs/2306.05685. JSON Lines with `question_id`, `category`,
`turns` and, of a right answer, `reference`. No file comes with the package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from equipoise.data.documents import read_content
from equipoise.data.validation import Number, Record, Text, read_lines, refuse_repeated
from equipoise.errors import DataError
from equipoise.files.parsing import unpack
from equipoise.records import DataUse

TURNS: Final = 2
#: Those of the published questions.
DOMAINS: Final = (
    *("coding", "extraction", "humanities", "math"),
    *("reasoning", "roleplay", "stem", "writing"),
)


class _Row(Record):
    question_id: Number
    category: Text
    turns: Annotated[list[Text], Field(min_length=TURNS, max_length=TURNS)]
    reference: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTurns:
    """Two turns of a user. Group `domain` is the file's category in lower case."""

    id: str
    turns: tuple[str, ...]
    references: tuple[str, ...]  # to each turn; "" where there is none
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFile:
    """The questions of a file, and what a result records of it."""

    use: DataUse
    questions: tuple[TwoTurns, ...]


def read_questions(file: str) -> QuestionFile:
    """The questions of a file, by its path or in the data folder, in its order; plain, .gz or .xz.

    Raises `DataError` naming file and line: a missing or blank turn, no domain, an id that is there
    twice, more references than turns, or no question.
    """
    content, use = read_content(file)
    rows = read_lines(_Row, unpack(content, use.name), use.name)
    refuse_repeated((row.question_id for _, row in rows), f"{use.name}: question")
    questions = []
    for line, row in rows:
        references = row.reference or []
        if len(references) > TURNS:
            raise DataError(
                f"{use.name}, line {line}: must have a reference a turn at most, got "
                f"{len(references)}; take the others out"
            )
        questions.append(
            TwoTurns(
                id=row.question_id,
                turns=tuple(turn.strip() for turn in row.turns),
                references=(*references, *[""] * (TURNS - len(references))),
                groups={"domain": row.category.strip().casefold()},
            )
        )
    return QuestionFile(use=use, questions=tuple(questions))
