"""RACE: English exams of Chinese schools, an article and questions about it with four options.

Lai et al. 2017, https://aclanthology.org/D17-1082; for research without profit. A row as the Hub
has it: `article`, `question`, `options` (four), `answer` (a letter) and `example_id`. A row as the
official archive has it, one file an article, may stand in its place, with `questions`, `options`
and `answers` as lists: its files after each other are JSON Lines.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from annotated_types import Len

from equipoise.data.sources import Source
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, FileRow, read_rows
from equipoise.records import JSON
from equipoise.rows import text_sha256

LICENCE: Final = "research without profit (RACE)"
LEVELS: Final = ("middle", "high")
LETTERS: Final = ("A", "B", "C", "D")

Options = Annotated[list[Text], Len(4, 4)]
Letter = Literal["A", "B", "C", "D"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingQuestion:
    """A question about an article, with its options, of which only 1 is right."""

    id: str  # "high/row 3": level and place in its file
    article: str  # ends stripped
    question: str  # ends stripped; "_" stands for a gap that an option fills
    options: tuple[str, ...]  # ends stripped
    answer: int  # place of the right option
    groups: Mapping[str, str] = field(default_factory=dict)


class _Question(Record):
    article: Text
    question: Text
    options: Options
    answer: Letter


class _Article(Record):
    article: Text
    questions: list[Text]
    options: list[Options]
    answers: list[Letter]


def source(level: str, split: str) -> Source:
    """The file of a school's level: "middle" or "high"."""
    return Source(path=f"race/{level}/{split}.jsonl", licence=LICENCE, endings=ENDINGS)


def read_questions(level: str, split: str) -> list[ReadingQuestion]:
    """The questions of a level in the order of its file. Raises `DataError` naming file and row.

    Groups: `level`, and `article`, the same for all questions about an article.
    """
    wanted = source(level, split)
    file = wanted.local_file()
    name = wanted.path if file is None else file.name
    return [
        ReadingQuestion(
            id=f"{level}/{place}",
            article=question.article.strip(),
            question=question.question.strip(),
            options=tuple(option.strip() for option in question.options),
            answer=LETTERS.index(question.answer),
            groups={"level": level, "article": text_sha256(question.article)[:12]},
        )
        for row in read_rows(wanted.read(), name)
        for place, question in _questions(row)
    ]


def _questions(row: FileRow) -> Iterator[tuple[str, _Question]]:
    cells: dict[str, JSON] = {key: row.structure(key) for key in row.cells}
    if "questions" not in cells:
        yield row.place, read_record(_Question, cells, row.where)
        return
    article = read_record(_Article, cells, row.where)
    counts = [len(part) for part in (article.questions, article.options, article.answers)]
    if len(set(counts)) > 1:
        raise DataError(
            f"{row.where}: questions, options and answers must be as many, got {counts}; fix the "
            "row"
        )
    parts = zip(article.questions, article.options, article.answers, strict=True)
    for index, (question, options, answer) in enumerate(parts, start=1):
        yield (
            f"{row.place}.{index}",
            _Question(article=article.article, question=question, options=options, answer=answer),
        )
