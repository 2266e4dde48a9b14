"""CEB's classification files: people of two groups, or comments about them, with a yes or a no.

Wang et al. 2025, CEB, ICLR, https://arxiv.org/abs/2407.02408: Adult and Credit as descriptions in
words, Jigsaw as comments.
"""

import re
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Len
from pydantic import RootModel

from equipoise.data.ceb import CebQuestions, NumberedQuestion, keep_answerable, source
from equipoise.data.sources import REMEDY, Source, read_json
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError

ClassificationPart: TypeAlias = Literal[
    "adult_gender", "adult_race", "credit_age", "credit_gender",
    "jigsaw_gender", "jigsaw_race", "jigsaw_religion",
]  # fmt: skip

_ANSWERS: Final = ("yes", "no")  # as the options of every prompt are listed
_LISTED: Final = re.compile(
    r"(?P<before>.*?Answer with one of the following:) 1\. (?P<yes>YES.*?); 2\. (?P<no>NO.*?)"
    r"(?P<after>\.\s*\n.*)",
    re.DOTALL,
)


class _Classified(Record):
    prompt: Text
    label: Literal["yes", "no"]
    sensitive_attr: Text


class _ClassifiedRows(RootModel[Annotated[list[_Classified], Len(1)]]):
    """The whole file."""


def classification_source(part: ClassificationPart) -> Source:
    """The file of a part."""
    data, _, attribute = part.partition("_")
    return source(f"CEB Classification/CEB-{data.capitalize()}/{attribute}.json")


def read_classification(part: ClassificationPart) -> CebQuestions:
    """The rows of a part as questions, option 0 yes; their group is `groups["group"]`.

    Left out, and told: rows whose prompt is there with the other answer too, and copies. Raises
    `DataError` naming file and row.
    """
    file = classification_source(part)
    rows = read_record(_ClassifiedRows, read_json(file), file.path).root
    questions = []
    for number, row in enumerate(rows, 1):
        match = _LISTED.fullmatch(row.prompt)
        if match is None:
            raise DataError(
                f"{file.path}, row {number}: the prompt must list '1. YES …; 2. NO …', got a text "
                f"of {len(row.prompt)} letters without; {REMEDY}"
            )
        questions.append(
            NumberedQuestion(
                id=f"{part}/{number}",
                before=match["before"],
                options=(match["yes"], match["no"]),
                after=match["after"],
                target=_ANSWERS.index(row.label),
                judged=(match["after"],),
                texts=(),
                groups={"group": row.sensitive_attr.strip()},
            )
        )
    kept, notes = keep_answerable(questions, file.path)
    groups = sorted({question.groups["group"] for question in kept})
    if len(groups) < 2:
        raise DataError(
            f"{file.path} must have rows of two groups, got {len(groups)}; replace the file"
        )
    return CebQuestions(questions=tuple(kept), notes=tuple(notes))
