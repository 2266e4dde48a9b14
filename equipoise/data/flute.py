"""FLUTE: figurative sentences beside plain ones that follow from them, or contradict them.

Chakrabarty, Saakyan, Ghosh & Muresan 2022, https://aclanthology.org/2022.emnlp-main.481. JSON Lines
with `premise`, `hypothesis`, `label` (Entailment, Contradiction) and `type`; also in any other form
of rows with these columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.data.glue import Labelled
from equipoise.data.sources import OWN_LICENCE, Source
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, FileRow, read_rows
from equipoise.rows import text_sha256

_LABELS: Final = ("contradiction", "entailment")


@dataclass(frozen=True, slots=True, kw_only=True)
class FluteFile:
    """The file, whose official copy is not known here by its hash."""

    source: Source

    def rows(self) -> list[Labelled]:
        """The rows in the file's order: 1 entailment, 0 contradiction.

        Groups: `type` of figure ("none" where the file does not say), and `pair`, rows that share a
        premise or a hypothesis, also by way of others. Raises `DataError` naming file and row.
        """
        file = self.source.local_file()
        name = self.source.path if file is None else file.name
        rows = read_rows(self.source.read(), name)
        texts = [(row.text("premise").strip(), row.text("hypothesis").strip()) for row in rows]
        return [
            Labelled(
                id=row.place,
                texts=both,
                label=_read_label(row),
                groups={"type": (row.label("type") or "none").casefold(), "pair": pair},
            )
            for row, both, pair in zip(rows, texts, _pairs(texts), strict=True)
        ]


def _read_label(row: FileRow) -> int:
    label = (row.label("label") or "").casefold()
    if label not in _LABELS:
        raise DataError(
            f"{row.where}: label must be Entailment or Contradiction, got '{label[:40]}'; correct "
            "the row"
        )
    return _LABELS.index(label)


def _pairs(texts: Sequence[Sequence[str]]) -> list[str]:
    """A name for each row, the same for rows that share a text."""
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[str, int] = {}
    for row, both in enumerate(texts):
        for text in map(text_sha256, both):
            parent[root(row)] = root(first.setdefault(text, row))
    return [str(root(row)) for row in range(len(texts))]


FLUTE: Final = FluteFile(
    source=Source(path="flute/flute.jsonl", licence=OWN_LICENCE, endings=ENDINGS)
)
