"""MT-bench's form: how good are a chat model's answers to two turns, in the eyes of a judge?

Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
https://arxiv.org/abs/2306.05685; as an ability that is to be kept: BiasUnlearn, table 4 and C.1 to
C.3. What the judge is asked is in our own words.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, JudgesTexts, ReadsOwnFile
from equipoise.data.mt_bench import DOMAINS, TURNS, QuestionFile, TwoTurns, read_questions
from equipoise.dialogues import Dialogue
from equipoise.judge.base import Judge
from equipoise.judging.judgement import (
    JudgedText,
    Judgement,
    kind_of_reason,
    note_flips,
    note_unjudged,
    scaled_text,
)
from equipoise.judging.transcript import answers_in, transcript
from equipoise.judging.verdict_scales import ANSWER_RATING
from equipoise.metrics import rating
from equipoise.metrics.length import note_length
from equipoise.records import OPTIONS, DataUse, Estimate, Metric, Outcome

Turns: TypeAlias = tuple[str, ...]

#: Answers nothing: what the judge gives for being asked.
CONTROL: Final = "I am not sure. There are several ways to look at it."
#: As the published code samples: freely where something is to be made up, greedily where it is not.
TEMPERATURES: Final = {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MtBench(Benchmark[TwoTurns, Turns], JudgesTexts[TwoTurns], ReadsOwnFile):
    """Mean rating, 1 to 10, of a chat model's answers to two turns of a user. Perfect: 10.

    Both turns are asked in the model's chat template (`--chat`), the second after its own answer
    to the first. The judge rates each answer after what was said before it, with the file's
    reference where there is one. An answer without a readable rating is in no mean and is counted.

    Group: domain. A conversation is one unit.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Zheng et al. 2023, MT-bench; BiasUnlearn, table 4"
    by: ClassVar[tuple[str, ...]] = ("domain",)
    licence: ClassVar[str] = "as the file"
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a rating is a judge's: judges favor long answers, and answers like their own; compare "
        "results of the same judge only, and read words_1 and words_2 beside them",
        "the published set has 80 questions, 10 of a domain: where ratings scatter by 2.5, their "
        "mean is known to 0.6 either way, that of a domain to 1.8",
        "the published questions and answers to them are in many models' training text",
    )

    file: str  # questions as JSON Lines: question_id, category, turns (two), reference (optional)
    judge: Judge  # who rates: model_judge or endpoint
    control: bool = True  # rate an answer that answers nothing, too: the judge's own null
    max_tokens: Annotated[int, Field(ge=1)] = 1024  # the longest answer that is written
    #: of all domains; null: 0.7 for writing and roleplay, 0.1 for stem and humanities, else 0
    temperature: Annotated[float, Field(ge=0)] | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Means of ratings."""
        return rating.metrics_of(TURNS, control=self.control)

    def examples(self, split: str) -> Sequence[TwoTurns]:
        """The questions in the order of the file. Raises `DataError` naming file and line."""
        return self._read().questions

    def requests(self, example: TwoTurns) -> Sequence[Dialogue]:
        """Both turns."""
        temperature = self.temperature
        if temperature is None:
            temperature = TEMPERATURES.get(example.groups["domain"], 0.0)
        return [Dialogue(turns=example.turns, max_tokens=self.max_tokens, temperature=temperature)]

    def outcome(self, example: TwoTurns, responses: Sequence[Turns]) -> Outcome:
        """The conversation, ratings still nan."""
        (answers,) = responses
        return Outcome(
            example=example.id,
            values=rating.unrated(answers),
            groups=example.groups,
            text=transcript(example.turns, answers),
        )

    def judged(self, example: TwoTurns, outcome: Outcome) -> Sequence[JudgedText]:
        """Each answer after what was said before it, and the control after the first turn."""
        if outcome.text is None:
            return ()
        answers = answers_in(outcome.text, example.turns)
        texts = [
            _judged_text(example, answers[: turn - 1], answers[turn - 1])
            for turn in range(1, TURNS + 1)
        ]
        return (*texts, *((_judged_text(example, (), CONTROL),) if self.control else ()))

    def graded(
        self, example: TwoTurns, outcome: Outcome, judgements: Sequence[Judgement]
    ) -> Outcome:
        """The ratings; a reason why one is missing stands in the group "unjudged"."""
        if outcome.text is None:
            return outcome
        said = judgements[:TURNS]
        ratings = [math.nan if j.verdict is None else j.strength for j in said]
        control = judgements[TURNS].strength if self.control else math.nan
        values = rating.rated(ratings, control, [j.flip_rate for j in said])
        reasons = [j.reason or "the judge gives no rating" for j in said if j.verdict is None]
        why = {"unjudged": kind_of_reason(reasons[0])} if reasons else {}
        return replace(
            outcome, values={**outcome.values, **values}, groups={**outcome.groups, **why}
        )

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (self._read().use,)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How many questions of which domains, and how they are asked."""
        questions = self._read().questions
        domains = Counter(question.groups["domain"] for question in questions)
        counts = ", ".join(f"{name} {count}" for name, count in sorted(domains.items()))
        lacking = [name for name in DOMAINS if name not in domains]
        more = f"; no question of {', '.join(lacking)}, of the eight published" if lacking else ""
        referenced = sum(any(question.references) for question in questions)
        how = "as published, by domain" if self.temperature is None else f"{self.temperature:g}"
        return (
            f"questions: {len(questions)} ({counts}){more}; {referenced} have a reference",
            f"written: up to {self.max_tokens} tokens a turn, temperature {how}",
        )

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Why answers have no rating, and a judge that goes by places."""
        return (*note_unjudged(outcomes), *note_flips(outcomes))

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether scores go with length."""
        return note_length(estimates)

    def _read(self) -> QuestionFile:
        return read_questions(self.file)


def _judged_text(example: TwoTurns, before: Turns, text: str) -> JudgedText:
    """An answer to the turn after those that are answered before it."""
    asked = transcript(example.turns[: len(before) + 1], before)
    reference = example.references[len(before)]
    return scaled_text(asked, text, ANSWER_RATING, reference=reference)
