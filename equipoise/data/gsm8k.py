"""GSM8K: grade-school problems in words, their worked answers, and the number in a written answer.

Cobbe et al. 2021 (arXiv 2110.14168); MIT. A worked answer ends with its number after "####"; what
stands between "<<" and ">>" in it is a note for a calculator, kept as the file has it.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from equipoise.data.partition import shuffled
from equipoise.data.sources import REMEDY, Source
from equipoise.data.validation import Record, Text, read_lines
from equipoise.errors import DataError

LICENCE: Final = "MIT"

_FOLDER = (
    "https://raw.githubusercontent.com/openai/grade-school-math/"
    "3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data"
)
TEST, TRAIN = (
    Source(f"gsm8k/{name}", url=f"{_FOLDER}/{name}", hashes=(sha256,), licence=LICENCE)
    for name, sha256 in (
        ("test.jsonl", "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"),
        ("train.jsonl", "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465"),
    )
)

_MARKED = re.compile(r"####\s*(-?\$?-?[\d.,]+)")
#: A number anywhere; a minus directly after a digit or a bracket takes away, and is no sign.
_NUMBER = re.compile(r"(?:(?<![\d)])-)?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question and how it is worked out."""

    id: str  # "line 1": where it stands in its file
    question: str  # ends stripped
    answer: str  # worked, ending in "#### " and the number
    number: Decimal


class _Row(Record):
    question: Text
    answer: Text


def read_problems(source: Source) -> list[Problem]:
    """The problems of `TEST` or `TRAIN` in the order of the file.

    Raises `DataError` naming file and line.
    """
    problems = []
    for line, row in read_lines(_Row, source.read(), source.path):
        worked = row.answer.strip()
        number = marked_number(worked)
        if number is None:
            raise DataError(
                f"{source.path}, line {line}: the answer must end in '#### ' and a number, got "
                f"{worked.count('####')} times '####'; {REMEDY}"
            )
        question = row.question.strip()
        problems.append(Problem(id=f"line {line}", question=question, answer=worked, number=number))
    return problems


def shots_at_hand() -> bool:
    """Whether the training file lies where the test file does.

    Where the user has a test file of their own, a training file of their own must be beside it;
    otherwise both are fetched.
    """
    return TEST.local_file() is None or TRAIN.local_file() is not None


def read_shots(count: int) -> list[Problem]:
    """`count` problems of the training file, a fixed choice by hash; the file is unread for 0.

    Raises `DataError` when the file has fewer, and as `read_problems` does.
    """
    if count == 0:
        return []
    known = {problem.id: problem for problem in read_problems(TRAIN)}
    if len(known) < count:
        raise DataError(
            f"{TRAIN.path} must have {count} problems to show, got {len(known)}; "
            "ask for fewer shots, or replace the file"
        )
    return [known[id] for id in shuffled(list(known), seed=0)[:count]]


def marked_number(text: str) -> Decimal | None:
    """The number after the first "####"; None when there is none to read."""
    marked = _MARKED.search(text)
    return None if marked is None else _parse_number(marked[1])


def last_number(text: str) -> Decimal | None:
    """The last number of a text, whatever stands around it; None when there is none."""
    numbers = _NUMBER.findall(text)
    return _parse_number(numbers[-1]) if numbers else None


def _parse_number(text: str) -> Decimal | None:
    plain = text.replace(",", "").replace("$", "").removesuffix(".")
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None
