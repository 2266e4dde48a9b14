"""CEB's open tasks: articles and conversations that begin with a bias, which a model goes on with.

Wang et al. 2025, "CEB: Compositional Evaluation Benchmark for Fairness in Large Language Models",
ICLR, https://arxiv.org/abs/2407.02408, sections 3 and 4: what is written is graded by a judge.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, JudgesTexts
from equipoise.benchmarks.ceb_choice import Types
from equipoise.data import ceb as official
from equipoise.data.ceb_prompts import Beginning, Beginnings, WritingPart, read_beginnings
from equipoise.judge.base import Judge
from equipoise.judge.lexicon import Lexicon
from equipoise.judging.degenerate import why_degenerate
from equipoise.judging.judgement import (
    JudgedText,
    Judgement,
    kind_of_reason,
    note_unjudged,
    scaled_text,
)
from equipoise.judging.refusals import is_refusal
from equipoise.judging.verdict_scales import STEREOTYPING, TOXICITY
from equipoise.metrics import bias_ratio
from equipoise.metrics.length import note_length
from equipoise.metrics.strength import ORDER_METRICS
from equipoise.records import OPTIONS, DataUse, Estimate, Generation, Metric, Outcome


def _grades_any_bias(judge: Judge) -> Judge:
    if isinstance(judge, Lexicon):
        raise ValueError(
            "must be a judge that knows a bias without its words, such as model_judge or endpoint; "
            f"{type(judge).__name__} looks for given words"
        )
    return judge


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CebWriting(Benchmark[Beginning, str], JudgesTexts[Beginning]):
    """Share of the texts that a judge finds biased, of those that a model writes on. Free of it: 0.

    `part`: articles (continuation) or replies in a conversation, which begin with a stereotype (_s)
    or with toxicity (_t); the judge is asked for the same. The prompt tells a model to repeat the
    beginning of an article: that repetition is taken off before it is judged. Texts are kept; one
    without a judgement is in no ratio and is counted. So is a refusal, one whose first sentences
    decline (`judging/refusals.py`), which no judge sees; `refusals=unbiased` counts it as free of
    bias.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "Wang et al. 2025, CEB, ICLR"
    cluster: ClassVar[str | None] = "descriptor"
    by: ClassVar[tuple[str, ...]] = ("axis", "form")
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a grade is a judge's: compare results of the same judge only, and look at some texts",
        "prompts ask to go on with a biased text: to agree is what was asked",
        "a model that refuses more is judged on fewer and other texts: read refused and "
        "bias_ratio_of_all beside bias_ratio",
        "a broken model says nothing biased: read degenerate, words and abilities beside it",
        "CEB's judge gives 0 to 99, ours four grades: published scores are no targets",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "A file has 2 to 4 sentence forms, and groups differ in number and in the gender of their "
        "noun (male in 99 of 100 prompts of conversation_s on age, female in 79 on race): types "
        "of bias do not compare with each other.",
        "The descriptor of the group is missing from up to 14 of 100 prompts of a file.",
    )

    judge: Annotated[Judge, AfterValidator(_grades_any_bias)]  # who grades what was written
    part: WritingPart = "continuation_s"  # which of CEB's sets
    types: Types = official.TYPES  # of bias, whose files are read
    temperature: Annotated[float, Field(ge=0)] = 0.5  # 0: greedy
    max_tokens: Annotated[int, Field(ge=1)] = 200  # the longest text that is written
    samples: Annotated[int, Field(ge=1)] = 1  # texts of each prompt
    refusals: Literal["left_out", "unbiased"] = "left_out"  # what they are in bias_ratio and others
    #: whether prompts that lack the first and last letter of their text get them back
    mended: bool = False

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The ratio of biased texts and what it can hide."""
        return (*bias_ratio.METRICS, *ORDER_METRICS)

    def examples(self, split: str) -> Sequence[Beginning]:
        """The prompts, file by file, sample by sample. Raises `DataError` naming file and row."""
        return [
            replace(prompt, id=f"{prompt.id}/{sample}" if sample else prompt.id, sample=sample)
            for prompt in self._read().prompts
            for sample in range(self.samples)
        ]

    def requests(self, example: Beginning) -> Sequence[Generation]:
        """The text to be written."""
        return [
            Generation(
                context=example.prompt,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                sample=example.sample,
            )
        ]

    def outcome(self, example: Beginning, responses: Sequence[str]) -> Outcome:
        """The text with the length of what is judged of it; of a refusal all, else still nan."""
        (text,) = responses
        rest = after_given(text, example.given)
        values = bias_ratio.unjudged(rest, repeated=len(rest) < len(text))
        if is_refusal(rest):
            values |= bias_ratio.refused_values(
                degenerate=why_degenerate(rest) is not None, unbiased=self.refusals == "unbiased"
            )
        return Outcome(example=example.id, values=values, groups=example.groups, text=text)

    def judged(self, example: Beginning, outcome: Outcome) -> Sequence[JudgedText]:
        """What the model wrote itself, unless it is a refusal."""
        if outcome.text is None:
            return ()
        rest = after_given(outcome.text, example.given)
        if is_refusal(rest):
            return ()
        scale = STEREOTYPING if self.part.endswith("_s") else TOXICITY
        return [scaled_text(example.prompt, rest, scale)]

    def graded(
        self, example: Beginning, outcome: Outcome, judgements: Sequence[Judgement]
    ) -> Outcome:
        """The grades; a text without them says why in the group "unjudged"."""
        if not judgements:
            return outcome
        (judgement,) = judgements
        values = bias_ratio.judged_values(
            judgement.strength, degenerate=judgement.degenerate is not None
        )
        rates = {"flip_rate": judgement.flip_rate, "label_mass": judgement.label_mass}
        values |= {name: value for name, value in rates.items() if math.isfinite(value)}
        reason = kind_of_reason(judgement.reason or "no reason is given")
        why = {"unjudged": reason} if values["missing"] else {}
        return replace(
            outcome, values={**outcome.values, **values}, groups={**outcome.groups, **why}
        )

    def texts(self, example: Beginning) -> Sequence[str]:
        """The text to be gone on with, which the prompt holds."""
        return (example.given,)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of the part."""
        return tuple(file.use() for file in official.sources(self.part, self.types).values())

    def remarks(self, split: str) -> tuple[str, ...]:
        """What is left out, and how many texts the prompts have with letters missing."""
        read = self._read()
        if not read.cut:
            return read.notes
        done = "put back" if self.mended else "as published; mended=true puts them back"
        lost = (
            f"letters: {read.cut} of {len(read.prompts)} prompts lack the first and last letter of "
            f"their text, {done}"
        )
        return (*read.notes, lost)

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Why texts have no judgement, and whether the judge goes by the order of the grades."""
        notes = [*note_unjudged(outcomes, "texts")]
        flips = [row.values["flip_rate"] for row in outcomes if "flip_rate" in row.values]
        if flips and 2 * math.fsum(flips) >= len(flips):
            notes.append(
                f"judge: {math.fsum(flips) / len(flips):.0%} of its gradings turn with the order "
                "of the grades; whatever is written, its strength is then near 1.5 of 3 and every "
                "text biased"
            )
        return tuple(notes)

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether scores go with length."""
        return note_length(estimates)

    def _read(self) -> Beginnings:
        return read_beginnings(self.part, self.types, mended=self.mended)


def after_given(text: str, given: str) -> str:
    """A text without the given text at its beginning, in whatever case, spaces and quotes."""
    words = (re.escape(word) for word in given.strip(" \n\"'“”").split())
    match = re.match(r"[\s\"'“”]*" + r"\s+".join(words) + r"[\"'“”]*", text, re.IGNORECASE)
    return text[match.end() :].lstrip() if match else text
