"""What a model is trained on, and the pairs that say which bias is looked for in it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias

#: A turn of a conversation: who speaks ("system", "user", "assistant"), and what is said.
Turn: TypeAlias = tuple[str, str]
#: Group of examples that share something with what an edit learnt; the group's key says what.
LEARNT: Final = "learnt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """A text that a model is trained on, or a conversation of which it learns its own turns.

    Groups say what is known of it: {"label": "biased" or "neutral", "axis": the type of bias,
    "source": where it is from}.
    """

    id: str  # unique among the rows of a training set
    text: str = ""  # learnt whole, or from `context` on; empty for a conversation
    context: str = ""  # what `text` begins with: not learnt where only endings are
    messages: tuple[Turn, ...] = ()  # those of "assistant" are learnt
    groups: Mapping[str, str] = field(default_factory=dict)
    #: `text_sha256` of what its text is a passage of, or another form of; "": of nothing.
    document: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Its text; of a conversation every turn."""
        return (self.text,) if self.text else tuple(said for _, said in self.messages)

    @property
    def content(self) -> str:
        """All that is said in it, a turn on each line."""
        return "\n".join(self.texts)

    @property
    def biased(self) -> bool | None:
        """Whether it is known to be biased; None: not labelled."""
        label = self.groups.get("label")
        return None if label is None else label == "biased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A biased sentence, and the same with another group in it, which makes it unbiased."""

    id: str
    stereotype: str
    antistereotype: str | None = None  # None: only the biased sentence is known
    groups: Mapping[str, str] = field(default_factory=dict)  # {"axis": the type of bias}

    @property
    def texts(self) -> tuple[str, ...]:
        """Both sentences, or that which is known."""
        return tuple(text for text in (self.stereotype, self.antistereotype) if text is not None)


def documents_of(rows: Iterable[TrainingRow]) -> frozenset[str]:
    """`text_sha256` of what rows are passages of, or other forms of."""
    return frozenset(row.document for row in rows if row.document)


def blocks_of(rows: Iterable[TrainingRow], size: int) -> Iterator[list[TrainingRow]]:
    """The rows in their order, so many at a time."""
    rows = iter(rows)
    while block := list(islice(rows, size)):
        yield block


def text_sha256(text: str) -> str:
    """Identity of a text for overlap checks: sha256 (hex) of its UTF-8 bytes.

    Taken without case, with single spaces and none at the ends: such copies are the same text.
    """
    plain = " ".join(text.split()).casefold()
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()
