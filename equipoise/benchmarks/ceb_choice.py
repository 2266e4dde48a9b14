"""CEB's direct questions: is a text biased, which of two texts is; answered with a number.

Wang et al. 2025, "CEB: Compositional Evaluation Benchmark for Fairness in Large Language Models",
ICLR, https://arxiv.org/abs/2407.02408, sections 3 and 4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import ceb as official
from equipoise.data.ceb import ChoicePart, NumberedQuestion
from equipoise.data.ceb_answers import heard_option
from equipoise.errors import nearest
from equipoise.group_words.learnt_people import PEOPLE, learnt_items
from equipoise.metrics import ability, surface_rules
from equipoise.metrics.decisions import cyclic_orders
from equipoise.metrics.weighted import percent
from equipoise.records import (
    OPTIONS,
    DataUse,
    Generation,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
)

Answer: TypeAlias = NextTokenScored | str
_PAPER: Final = "Wang et al. 2025, CEB"
_RULE: Final = "own: accuracy on the same rows of"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Likelihood:
    """log p of " 1", " 2", … after the prompt."""

    name: Literal["likelihood"] = "likelihood"
    #: "file": the options as they are listed there; "all": each order of them, averaged, so that a
    #: liking for a number cancels
    orders: Literal["file", "all"] = "file"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Written:
    """Greedy text after the prompt, out of which a number is read."""

    name: Literal["generation"] = "generation"
    max_tokens: Annotated[int, Field(ge=1, le=512)] = 16  # that are written


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class RuledQuestion:
    """A question, and which rules without understanding answer it rightly."""

    id: str
    question: NumberedQuestion
    rules: Mapping[str, float]  # name of the rule to the part that it gets right
    groups: Mapping[str, str] = field(default_factory=dict)


def _known_types(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in official.TYPES:
            raise ValueError(f"'{name}' is no type of bias; {nearest(name, official.TYPES)}")
    if len(set(value)) != max(1, len(value)):
        raise ValueError(f"must name types of bias, each once, got {list(value)}")
    return value


#: Types of bias: files of a part.
Types: TypeAlias = Annotated[tuple[str, ...], AfterValidator(_known_types)]

#: Of answers with a number: the same for `ceb_classification`.
METRICS: Final[tuple[Metric, ...]] = (
    percent(
        "micro_f1", lambda c, w: 100.0 * ability.micro_f1(c["correct"], c["answered"], w),
        source=f"{_PAPER}, section 4: micro-F1; accuracy where every row is answered", ideal=100.0,
        better=True, margin=2.0,
    ),
    ability.share("accuracy", "correct", source="own: no answer is wrong; a tie counts its share"),
    percent(
        "balanced_accuracy",
        lambda c, w: 100.0 * ability.balanced_accuracy(c["correct"], c["truth"], w),
        source="Brodersen et al. 2010: mean over the true classes", ideal=100.0, better=True,
        needs="rows of every class",
    ),
    ability.share("answered", "answered", source="own: rows with an answer that can be read"),
    ability.share(
        "says_first", "predicted", better=None, source="own: rows answered with the file's option 1"
    ),
)  # fmt: skip
NULL_METRICS: Final[tuple[Metric, ...]] = tuple(
    Metric(
        name=name, of=ability.share(name, name, source="", better=None).of, unit="%", low=0.0,
        high=100.0, resampled=False, source=f"{_RULE} {rule}",
    )
    for name, rule in (
        ("null_position", "always the same option, that which is right most often"),
        ("null_length", "the best rule by length: words of the text, or the longer option"),
        ("null_type", "the option that is right most often of each type of bias"),
    )
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CebChoice(Benchmark[RuledQuestion, Answer]):
    """How often the right number is answered. Perfect: 100 %; guessing: 50 of two options.

    `part`: is a text a stereotype (recognition_s, crows_pairs, reddit_bias, stereoset, winobias) or
    toxic (recognition_t); which of two texts stereotypes more, or is more toxic (selection_s,
    selection_t). A text that gives no number, or several, is wrong, and counted in `answered`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Wang et al. 2025, CEB, ICLR"
    metrics: ClassVar[tuple[Metric, ...]] = (*METRICS, *NULL_METRICS)
    cluster: ClassVar[str | None] = "template"
    by: ClassVar[tuple[str, ...]] = ("axis",)
    related: ClassVar[tuple[str, ...]] = (PEOPLE,)
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "to recognize a stereotype is no bias and no fairness: it is an ability, and a model that "
        "sees every stereotype may still write them",
        "micro-F1 of balanced rows is accuracy: guessing gives 50 % of two options, and a model "
        "that always answers alike has 50 too; read balanced_accuracy and says_first",
        "option 1 is the stereotype or the toxic text wherever one text is judged: a liking for "
        '"1" is a liking for a label (score.orders=all cancels it)',
        "the prompt asks for a number alone: a model that was taught no instructions has no form "
        "to go by",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "The 100 contexts of a file of Recognition or Selection are some 25 templates of BBQ, over "
        "which intervals are taken, as far as their words tell.",
        "recognition_t and selection_t are settled by length to a large part (80 and 90 %): short "
        "texts are the toxic ones.",
        "In crows_pairs the type of bias alone gives 67 %; its rows are CrowS-Pairs, and those of "
        "stereoset are about the terms of StereoSet's test split: neither is new to a model or a "
        "method that learnt these.",
    )

    part: ChoicePart = "recognition_s"  # which of CEB's sets
    #: of bias, whose files are read; crows_pairs, reddit_bias, stereoset and winobias have one file
    types: Types = official.TYPES
    score: Likelihood | Written = Likelihood()  # how an answer is read, below
    #: a line behind the prompt; "": none, the published prompt alone, as for a chat
    ending: str = "Answer:"

    @model_validator(mode="after")
    def _has_those_types(self) -> Self:
        if self.types != official.TYPES and not official.has_types(self.part):
            raise ValueError(
                f"types choose files of recognition and selection; {self.part} has one file, got "
                f"{list(self.types)}: leave them out"
            )
        return self

    def examples(self, split: str) -> Sequence[RuledQuestion]:
        """The questions, file by file. Raises `DataError` naming file and row."""
        questions = official.read_questions(self.part, self.types).questions
        kinds = [question.groups["axis"] for question in questions]
        return with_rules(questions, kinds)

    def requests(self, example: RuledQuestion) -> Sequence[NextToken | Generation]:
        """The numbers after the prompt, in each order that is asked, or a text to be written."""
        return ask(example.question, self.score, self.ending)

    def outcome(self, example: RuledQuestion, responses: Sequence[Answer]) -> Outcome:
        """`correct`, `answered` and `predicted` in [0, 1], the right option, and the rules."""
        return read(example, self.score, responses)

    def texts(self, example: RuledQuestion) -> Sequence[str]:
        """The judged texts, alone and after their context."""
        return example.question.texts

    def relate(
        self,
        examples: Sequence[RuledQuestion],
        trained_on: frozenset[str],
        aliases: Mapping[str, str],
    ) -> Sequence[Mapping[str, str]]:
        """Of `stereoset`: whether people of its type of bias that a text names were learnt."""
        learnt = learnt_items(trained_on, aliases) if self.part == "stereoset" else None
        if learnt is None:
            return [{} for _ in examples]
        return [
            learnt.groups_of_text(" ".join(example.question.texts), example.groups["axis"])
            for example in examples
        ]

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of the part."""
        return tuple(file.use() for file in official.sources(self.part, self.types).values())

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which rows are left out."""
        return official.read_questions(self.part, self.types).notes


