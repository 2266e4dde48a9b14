"""Benchmark: examples, the requests they make of a model, and what the answers measure.

A benchmark never sees a model or a tensor. A subclass is a frozen pydantic dataclass
(`config=OPTIONS`) whose fields are its options, in a file whose name is the benchmark's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from equipoise.records import (
    Continuation,
    Contrast,
    DataUse,
    Example,
    Generation,
    Metric,
    NextToken,
    Outcome,
    Request,
    TextPair,
)

E = TypeVar("E", bound=Example)
R = TypeVar("R")


class Benchmark(ABC, Generic[E, R]):
    """A question that can be put to a model, with the ideal answer stated.

    `requests` and `outcome` are pure and deterministic.
    """

    version: ClassVar[str]  # raised whenever a number could change
    paper: ClassVar[str]
    cluster: ClassVar[str | None] = None  # the group key whose members are not independent
    by: ClassVar[tuple[str, ...]] = ()  # group keys that get rows of their own
    splits: ClassVar[tuple[str, ...]] = ("test",)  # the first is measured unless another is asked
    licence: ClassVar[str] = "own"
    faults: ClassVar[tuple[str, ...]] = ()  # known faults of the data or the metric, for the reader

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What is made of the outcomes, the headline first.

        A plain `metrics: ClassVar = (...)`, unless it depends on the options.
        """

    @abstractmethod
    def examples(self, split: str) -> Sequence[E]:
        """The examples of a split, ids unique. Raises `DataError` naming file and item."""

    @abstractmethod
    def requests(self, example: E) -> Sequence[Request]:
        """What to ask the model about one example."""

    @abstractmethod
    def outcome(self, example: E, responses: Sequence[R]) -> Outcome:
        """What the answers, in the order of the requests, measure."""


class UsesFiles(ABC):
    """A benchmark that reads data files, and can say which."""

    @abstractmethod
    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files behind a split, with their hashes."""


class Remarks(ABC):
    """A benchmark that has something to say of the data it found, beside its known faults."""

    @abstractmethod
    def remarks(self, split: str) -> tuple[str, ...]:
        """Notes for the reader of a result, whole sentences; same errors as `examples`."""


class TellsLabels(ABC):
    """A benchmark that can tell a method the labels of the very items it measures.

    Only a method with "labels" in `Mitigation.item_info` gets them, and results repeat it.
    """

    @abstractmethod
    def labelled(self) -> Sequence[Contrast]:
        """The items of the split that is measured first, with their labels."""


class NamesTexts(ABC, Generic[E]):
    """A benchmark whose requests do not hold the whole texts that its examples are made of."""

    @abstractmethod
    def texts(self, example: E) -> Sequence[str]:
        """Every text an edit may have learnt this example from, whole.

        The texts of the requests need not be repeated: both are compared with what an edit learnt.
        """


class ReadsPredictions(ABC):
    """A benchmark that can score published per-item predictions in its official format."""

    @abstractmethod
    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:
        """Outcomes from a file of predictions, plain or gzipped.

        Raises `DataError` naming the file and the first item that is missing or unreadable.
        """


AnyBenchmark = Benchmark[Any, Any]


def texts_of(
    benchmark: AnyBenchmark, example: Example, requests: Sequence[Request]
) -> Iterable[str]:
    """The texts of an example's requests, and the whole ones of which they hold a part only."""
    for request in requests:
        yield from _texts(request)
    if isinstance(benchmark, NamesTexts):
        yield from benchmark.texts(example)


def _texts(request: Request) -> tuple[str, ...]:
    """The texts of a request that an edit may have learnt from, beginnings included."""
    if isinstance(request, Continuation):
        context, whole = request.context, request.context + request.continuation
        return (context, whole) if context.strip() else (whole,)
    if isinstance(request, TextPair):
        return (request.first, request.second)
    if isinstance(request, NextToken):
        return (request.context, *(request.context + word for word in request.words))
    if isinstance(request, Generation):
        return (request.context,)
    return (request.text,)
