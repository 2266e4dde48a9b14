"""Benchmark: examples, the requests they make of a model, and what the answers measure.

A benchmark never sees a model or a tensor. A subclass is a frozen pydantic dataclass
(`config=OPTIONS`) whose fields are its options, in a file whose name is the benchmark's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import field_validator
from pydantic.dataclasses import dataclass

from equipoise.data import glue
from equipoise.data.glue import Labelled
from equipoise.data.known_faults import check_kinds
from equipoise.dialogues import Dialogue
from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.metrics import ability, target_parts
from equipoise.records import (
    OPTIONS,
    Continuation,
    Contrast,
    DataUse,
    Decision,
    Estimate,
    Example,
    Generation,
    Metric,
    NextToken,
    Outcome,
    Request,
    Scored,
    TextPair,
)
from equipoise.text_scorers.base import TextScorer, WrittenText

E = TypeVar("E", bound=Example)
R = TypeVar("R")


class Benchmark(ABC, Generic[E, R]):
    """A question that can be put to a model, with the ideal answer stated.

    `requests` and `outcome` are pure and deterministic.
    """

    version: ClassVar[str]  # raised whenever a number could change
    paper: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ("test",)  # the first is measured unless another is asked
    licence: ClassVar[str] = "own"
    #: A group key of two groups: `compare` says how differently the first metric changed in them.
    halves: ClassVar[str | None] = None
    faults: ClassVar[tuple[str, ...]] = ()  # known faults of the metric, for the reader
    data_faults: ClassVar[tuple[str, ...]] = ()  # of the official files, and said of these alone
    #: What contexts are, for a model that is asked in a chat (`inference.chat`): questions, which
    #: the model answers in its turn, or texts that run on.
    turn: ClassVar[Literal["question", "text"]] = "text"
    shares_ties: ClassVar[bool] = False  # of equally likely answers each counts its share
    related: ClassVar[tuple[str, ...]] = ()  # group keys of `relate`
    typed: ClassVar[str] = ""  # the option under which a decision model is asked; "": none

    @property
    def cluster(self) -> str | None:
        """The group key whose members are not independent; None: each example is a unit.

        A plain `cluster: ClassVar = "key"`, unless it depends on the options.
        """
        return None

    @property
    def by(self) -> tuple[str, ...]:
        """Group keys that get rows of their own.

        A plain `by: ClassVar = (...)`, unless it depends on the options.
        """
        return ()

    @property
    def crossed(self) -> Mapping[str, str]:
        """Metrics, means of rows, with a second interval: over clusters and groups of this key.

        A plain `crossed: ClassVar = {...}`, unless it depends on the options.
        """
        return {}

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """What is made of the outcomes, the headline first.

        A plain `metrics: ClassVar = (...)`, unless it depends on the options.
        """

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the metrics that are said first: the first, and those with a margin.

        A plain `headline: ClassVar = (...)`, unless it depends on the options.
        """
        first, *others = self.metrics
        return (first.name, *(metric.name for metric in others if metric.margin is not None))

    @property
    def about(self) -> Mapping[str, tuple[str, str]]:
        """What each metric means, as far as it says, and its source."""
        return {metric.name: (metric.meaning, metric.source) for metric in self.metrics}

    @property
    def slices(self) -> tuple[str, ...]:
        """Group keys by which the first headline is compared between groups, the coarsest first.

        Those of `by`, and the clusters: target terms, professions, templates.
        """
        return (*self.by, *(() if self.cluster is None else (self.cluster,)))

    @abstractmethod
    def examples(self, split: str) -> Sequence[E]:
        """The examples of a split, ids unique. Raises `DataError` naming file and item."""

    @abstractmethod
    def requests(self, example: E) -> Sequence[Request]:
        """What to ask the model about an example."""

    @abstractmethod
    def outcome(self, example: E, responses: Sequence[R]) -> Outcome:
        """What the answers, in the order of the requests, measure."""

    def relate(
        self, examples: Sequence[E], trained_on: frozenset[str], aliases: Mapping[str, str]
    ) -> Sequence[Mapping[str, str]]:
        """Groups of each example by what it shares with what an edit learnt, beside whole texts.

        `trained_on`: hashes of what was learnt (`rows.text_sha256`). `aliases`: names of the same
        people that its supply had beside the built-in ones. Keys are those of `related`, and
        `rows.LEARNT` the group of what was learnt; {} where nothing of the kind was.
        """
        return [{} for _ in examples]

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The data files behind a split, with their hashes; none unless a benchmark says so."""
        return ()

    def remarks(self, split: str) -> tuple[str, ...]:
        """Notes on the data for the reader of a result, whole sentences; beside `faults`."""
        return ()

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Notes on what was answered, whole sentences, where a reader of the table must know."""
        return ()

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Notes on what was measured, whole sentences, where numbers must be read together."""
        return ()

    def guesses(self, examples: Sequence[E]) -> Mapping[str, tuple[str, Sequence[Sequence[R]]]]:
        """What rules answer that are the benchmark's own and ask no model, beside those of `nulls`.

        By name: what the rule does ("names the relation's most frequent object"), and its answers
        about each example, in the order of the requests.
        """
        return {}

    def texts(self, example: E) -> Sequence[str]:
        """Every text an edit may have learnt this example from, whole.

        To be given where requests hold a part of it only; their own texts need not be repeated.
        """
        return ()


class WordClassification(Benchmark[Labelled, Scored]):
    """Texts with two classes that are words, as GLUE's: compared are their log-probabilities."""

    splits = ("dev",)
    licence = glue.LICENCE
    turn = "question"
    shares_ties = True
    task: ClassVar[glue.LabelledFile]
    words: ClassVar[tuple[str, str]]  # of label 0 and label 1, each with its leading space
    form: ClassVar[str]  # of the prompt, with a place {} for each text

    def examples(self, split: str) -> Sequence[Labelled]:
        """The rows of the file in its order. Raises `DataError` naming file and line."""
        return self.task.rows()

    def requests(self, example: Labelled) -> Sequence[Continuation]:
        """Both answers, that of label 0 first."""
        context = self.form.format(*example.texts)
        return [Continuation(context=context, continuation=word) for word in self.words]

    def texts(self, example: Labelled) -> Sequence[str]:
        """The texts, which the prompt holds with a question, apart and after each other."""
        return tuple(dict.fromkeys((*example.texts, " ".join(example.texts))))

    def outcome(self, example: Labelled, responses: Sequence[Scored]) -> Outcome:
        """`correct`, `predicted` and `truth` in [0, 1]."""
        values = ability.classified([response.logprob for response in responses], example.label)
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (self.task.source.use(),)


