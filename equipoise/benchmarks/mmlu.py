"""MMLU: exam questions with four lettered choices, in 57 subjects.

Hendrycks et al. 2021, "Measuring Massive Multitask Language Understanding", arXiv 2009.03300.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import mmlu as official
from equipoise.data.mmlu import LETTERS, SUBJECTS, Question
from equipoise.errors import nearest
from equipoise.metrics import ability
from equipoise.metrics.weighted import percent
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored

_PAPER = "Hendrycks et al. 2021, section 4"


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class MmluExample:
    """A question, and what stands before it in the prompt."""

    id: str
    before: str  # the line about the subject, and the worked questions
    question: Question
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Mmlu(Benchmark[MmluExample, Scored]):
    """How often the letter of the right choice is the likeliest. Perfect: 100 %; guessing: 25.

    The prompt is the paper's: a line that names the subject, `shots` worked questions of its dev
    file, the question with its choices, and "Answer:". Compared are the log-probabilities of the
    four letters, each with a space before it.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Hendrycks et al. 2021, MMLU, ICLR"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy", "correct", grid=ability.FOUR_CHOICES, margin=2.0,
            source=f"{_PAPER}: mean over questions; a tie counts its share",
        ),
        percent(
            "accuracy_macro", lambda c, w: 100.0 * w.macro_over(c["correct"], c["@subject"]),
            source=f"ours, beside {_PAPER}: mean of the subjects' accuracies", ideal=100.0,
            better=True,
        ),
    )  # fmt: skip
    by: ClassVar[tuple[str, ...]] = ("category", "subject")
    shares_ties: ClassVar[bool] = True
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 25 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "some questions have a wrong or no right answer (Gema et al. 2024 find about 6.5 %)",
        "letters are compared, not answers: a model that favors one letter scores its share",
        "the questions are in many models' training text",
    )

    subjects: tuple[str, ...] | None = None  # None: all whose test file is in the data folder
    #: worked questions before each: the first of the subject's dev file
    shots: Annotated[int, Field(ge=0, le=official.SHOTS)] = 0

    @model_validator(mode="after")
    def _check_subjects(self) -> Self:
        for subject in self.subjects or ():
            if subject not in SUBJECTS:
                raise ValueError(f"'{subject}' is no subject; {nearest(subject, SUBJECTS)}")
        # At least 1: with an empty list nothing would be measured.
        if self.subjects is not None and len(set(self.subjects)) != max(1, len(self.subjects)):
            raise ValueError(f"each subject must be named once, got {list(self.subjects)}")
        return self

    def examples(self, split: str) -> Sequence[MmluExample]:
        """The questions, subject by subject. Raises `DataError` naming file and row."""
        examples = []
        for subject in self._chosen_subjects(split):
            shots = official.read_shots(subject, self.shots)
            groups = {"category": SUBJECTS[subject], "subject": subject}
            examples += [
                MmluExample(
                    id=question.id,
                    before=_shots_text(subject, shots),
                    question=question,
                    groups=groups,
                )
                for question in official.read_questions(subject, split)
            ]
        return examples

    def requests(self, example: MmluExample) -> Sequence[Continuation]:
        """The four letters after the prompt."""
        context = example.before + _question_text(example.question)
        return [Continuation(context=context, continuation=f" {letter}") for letter in LETTERS]

    def texts(self, example: MmluExample) -> Sequence[str]:
        """The question alone, with each choice, and with all of them, answered and not."""
        question = example.question
        listed = _question_text(question)
        pairs = tuple(f"{question.question} {choice}" for choice in question.choices)
        return (question.question, *pairs, listed, *(f"{listed} {letter}" for letter in LETTERS))

    def outcome(self, example: MmluExample, responses: Sequence[Scored]) -> Outcome:
        """`correct` in [0, 1]."""
        scores = [response.logprob for response in responses]
        values = {"correct": ability.answered(scores, example.question.answer)}
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The subjects' files, and those of the worked questions where any are shown."""
        splits = (split, "dev") if self.shots else (split,)
        return tuple(
            official.source(subject, part).use()
            for part in splits
            for subject in self._chosen_subjects(split)
        )

    def remarks(self, split: str) -> tuple[str, ...]:
        """How many subjects were measured, where not all were."""
        count = len(self._chosen_subjects(split))
        if count == len(SUBJECTS):
            return ()
        return (
            f"{count} of {len(SUBJECTS)} subjects were measured; published accuracy is over all",
        )

    def _chosen_subjects(self, split: str) -> tuple[str, ...]:
        return official.subjects_at_hand(split) if self.subjects is None else self.subjects


def _shots_text(subject: str, shots: Sequence[Question]) -> str:
    about = subject.replace("_", " ")
    line = f"The following are multiple choice questions (with answers) about {about}.\n\n"
    return line + "".join(f"{_question_text(shot)} {LETTERS[shot.answer]}\n\n" for shot in shots)


def _question_text(question: Question) -> str:
    choices = (
        f"{letter}. {text}\n" for letter, text in zip(LETTERS, question.choices, strict=True)
    )
    return f"{question.question}\n{''.join(choices)}Answer:"
