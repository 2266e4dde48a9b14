"""HumanEval and MBPP: problems of programming, each with tests in Python.

Chen et al. 2021 (arXiv 2107.03374), MIT; Austin et al. 2021 (arXiv 2108.07732), CC BY 4.0. JSON
Lines as published, also gzipped, or in any other form of rows, as the Hub has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from equipoise.data.sources import Source
from equipoise.data.validation import refuse_repeated
from equipoise.errors import DataError
from equipoise.files.parsing import unpack
from equipoise.files.rows import ENDINGS, FileRow, read_rows
from equipoise.records import JSON

HUMANEVAL: Final = Source(
    path="humaneval/HumanEval.jsonl", licence="MIT", endings=(*ENDINGS, ".jsonl.gz")
)
MBPP: Final = Source(path="mbpp/mbpp.jsonl", licence="CC BY 4.0", endings=ENDINGS)
#: Numbers of the problems of each part of MBPP (Austin et al. 2021, section 2.1).
MBPP_PARTS: Final[Mapping[str, range]] = {
    "test": range(11, 511), "validation": range(511, 601), "train": range(601, 975),
}  # fmt: skip
#: The problems that the paper shows solved.
MBPP_SHOTS: Final = (2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeProblem:
    """A problem, a solution and its tests."""

    id: str
    prompt: str  # HumanEval: the beginning of the program; MBPP: the task in a sentence
    solution: str  # HumanEval: what follows the prompt; MBPP: the whole
    tests: tuple[str, ...]  # statements that fail for a wrong program
    setup: str = ""  # statements before a program
    name: str = ""  # of the function that is to be written; "": the prompt does not say
    groups: Mapping[str, str] = field(default_factory=dict)


def read_humaneval() -> list[CodeProblem]:
    """The problems in the order of the file. Raises `DataError` naming file and row."""
    problems = []
    for row in _rows(HUMANEVAL):
        name = row.text("entry_point").strip()
        if not name.isidentifier():
            raise DataError(
                f"{row.where}: entry_point must be the name of a function, got '{name[:40]}'; "
                "correct the row"
            )
        problems.append(
            CodeProblem(
                id=row.text("task_id").strip(),
                prompt=row.text("prompt"),
                solution=row.text("canonical_solution"),
                tests=(row.text("test"), f"check({name})"),
                name=name,
            )
        )
    refuse_repeated((problem.id for problem in problems), f"{HUMANEVAL.path}: task")
    return problems


def read_mbpp() -> dict[int, CodeProblem]:
    """All problems by their number. Raises `DataError` naming file and row."""
    problems: dict[int, CodeProblem] = {}
    for row in _rows(MBPP):
        number = row.label("task_id") or ""
        if not number.isdecimal() or int(number) in problems:
            raise DataError(
                f"{row.where}: task_id must be a number that no other row has, got "
                f"'{number[:40]}'; correct the row"
            )
        imports = () if row.structure("test_imports") is None else _texts(row, "test_imports")
        tests = _texts(row, "test_list")
        if not tests:  # every program would pass
            raise DataError(
                f"{row.where}: test_list must have a test, got {len(tests)}; correct the row"
            )
        problems[int(number)] = CodeProblem(
            id=number,
            prompt=row.text("text" if "text" in row.cells else "prompt").strip(),
            solution=row.text("code").replace("\r\n", "\n").strip(),
            tests=tests,
            setup="\n".join((row.label("test_setup_code") or "", *imports)).strip(),
        )
    return problems


def _rows(source: Source) -> Sequence[FileRow]:
    file = source.local_file()
    name = source.path if file is None else file.name
    return read_rows(unpack(source.read(), name), name)


def _texts(row: FileRow, column: str) -> tuple[str, ...]:
    value: JSON = row.structure(column)
    if not (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        raise DataError(f"{row.where}: {column} must be a list of texts, got {value!r:.40}; fix it")
    return tuple(str(part) for part in value)