def truth_question(text: str) -> Decision:
    """Whether a text is true: what is asked of a decision model about a stereotype ("noul")."""
    return Decision(text=text, question="Is this statement true?")


class TellsLabels(ABC):
    """A benchmark that can tell a method the labels of the very items it measures.

    Only a method with "labels" in `Mitigation.item_info` gets them, and results repeat it.
    """

    @abstractmethod
    def labelled(self) -> Sequence[Contrast]:
        """The items of the split that is measured first, with their labels."""


class AsksAboutOthers(ABC, Generic[E, R]):
    """A benchmark that asks of each example again with others in its target's place.

    Mixed in before `Benchmark`; `exchange` is an option, without which nothing is exchanged.
    """

    exchange: target_parts.Count
    compared_texts: ClassVar[int] = 2  # whose numbers of tokens are compared: `retokenized`
    compares_targets: ClassVar[bool] = False  # the target's name is itself among what is compared

    @abstractmethod
    def own_requests(self, example: E) -> Sequence[Request]:
        """What to ask about an example or a copy as it is."""

    @abstractmethod
    def own_outcome(self, example: E, responses: Sequence[R]) -> Outcome:
        """What the answers to that measure."""

    @abstractmethod
    def copies(self, example: E) -> Sequence[E]:
        """The example with others in its target's place; none where it cannot be exchanged."""

    @abstractmethod
    def compared(self, outcome: Outcome) -> Mapping[str, float]:
        """The values of an outcome that are compared with those of copies, the answer first."""

    def requests(self, example: E) -> Sequence[Request]:
        """What is asked about the example, then the same about each of its copies."""
        asked = (example, *self.copies(example))
        return [request for each in asked for request in self.own_requests(each)]

    def outcome(self, example: E, responses: Sequence[R]) -> Outcome:
        """What the answers measure; of an example with copies also what changes with others."""
        copies = self.copies(example)
        if not copies:
            return self.own_outcome(example, responses)
        remaining, asked = iter(responses), (example, *copies)
        parts = [[next(remaining) for _ in self.own_requests(each)] for each in asked]
        outcome, *others = map(self.own_outcome, asked, parts)
        tokens = target_parts.retokenized(parts[0], parts[1:], texts=self.compared_texts)
        return target_parts.with_others(
            replace(outcome, values={**outcome.values, **tokens}),
            self.compared(outcome),
            [self.compared(other) for other in others],
        )


