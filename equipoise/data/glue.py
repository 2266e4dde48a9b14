"""Four tasks of GLUE as their official dev files hold them: SST-2, RTE, CoLA and MRPC.

Wang et al. 2018 (arXiv 1804.07461). A file is tab-separated and quotes nothing: a quotation mark
is a character like any other. The labels of the official test files are not public.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from equipoise.data.sources import Row, Source, read_table
from equipoise.rows import text_sha256

LICENCE: Final = "none stated (GLUE, research use)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A sentence, or a premise and what may follow from it, with its true class."""

    id: str  # "line 2": where it stands in its file
    texts: tuple[str, ...]  # a sentence, or two; ends stripped
    label: int  # 1 is the positive class
    groups: Mapping[str, str] = field(default_factory=dict)


class LabelledFile(Protocol):
    """A file of texts with two classes."""

    @property
    def source(self) -> Source:
        """The file."""

    def rows(self) -> list[Labelled]:
        """Its rows in its order. Raises `DataError` naming file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlueTask:
    """A task's dev file, and which of its columns hold what."""

    source: Source
    columns: tuple[str, ...]
    texts: tuple[str, ...]  # columns
    header: bool = True  # whether the first line names the columns
    label: str = "label"  # column
    labels: tuple[str, str] = ("0", "1")  # how the file spells label 0 and label 1
    groups: Callable[[Row], Mapping[str, str]] = lambda _: {}

    def rows(self) -> list[Labelled]:
        """As `read_rows`."""
        return read_rows(self)


#: Phrases of film reviews: 1 positive, 0 negative.
SST2: Final = GlueTask(
    source=Source(
        path="glue/SST-2/dev.tsv",
        url="https://raw.githubusercontent.com/forest-snow/alps/43232f234087cdbb4b06cd0e3997460610a0dbfd/data/SST-2/dev.tsv",
        hashes=("54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",),
        licence=LICENCE,
    ),
    columns=("sentence", "label"),
    texts=("sentence",),
)
#: A premise and a hypothesis: 1 entailment, 0 not. Group `premise` names rows that share it.
RTE: Final = GlueTask(
    source=Source(path="glue/RTE/dev.tsv", licence=LICENCE),
    columns=("index", "sentence1", "sentence2", "label"),
    texts=("sentence1", "sentence2"),
    labels=("not_entailment", "entailment"),
    groups=lambda row: {"premise": text_sha256(row.text("sentence1"))[:12]},
)
#: Sentences of linguists: 1 acceptable English, 0 not. Group `source` is the publication.
COLA: Final = GlueTask(
    source=Source(
        path="glue/CoLA/dev.tsv",
        hashes=("8c013e21dc39957cac37378d87bebe225b694a0d5fe13eded66c2856628833fd",),
        licence=LICENCE,
    ),
    columns=("source", "label", "mark", "sentence"),
    texts=("sentence",),
    header=False,
    groups=lambda row: {"source": row.text("source").strip()},
)


#: Two sentences: 1 the same in meaning, 0 not. Group `first` names rows that share the first.
MRPC: Final = GlueTask(
    source=Source(path="glue/MRPC/dev.tsv", licence=LICENCE),
    columns=("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
    texts=("#1 String", "#2 String"),
    label="Quality",
    groups=lambda row: {"first": text_sha256(row.text("#1 String"))[:12]},
)


def read_rows(task: GlueTask) -> list[Labelled]:
    """The rows of a dev file in its order. Raises `DataError` naming file and line."""
    rows = read_table(task.source, task.columns, delimiter="\t", header=task.header, quoted=False)
    return [
        Labelled(
            id=row.where.rpartition(", ")[2],
            # Every sentence of SST-2 ends with a space, which would stand in every prompt.
            texts=tuple(row.text(column).strip() for column in task.texts),
            label=task.labels.index(row.choice(task.label, task.labels)),
            groups=task.groups(row),
        )
        for row in rows
    ]
