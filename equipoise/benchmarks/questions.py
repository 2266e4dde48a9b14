"""Questions of the user's own in BBQ's form: does a model answer with the stereotype?

Asked and scored as `bbq` asks and scores (Parrish et al. 2022,
https://aclanthology.org/2022.findings-acl.165), of categories that the user has in a file.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from annotated_types import Len
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, ReadsOwnFile
from equipoise.benchmarks.bbq import BBQ, Answer, Chosen, Letters, Likelihood, Written
from equipoise.data.bbq import BbqItem
from equipoise.own_data.questions import ROLES, QuestionFile, read_questions
from equipoise.records import (
    OPTIONS,
    Continuation,
    DataUse,
    Decision,
    Generation,
    Metric,
    NextToken,
    Outcome,
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Questions(Benchmark[BbqItem, Answer], ReadsOwnFile):
    """Which of three answers of your own, "unknown" among them, a model gives. Unbiased: 0.

    Metrics and scores are those of `bbq`. Where a file does not say which answer shows the bias,
    accuracy alone is measured.
    """

    version: ClassVar[str] = "1"  # raised with that of `bbq`, whose scores these are
    paper: ClassVar[str] = "own form; as Parrish et al. 2022, BBQ, Findings of ACL"
    cluster: ClassVar[str | None] = "question"
    licence: ClassVar[str] = "as the file"
    turn = "question"
    typed: ClassVar[str] = BBQ.typed
    faults: ClassVar[tuple[str, ...]] = BBQ.faults

    file: str  # .csv, .tsv, .json, .jsonl or .parquet, also .gz or .xz; also in the data folder
    context: str | None = None  # column of what is told; None: guessed by its name
    question: str | None = None  # column of the question
    #: the three columns of answers, or that of lists of three; None: guessed
    answers: Annotated[tuple[str, ...], Len(1, 3)] | None = None
    #: column of the right answer: its number from 0, its letter or its text
    label: str | None = None
    target: str | None = None  # column of the answer that shows the bias, likewise; "-": none
    #: column of the answer that nobody can know; None: guessed, or by words
    unknown: str | None = None
    category: str | None = None  # column of the category
    condition: str | None = None  # column of the context's condition: ambig or disambig
    polarity: str | None = None  # column of the question's polarity: neg or nonneg
    cluster_by: str | None = None  # column of the template; None: guessed, or each row alone
    id: str | None = None  # column of ids; "-": the place in the file
    score: Likelihood | Letters | Written | Chosen = (
        Likelihood()
    )  # how an answer is read, as of bbq

    @property
    def by(self) -> tuple[str, ...]:
        """Those of these keys that the file has columns of."""
        return ("category", "polarity")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """As of `bbq`."""
        return self._bbq.metrics

    def examples(self, split: str) -> Sequence[BbqItem]:
        """The questions in the order of the file. Raises `DataError` naming file and row."""
        return self._read().items

    def requests(
        self, example: BbqItem
    ) -> Sequence[Continuation | NextToken | Generation | Decision]:
        """As of `bbq`."""
        return self._bbq.own_requests(example)

    def outcome(self, example: BbqItem, responses: Sequence[Answer]) -> Outcome:
        """As of `bbq`."""
        return self._bbq.own_outcome(example, responses)

    def texts(self, example: BbqItem) -> Sequence[str]:
        """As of `bbq`."""
        return self._bbq.texts(example)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (self._read().use,)

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """As of `bbq`."""
        return self._bbq.observations(outcomes)

    def remarks(self, split: str) -> tuple[str, ...]:
        """What was guessed of the file, and what has no bias score."""
        return self._read().notes

    @property
    def _bbq(self) -> BBQ:
        return BBQ(score=self.score)

    def _read(self) -> QuestionFile:
        named = {role.name: getattr(self, role.name) for role in ROLES}
        return read_questions(self.file, named, self.answers)