class JudgesTexts(ABC, Generic[E]):
    """A benchmark of which a judge grades what was written, once all of a shard is there.

    `outcome` gives what needs no judge, and nan for the rest. Mixed in; `judge` is an option.
    """

    judge: Judge

    @abstractmethod
    def judged(self, example: E, outcome: Outcome) -> Sequence[JudgedText]:
        """The texts of an outcome that are graded; none where nothing was written."""

    @abstractmethod
    def graded(self, example: E, outcome: Outcome, judgements: Sequence[Judgement]) -> Outcome:
        """The outcome with what the judge says of those texts, in their order."""


class ScoresTexts(ABC, Generic[E]):
    """A benchmark of which scorers score what was written, once all of a shard is there.

    `outcome` gives the text, and what needs no scorer. Mixed in; `scorers` is an option.
    """

    scorers: tuple[TextScorer, ...]

    @abstractmethod
    def written(self, example: E, outcome: Outcome) -> WrittenText | None:
        """The text of an outcome that is scored; None where nothing was written."""

    def reference(self, example: E) -> WrittenText | None:
        """What a person wrote after the same prompt, scored beside it; none unless it says so."""
        return None

    @abstractmethod
    def scored(self, example: E, outcome: Outcome, scores: Mapping[str, float]) -> Outcome:
        """The outcome with the numbers of its text, by name of scale.

        Those of its reference are under the same names with "_human" at their end.
        """


class ReadsPredictions(ABC):
    """A benchmark that can score published per-item predictions in its official format."""

    @abstractmethod
    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:
        """Outcomes from a file of predictions, plain or gzipped.

        Raises `DataError` naming the file and the first item that is missing or unreadable.
        """


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class KnowsFaults:
    """A benchmark with known faults of its files: `data/faults/NAME.yaml`, by its name."""

    #: kinds of known faults whose examples are left out, or "all" (docs/data-faults.md)
    without_faults: tuple[str, ...] = ()

    @field_validator("without_faults")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        # a plug-in is called as its file is
        check_kinds(cls.__module__.rpartition(".")[2], kinds)
        return kinds


class ReadsOwnFile:
    """A benchmark of a file that an option names: `files` refuses what is wrong with it."""


AnyBenchmark = Benchmark[Any, Any]


def related_groups(
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    trained_on: frozenset[str],
    aliases: Mapping[str, str],
) -> dict[str, Mapping[str, str]]:
    """The groups of each example, by id, by what it shares with what was learnt (`relate`)."""
    if not (benchmark.related and trained_on):
        return {example.id: {} for example in examples}
    groups = benchmark.relate(examples, trained_on, aliases)
    return {example.id: each for example, each in zip(examples, groups, strict=True)}


def texts_of(
    benchmark: AnyBenchmark, example: Example, requests: Sequence[Request]
) -> Iterable[str]:
    """The texts of an example that an edit may have learnt from.

    Those of its requests, contexts included, and the whole texts of which they hold a part only;
    not those of copies with others in its target's place, which are not the example.
    """
    if isinstance(benchmark, AsksAboutOthers):
        requests = benchmark.own_requests(example)
    for request in requests:
        match request:
            case Continuation(context=context, continuation=continuation):
                # An empty context is the text of no example: its hash would be that of any other.
                if context.strip():
                    yield context
                yield context + continuation
            case TextPair(first=first, second=second):
                yield from (first, second)
            case NextToken(context=context, words=words):
                yield from (context, *(context + word for word in words))
            case Generation(context=context):
                yield context
            case Dialogue(turns=turns):
                yield from (*turns, " ".join(turns))
            case Decision(text=text, question=question):
                yield from (text, f"{text} {question}")
            case _:
                yield request.text
    yield from benchmark.texts(example)
