"""GSM-Plus: the problems of GSM8K, each in eight altered forms.

Li et al. 2024, https://aclanthology.org/2024.acl-long.163; CC BY-SA 4.0. JSON Lines with
`question`, `solution`, `answer`, `perturbation_type` and `seed_question`, also in any other form of
rows, as the Hub has them. A problem that lacks what its solution would need has no number, but
"None". An answer of several numbers, as "1/2", is none that what is written is compared with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from equipoise.data.gsm8k import Problem, last_number
from equipoise.data.sources import Source
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, read_rows
from equipoise.rows import text_sha256

LICENCE: Final = "CC BY-SA 4.0"
TEST: Final = Source(path="gsm_plus/test.jsonl", licence=LICENCE, endings=ENDINGS)
_UNSOLVABLE: Final = ("", "none")
_APART: Final = re.compile(r"[\s/:]+")  # between the numbers of "1/2", "2:30" and "12 or 13"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredProblem:
    """A problem and what it was made of."""

    problem: Problem | None  # None: there is no number to compare
    solvable: bool = True
    groups: Mapping[str, str] = field(default_factory=dict)


def read_problems() -> list[AlteredProblem]:
    """The problems in the order of the file. Raises `DataError` naming file and row.

    Groups: `change`, how it was altered, and `seed`, the same for all that are made of a problem.
    """
    file = TEST.local_file()
    problems = []
    for row in read_rows(TEST.read(), TEST.path if file is None else file.name):
        question, answer = row.text("question").strip(), row.label("answer") or ""
        number = last_number(answer)
        numbers = {last_number(part) for part in _APART.split(answer)} - {None}
        solvable = answer.casefold() not in _UNSOLVABLE
        if solvable and number is None:
            raise DataError(
                f"{row.where}: answer must be a number or None, got '{answer[:40]}'; correct the "
                "row"
            )
        worked = f"{(row.label('solution') or '').strip()}\n#### {answer}"
        seed = row.label("seed_question") or question
        problems.append(
            AlteredProblem(
                problem=Problem(id=row.place, question=question, answer=worked, number=number)
                if solvable and number is not None and len(numbers) == 1
                else None,
                solvable=solvable,
                groups={
                    "change": (row.label("perturbation_type") or "not said").casefold(),
                    "seed": text_sha256(seed)[:12],
                },
            )
        )
    return problems
