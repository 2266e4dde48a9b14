"""GSM8K: grade-school problems in words, answered by writing.

Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems", arXiv 2110.14168.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import gsm8k as official
from equipoise.data.gsm8k import Problem
from equipoise.data.stop_strings import cut_at_stops
from equipoise.metrics import ability
from equipoise.records import OPTIONS, DataUse, Generation, Metric, Outcome

_PAPER: Final = "Cobbe et al. 2021"
_USUAL_SHOTS: Final = 5
_ENDS: Final = ("Question:", "</s>", "<|im_end|>")  # where what was written ends, at the latest


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Gsm8kExample:
    """A problem, and the worked problems that are shown before it."""

    id: str
    before: str  # "" without any
    problem: Problem
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Gsm8k(Benchmark[Gsm8kExample, str]):
    """How often the number that a model writes is right. Perfect: 100 %; guessing: 0.

    Written greedily after "Question: … Answer:", up to `max_tokens` or to where a next question
    begins. `accuracy` reads the number after "####", the form of the worked answers;
    `accuracy_flexible` reads the last number. Numbers are compared as numbers: 18.00 is 18, and
    18 dollars is $18. What holds no number to read is wrong, and counted as unparsed.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Cobbe et al. 2021, GSM8K"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy", "correct", source=f'{_PAPER}: the number after "####"', grid=100.0
        ),
        ability.share(
            "accuracy_flexible", "correct_flexible", grid=100.0, margin=2.0,
            source="as lm-evaluation-harness (flexible-extract): the last number written",
        ),
        ability.share(
            "unparsed", "unparsed", better=False, grid=100.0,
            source='own: no number after "####"; counted as wrong in accuracy',
        ),
        ability.share(
            "unparsed_flexible", "unparsed_flexible", better=False, grid=100.0,
            source="own: no number at all; counted as wrong in accuracy_flexible",
        ),
    )  # fmt: skip
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "without worked problems before it a base model hardly writes '####': read "
        "accuracy_flexible and unparsed beside accuracy",
        "a model at 0 % has nothing to lose, and 'kept' says nothing of it",
        "a right number may follow from wrong steps; the steps are not judged",
        "the problems and their like are in many models' training text",
    )

    #: worked problems before each, a fixed choice by hash; None: 5, or 0 without a training file
    shots: Annotated[int, Field(ge=0, le=32)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 256  # the longest answer that is written

    def examples(self, split: str) -> Sequence[Gsm8kExample]:
        """The problems in the order of the file. Raises `DataError` naming file and line."""
        before = self.worked_problems()
        return [
            Gsm8kExample(id=problem.id, before=before, problem=problem)
            for problem in official.read_problems(official.TEST)
        ]

    def requests(self, example: Gsm8kExample) -> Sequence[Generation]:
        """A text to write, greedily."""
        context = example.before + _problem_text(example.problem)
        return [Generation(context=context, max_tokens=self.max_tokens)]

    def texts(self, example: Gsm8kExample) -> Sequence[str]:
        """The question and the worked answer, apart and together, with their names and without."""
        problem = example.problem
        return (
            problem.question,
            problem.answer,
            f"{problem.question} {problem.answer}",
            f"{_problem_text(problem)} {problem.answer}",
        )

    def outcome(self, example: Gsm8kExample, responses: Sequence[str]) -> Outcome:
        """`correct`, `unparsed` and their flexible likes, 0 or 1; and the text up to its end."""
        (written,) = responses
        text = cut_at_stops(written, _ENDS)
        strict, loose = official.marked_number(text), official.last_number(text)
        values = {
            "correct": float(strict == example.problem.number),
            "correct_flexible": float(loose == example.problem.number),
            "unparsed": float(strict is None),
            "unparsed_flexible": float(loose is None),
        }
        return Outcome(example=example.id, values=values, groups=example.groups, text=text)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The test file, and the training file where worked problems are shown."""
        sources = (official.TEST, official.TRAIN) if self.shot_count() else (official.TEST,)
        return tuple(source.use() for source in sources)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How many worked problems were shown, and why none."""
        count = self.shot_count()
        why = f"; {official.TRAIN.path} is not in the data folder" if self.shots is None else ""
        shown = f"{count} worked problems were shown before each{why if count == 0 else ''}"
        return (f"{shown}; with another number of them accuracies do not compare",)

    def worked_problems(self) -> str:
        """What stands before each problem; "" without any."""
        shown = official.read_shots(self.shot_count())
        return "".join(f"{_problem_text(shot)} {shot.answer}\n\n" for shot in shown)

    def shot_count(self) -> int:
        """How many worked problems are shown."""
        if self.shots is not None:
            return self.shots
        return _USUAL_SHOTS if official.shots_at_hand() else 0


def _problem_text(problem: Problem) -> str:
    return f"Question: {problem.question}\nAnswer:"
