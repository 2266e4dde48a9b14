"""Three tasks of GLUE as their official dev files hold them: SST-2, RTE and CoLA.

Wang et al. 2018 (arXiv 1804.07461). A file is tab-separated and quotes nothing: a quotation mark
is a character like any other. The labels of the official test files are not public.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from equipoise.data.sources import Source, read_text
from equipoise.errors import DataError
from equipoise.records import text_sha256

LICENCE: Final = "none stated (GLUE, research use)"

SST2: Final = Source(
    path="glue/SST-2/dev.tsv",
    url="https://raw.githubusercontent.com/forest-snow/alps/43232f234087cdbb4b06cd0e3997460610a0dbfd/data/SST-2/dev.tsv",
    revision="43232f234087cdbb4b06cd0e3997460610a0dbfd",
    sha256=("54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",),
    licence=LICENCE,
)
COLA: Final = Source(
    path="glue/CoLA/dev.tsv",
    sha256=("8c013e21dc39957cac37378d87bebe225b694a0d5fe13eded66c2856628833fd",),
    licence=LICENCE,
)
RTE: Final = Source(path="glue/RTE/dev.tsv", licence=LICENCE)

_REMEDY = "mend the file, or replace it by the official one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A sentence, or a premise and what may follow from it, with its true class."""

    id: str  # "line 2": where it stands in its file
    texts: tuple[str, ...]  # one sentence, or two; ends stripped
    label: int  # 1 is the positive class
    groups: Mapping[str, str] = field(default_factory=dict)


def read_sst2() -> list[Labelled]:
    """Phrases of film reviews: 1 positive, 0 negative.

    Raises `DataError` naming file and line.
    """
    rows = _read_rows(SST2, header=("sentence", "label"))
    return [
        Labelled(
            id=f"line {line}",
            texts=(_check_text(sentence, SST2, line),),
            label=_label_index(label, ("0", "1"), SST2, line),
        )
        for line, (sentence, label) in rows
    ]


def read_rte() -> list[Labelled]:
    """A premise and a hypothesis: 1 entailment, 0 not. Group `premise` names rows that share one.

    Raises `DataError` naming file and line.
    """
    rows = _read_rows(RTE, header=("index", "sentence1", "sentence2", "label"))
    return [
        Labelled(
            id=f"line {line}",
            texts=(_check_text(first, RTE, line), _check_text(second, RTE, line)),
            label=_label_index(label, ("not_entailment", "entailment"), RTE, line),
            groups={"premise": text_sha256(first)[:12]},
        )
        for line, (_, first, second, label) in rows
    ]


def read_cola() -> list[Labelled]:
    """Sentences of linguists: 1 acceptable English, 0 not. Group `source` is the publication.

    Raises `DataError` naming file and line.
    """
    return [
        Labelled(
            id=f"line {line}",
            texts=(_check_text(sentence, COLA, line),),
            label=_label_index(label, ("0", "1"), COLA, line),
            groups={"source": _check_text(source, COLA, line)},
        )
        for line, (source, label, _, sentence) in _read_rows(COLA, columns=4)
    ]


def _read_rows(
    source: Source, *, header: Sequence[str] = (), columns: int = 0
) -> list[tuple[int, list[str]]]:
    """Line numbers from 1 and the fields of each line below the header, if there is one."""
    lines = [line.removesuffix("\r") for line in read_text(source).split("\n")]
    if header and lines[0].split("\t") != list(header):
        raise DataError(  # without a header line 1 is a text, which is not shown
            f"{source.path}, line 1: must be the column names {list(header)}, got "
            f"{len(lines[0].split(chr(9)))} columns of other names; {_REMEDY}"
        )
    wanted, first = len(header) or columns, bool(header)
    rows = []
    for index, line in enumerate(lines[first:], start=1 + first):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != wanted:
            raise DataError(
                f"{source.path}, line {index}: must have {wanted} fields between tabs, "
                f"got {len(fields)}; {_REMEDY}"
            )
        rows.append((index, fields))
    if not rows:
        raise DataError(f"{source.path} must have rows, got {len(rows)}; {_REMEDY}")
    return rows


def _check_text(value: str, source: Source, line: int) -> str:
    if not value.strip():
        raise DataError(f"{source.path}, line {line}: must have a text, got {value!r}; {_REMEDY}")
    return value.strip()


def _label_index(value: str, known: Sequence[str], source: Source, line: int) -> int:
    if value not in known:
        raise DataError(
            f"{source.path}, line {line}: label must be one of {list(known)}, "
            f"got '{value[:40]}'; {_REMEDY}"
        )
    return known.index(value)
