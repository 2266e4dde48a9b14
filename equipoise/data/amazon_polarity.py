r"""Amazon polarity: reviews of products, and whether they are for or against.

Zhang, Zhao & LeCun 2015, https://arxiv.org/abs/1509.01626. The official test.csv has no header:
label (1 negative, 2 positive), title and text, in quotation marks, with "\n" for a new line.
"""

from dataclasses import dataclass
from typing import Final

from equipoise.data.glue import Labelled
from equipoise.data.sources import OWN_LICENCE, Source, read_table

_LABELS: Final = ("1", "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonFile:
    """The file, whose official copy is not known here by its hash."""

    source: Source

    def rows(self) -> list[Labelled]:
        """The rows in the file's order: 1 positive, 0 negative. A title may be missing.

        Raises `DataError` naming file and line.
        """
        return [
            Labelled(
                id=row.where.rpartition(", ")[2],
                texts=(_plain(row.values["title"]), _plain(row.text("text"))),
                label=_LABELS.index(row.choice("label", _LABELS)),
            )
            for row in read_table(self.source, ("label", "title", "text"), header=False)
        ]


def _plain(text: str) -> str:
    return text.replace("\\n", "\n").strip()


AMAZON: Final = AmazonFile(source=Source(path="amazon_polarity/test.csv", licence=OWN_LICENCE))
