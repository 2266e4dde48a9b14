"""RACE: which of four options answers a question about an article?

Lai et al. 2017, "RACE: Large-scale ReAding Comprehension Dataset From Examinations",
https://aclanthology.org/D17-1082; as an ability that is to be kept: LFTF, section 5.2.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import race as official
from equipoise.data.race import ReadingQuestion
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored

_PAPER = "Lai et al. 2017, section 5"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Race(Benchmark[ReadingQuestion, Scored]):
    """How often the right option is likelier than three others. Perfect: 100 %; guessing: 25.

    An option is scored after "Article: …", "Question: …" and "Answer:", a space before it.
    `accuracy` compares the summed log-probabilities, as lm-evaluation-harness does (which shows an
    article's earlier questions, too, and takes the last alone); `accuracy_norm` divides them by the
    option's UTF-8 bytes, so that short options are not favored. Groups: level of school.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Lai et al. 2017, RACE, EMNLP; LFTF, section 5.2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy", "correct", grid=ability.FOUR_CHOICES, margin=2.0,
            source=f"{_PAPER}: summed log-probabilities; a tie counts its share",
        ),
        ability.share(
            "accuracy_norm", "correct_norm", grid=ability.FOUR_CHOICES,
            source=f"own, beside {_PAPER}: log-probabilities per byte; a tie counts its share",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "article"
    by: ClassVar[tuple[str, ...]] = ("level",)
    shares_ties: ClassVar[bool] = True
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 25 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "an option is scored as a text that follows: a question with a gap ('_') reads unlike text",
        "the articles and questions are in many models' training text",
    )

    levels: tuple[Literal["middle", "high"], ...] = ("middle", "high")  # of school

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise ValueError(
                f"levels must be one or more of {list(official.LEVELS)}, each once, got "
                f"{list(self.levels)}"
            )
        return self

    def examples(self, split: str) -> Sequence[ReadingQuestion]:
        """The questions, level by level. Raises `DataError` naming file and row."""
        return [
            question for level in self.levels for question in official.read_questions(level, split)
        ]

    def requests(self, example: ReadingQuestion) -> Sequence[Continuation]:
        """The four options after article and question."""
        context = f"Article: {example.article}\n\nQuestion: {example.question}\nAnswer:"
        return [
            Continuation(context=context, continuation=f" {option}") for option in example.options
        ]

    def texts(self, example: ReadingQuestion) -> Sequence[str]:
        """Article and question, alone and with each option, without their names."""
        question = example.question
        pairs = tuple(f"{question} {option}" for option in example.options)
        return (example.article, question, f"{example.article} {question}", *pairs)

    def outcome(self, example: ReadingQuestion, responses: Sequence[Scored]) -> Outcome:
        """`correct` by summed log-probabilities and `correct_norm` by those per byte, in [0, 1]."""
        sums = [response.logprob for response in responses]
        values = ability.answered_by_sum_and_byte(sums, example.options, example.answer)
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file of each level."""
        return tuple(official.source(level, split).use() for level in self.levels)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How the questions are put, and which levels were left out."""
        left_out = [level for level in official.LEVELS if level not in self.levels]
        more = (f"level {', '.join(left_out)} was not measured",) if left_out else ()
        return ("0 solved questions were shown before each, and no other of the article", *more)
