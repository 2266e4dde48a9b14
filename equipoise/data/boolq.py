"""BoolQ: questions that people asked a search engine, and a passage that answers yes or no.

Clark et al. 2019, https://aclanthology.org/N19-1300; CC BY-SA 3.0. JSON Lines with `question`,
`passage` and `answer` (true or false), as published; also with `label` in its place, as SuperGLUE
has them, and in any other form of rows, as the Hub has them. `title` is not read.
"""

from dataclasses import dataclass
from typing import Final

from equipoise.data.glue import Labelled
from equipoise.data.sources import Source
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, FileRow, read_rows
from equipoise.rows import text_sha256

LICENCE: Final = "CC BY-SA 3.0"
_TRUTHS: Final = {"false": 0, "0": 0, "no": 0, "true": 1, "1": 1, "yes": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoolqFile:
    """A file of questions, whose official copy is not known here by its hash."""

    source: Source

    def rows(self) -> list[Labelled]:
        """Passage and question of each row, in the file's order: 1 yes, 0 no.

        Group `passage` names rows that share it. A question mark at the end is taken away, since
        official questions have none. Raises `DataError` naming file and row.
        """
        file = self.source.local_file()
        name = self.source.path if file is None else file.name
        return [
            _labelled(row, row.text("passage").strip(), row.text("question").strip())
            for row in read_rows(self.source.read(), name)
        ]


def _labelled(row: FileRow, passage: str, question: str) -> Labelled:
    answer = row.label("answer" if "answer" in row.cells else "label") or ""
    if answer.casefold() not in _TRUTHS:
        raise DataError(
            f"{row.where}: answer (or label) must be true or false, got '{answer[:40]}'; correct "
            "the row"
        )
    return Labelled(
        id=row.place,
        texts=(passage, question.removesuffix("?").rstrip()),
        label=_TRUTHS[answer.casefold()],
        groups={"passage": text_sha256(passage)[:12]},
    )


DEV: Final = BoolqFile(
    source=Source(path="boolq/dev.jsonl", licence=LICENCE, endings=ENDINGS),
)
