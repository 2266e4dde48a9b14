"""Texts that stereotype nobody: news and facts, as rows of a training set.

Neither those that `perplexity` and `facts` measure on unless told otherwise, which an edit must not
have learnt.
"""

import re
from typing import Final

from equipoise.data.clozes import trex_facts, trex_sources
from equipoise.data.documents import read_documents
from equipoise.data.partition import shuffled
from equipoise.records import DataUse
from equipoise.rows import TrainingRow

#: Remains of markup, which 2,611 of the 7,600 texts of AG News have.
_MARKUP: Final = re.compile(r"\\|#\d+;|\b(?:quot|amp|lt|gt|nbsp);|&[a-z#]|<|https?:")
#: What the benchmarks `perplexity` and `facts` measure on by default: documents, and facts of a
#: relation, chosen as they choose them.
_MEASURED_NEWS: Final = 500
_MEASURED_FACTS: Final = 25


def news_rows() -> tuple[list[TrainingRow], tuple[DataUse, ...]]:
    """Every text of the AG News sample that is clean, different and not measured by default."""
    documents, use = read_documents(None)
    measured = set(shuffled(list(documents), seed=0)[:_MEASURED_NEWS])
    texts = {
        " ".join(text.split()): id
        for id, text in documents.items()
        if id not in measured and not _MARKUP.search(text)
    }
    rows = [_row(f"news:{id}", text, "ag_news") for text, id in texts.items()]
    return rows, (use,)


def fact_rows() -> tuple[list[TrainingRow], tuple[DataUse, ...]]:
    """The facts of T-REx as sentences by ParaRel's patterns, but those measured by default.

    T-REx's own sentences are in no file here; the paper's neutral rows are these.
    """
    known = trex_facts()
    ids: dict[str, list[str]] = {}
    for fact in known:
        ids.setdefault(fact.relation, []).append(fact.id)
    measured = {id for each in ids.values() for id in shuffled(each, seed=0)[:_MEASURED_FACTS]}
    avoided = {fact.prompt for fact in known if fact.id in measured}
    texts = {
        f"{fact.prompt} {fact.answer}.": fact.id
        for fact in known
        if fact.id not in measured and fact.prompt not in avoided
    }
    rows = [_row(f"facts:{id}", text, "trex") for text, id in texts.items()]
    return rows, tuple(source.use() for source in trex_sources())


def file_rows(file: str, label: str) -> tuple[list[TrainingRow], tuple[DataUse, ...]]:
    """The documents of a file of the user's own, all of one label; copies are left out."""
    documents, use = read_documents(file)
    texts: dict[str, str] = {}
    for id, text in documents.items():
        texts.setdefault(text, id)
    groups = {"label": label, "source": f"file {use.name}"}
    rows = [
        TrainingRow(id=f"{use.name}:{id}", text=text, groups=groups) for text, id in texts.items()
    ]
    return rows, (use,)


def _row(id: str, text: str, source: str) -> TrainingRow:
    return TrainingRow(id=id, text=text, groups={"label": "neutral", "source": source})