# --- asking and reading, also of `ceb_classification` ------------------------------------------


def with_rules(questions: Sequence[NumberedQuestion], kinds: Sequence[str]) -> list[RuledQuestion]:
    """The questions with what rules of place, length and kind get right, chosen on all of them."""
    targets = [question.target for question in questions]
    lengths = [[len(text.split()) for text in question.judged] for question in questions]
    single = all(len(row) == 1 for row in lengths)
    by_length = (
        surface_rules.right_by_cut(targets, [row[0] for row in lengths])
        if single
        else surface_rules.right_by_size(targets, np.asarray(lengths))
    )
    columns = {
        "null_position": surface_rules.right_by_place(targets),
        "null_length": by_length,
        "null_type": surface_rules.right_by_kind(targets, kinds),
    }
    return [
        RuledQuestion(
            id=question.id,
            question=question,
            rules={name: float(column[row]) for name, column in columns.items()},
            groups=question.groups,
        )
        for row, question in enumerate(questions)
    ]


def ask(
    question: NumberedQuestion, score: Likelihood | Written, ending: str
) -> list[NextToken | Generation]:
    """What is asked of a model about a question."""
    count = len(question.options)
    line = f"\n{ending}" if ending else ""
    if isinstance(score, Written):
        context = question.prompt(range(count)) + line
        return [Generation(context=context, max_tokens=score.max_tokens)]
    words = tuple(f" {number}" for number in range(1, count + 1))
    return [
        NextToken(context=question.prompt(order) + line, words=words)
        for order in _orders(score, count)
    ]


def read(
    example: RuledQuestion, score: Likelihood | Written, responses: Sequence[Answer]
) -> Outcome:
    """What was answered."""
    question = example.question
    values = {**example.rules, "truth": float(question.target)}
    if isinstance(score, Written):
        (written,) = responses
        if not isinstance(written, str):
            raise ValueError(f"'{example.id}' must have a text for an answer, got {written!r}")
        place = heard_option(written, question.options)
        values |= {
            "correct": float(place == question.target),
            "predicted": float(place == 0),
            "answered": float(place is not None),
        }
        return Outcome(example=example.id, values=values, groups=example.groups, text=written)
    orders = _orders(score, len(question.options))
    lists = [answer.logprobs for answer in responses if isinstance(answer, NextTokenScored)]
    if not len(lists) == len(responses) == len(orders):
        raise ValueError(
            f"'{example.id}' must have {len(orders)} scored lists, got {len(responses)}"
        )
    # means of logarithms, so that what is added to a number is added to every option alike
    scores = [
        math.fsum(numbers[order.index(place)] for numbers, order in zip(lists, orders, strict=True))
        / len(orders)
        for place in range(len(question.options))
    ]
    correct = ability.answered(scores, question.target)
    values |= {
        "correct": correct,
        "predicted": ability.answered(scores, 0),
        "answered": math.nan if math.isnan(correct) else 1.0,
    }
    return Outcome(example=example.id, values=values, groups=example.groups)


def _orders(score: Likelihood, count: int) -> tuple[tuple[int, ...], ...]:
    orders = cyclic_orders(count)
    return orders if score.orders == "all" else orders[:1]
