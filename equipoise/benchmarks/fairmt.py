"""FairMT-Bench: how often is what a chat model answers biased, at the end of a conversation?

Fan, Chen, Hu & Liu 2024, "FairMT-Bench: Benchmarking Fairness for Multi-turn Dialogue in
Conversational LLMs", https://arxiv.org/abs/2410.19317; the bias ratio without refusals is
BiasUnlearn's, appendix B and table 8.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, JudgesTexts
from equipoise.data import fairmt as official
from equipoise.data.fairmt import Dialogues, UserTurns
from equipoise.data.sources import Source
from equipoise.dialogues import Dialogue
from equipoise.judge.base import Judge
from equipoise.judging.degenerate import why_degenerate
from equipoise.judging.judgement import (
    JudgedText,
    Judgement,
    kind_of_reason,
    note_flips,
    note_unjudged,
    scaled_text,
)
from equipoise.judging.refusals import is_refusal
from equipoise.judging.transcript import answers_in, transcript
from equipoise.judging.verdict_scales import BIASED, BIASED_ANSWER, REFUSED
from equipoise.metrics import dialogue_bias
from equipoise.metrics.dialogue_bias import Checked
from equipoise.metrics.length import note_length
from equipoise.records import OPTIONS, DataUse, Estimate, Metric, Outcome

Turns: TypeAlias = tuple[str, ...]

#: A neutral answer to anything: what the judge calls biased in it, the user said.
CONTROL: Final = "Thank you for telling me. There is a lot to think about here."
_ORDER: Final = tuple(range(1, official.TURNS + 1))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Large:
    """The 10,195 dialogues of FairMT-10K."""

    name: Literal["10K"] = "10K"
    part: Literal["stereotype", "toxicity", "all"] = "stereotype"  # BiasUnlearn has the first
    #: whom dialogues are about, as the files' names say ("disable": disability); null: all
    attributes: Annotated[tuple[official.Attribute, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_attributes(self) -> Self:
        files = map(official.groups_of, official.sources(self.name))
        known = {file["attribute"] for file in files if self.part in ("all", file["part"])}
        unknown = sorted(set(self.attributes or ()) - known)
        if unknown:
            raise ValueError(
                f"attributes of the part {self.part} must be of {sorted(known)}, got {unknown}"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Small:
    """The 990 dialogues of FairMT-1K, those that six models did worst on."""

    name: Literal["1K"] = "1K"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FairMt(Benchmark[UserTurns, Turns], JudgesTexts[UserTurns]):
    """Biased answers of all that are no refusals, after five turns of a user. Free of it: 0.

    The model answers each turn after its own answers before, in its chat template (`--chat`). What
    it answers at the end is judged; with `judge_turns=all` each of its answers. An answer whose
    first sentences decline is a refusal that no judge sees (`judging/refusals.py`); of the others
    the judge may say so, too. A dialogue is one unit.

    Groups: task, attribute, part. Intervals draw dialogues of a task that share a turn together.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Fan et al. 2024, FairMT-Bench; BiasUnlearn, appendix B"
    cluster: ClassVar[str | None] = "cluster"
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a verdict is a judge's: compare results of the same judge only, read bias_ratio_control, "
        "which is what it makes of a neutral answer, and look at some texts",
        "a model that refuses more is judged on fewer and other answers: read refused and "
        "bias_ratio_of_all beside bias_ratio",
        "a broken model says nothing biased: read degenerate, words and abilities beside it",
        "the same slight stands in dialogues of several tasks, which the files do not tell: an "
        "interval over all tasks is somewhat narrow",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "in the toxicity part an attribute is that of the file's name, and not whom the slur is "
        "about: by a crude list of words 15 of 33 phrases of disability name another group only",
        "groups are uneven (gender 511 dialogues of a task, appearance 75)",
    )

    judge: Judge  # who says whether an answer is biased: model_judge or endpoint
    edition: Large | Small = Large()  # which of the two sets, below
    #: null: all six
    tasks: Annotated[tuple[official.Task, ...], Field(min_length=1)] | None = None
    judge_turns: Literal["last", "all"] = "last"  # judge the answer to the last turn, or all five
    control: bool = True  # judge a neutral answer to each last turn, too: the judge's own null
    max_tokens: Annotated[int, Field(ge=1)] = 150  # the longest answer that is written
    temperature: Annotated[float, Field(ge=0)] = 0.0  # 0: greedy
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0  # of nucleus sampling

    @property
    def by(self) -> tuple[str, ...]:
        """Task, and what the edition tells."""
        if isinstance(self.edition, Small):
            return ("task",)
        return ("task", "attribute", *(("part",) if self.edition.part == "all" else ()))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Ratios of answers; by turn where all are judged."""
        return dialogue_bias.metrics_of(
            turns=_ORDER if self.judge_turns == "all" else (),
            control=self.control,
            attributes=isinstance(self.edition, Large),
        )

    def examples(self, split: str) -> Sequence[UserTurns]:
        """The different dialogues. Raises `DataError` naming file and dialogue."""
        return self._read().dialogues

    def requests(self, example: UserTurns) -> Sequence[Dialogue]:
        """The dialogue."""
        return [
            Dialogue(
                turns=example.turns,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                top_p=self.top_p,
            )
        ]

    def outcome(self, example: UserTurns, responses: Sequence[Turns]) -> Outcome:
        """The conversation and its length, counts still nan."""
        (answers,) = responses
        return Outcome(
            example=example.id,
            values=dialogue_bias.unchecked(answers),
            groups=example.groups,
            text=transcript(example.turns, answers),
        )

    def judged(self, example: UserTurns, outcome: Outcome) -> Sequence[JudgedText]:
        """The answers that are no refusals by the rule, and the control."""
        if outcome.text is None:
            return ()
        answers = answers_in(outcome.text, example.turns)
        texts = [
            _judged_text(example.turns, answers, turn)
            for turn in self._turns(answers)
            if not is_refusal(answers[turn - 1])
        ]
        control = _judged_text(example.turns, (*answers[:-1], CONTROL), len(answers))
        return (*texts, *((control,) if self.control else ()))

    def graded(
        self, example: UserTurns, outcome: Outcome, judgements: Sequence[Judgement]
    ) -> Outcome:
        """Counts of the answers; a reason why one has no verdict stands in the group "unjudged"."""
        if outcome.text is None:
            return outcome
        answers = answers_in(outcome.text, example.turns)
        remaining = iter(judgements)
        rows: list[Checked] = []
        said: list[Judgement] = []
        for turn in self._turns(answers):
            by_rule = is_refusal(answers[turn - 1])
            if not by_rule:
                said.append(next(remaining))
            rows.append(
                Checked(
                    turn=turn,
                    verdict=REFUSED if by_rule else said[-1].verdict,
                    by_rule=by_rule,
                    degenerate=why_degenerate(answers[turn - 1]) is not None,
                )
            )
        values = {
            **outcome.values,
            **dialogue_bias.checked(rows, flips=[j.flip_rate for j in said]),
        }
        if self.control:
            verdict = next(remaining).verdict
            values["control_biased"] = math.nan if verdict is None else float(verdict == BIASED)
        reasons = [j.reason or "the judge gives no verdict" for j in said if j.verdict is None]
        why = {"unjudged": kind_of_reason(reasons[0])} if reasons else {}
        return replace(outcome, values=values, groups={**outcome.groups, **why})

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of the edition that are read."""
        return tuple(source.use() for source in self._sources())

    def remarks(self, split: str) -> tuple[str, ...]:
        """What was asked, and what of the files was left out or moved."""
        read = self._read()
        clusters = {row.groups["cluster"] for row in read.dialogues}
        left = (
            f"dialogues: {len(read.dialogues)} different ones in {len(clusters)} clusters; "
            f"{read.repeated} copies are left out, and {read.moved} that begin with 'Please "
            "remember' are counted as Interference_Misinformation, in whatever file they stand"
        )
        empty = f"empty: {', '.join(read.empty)} has no dialogue" if read.empty else None
        how = f"temperature {self.temperature:g}" if self.temperature else "greedily"
        written = f"written: up to {self.max_tokens} tokens a turn, {how}"
        return tuple(filter(None, (left, empty, written)))

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Why answers have no verdict, and a judge that goes by places or by what the user says."""
        return (
            *note_unjudged(outcomes),
            *note_flips(outcomes),
            *dialogue_bias.note_control(outcomes),
        )

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether scores go with length."""
        return note_length(estimates)

    def _turns(self, answers: Turns) -> Sequence[int]:
        return range(1, len(answers) + 1) if self.judge_turns == "all" else (len(answers),)

    def _sources(self) -> list[Source]:
        files, edition = official.sources(self.edition.name), self.edition
        if isinstance(edition, Small):
            return [*files]
        return [
            file
            for file in files
            for groups in (official.groups_of(file),)
            if edition.part in ("all", groups["part"])
            and (edition.attributes is None or groups["attribute"] in edition.attributes)
        ]

    def _read(self) -> Dialogues:
        read = official.read_dialogues(self._sources())
        tasks = self.tasks
        if tasks is None:
            return read
        return replace(
            read, dialogues=tuple(row for row in read.dialogues if row.groups["task"] in tasks)
        )


def _judged_text(turns: Turns, answers: Turns, turn: int) -> JudgedText:
    """The answer to a turn (from 1) after all that was said before."""
    before = transcript(turns[:turn], answers[: turn - 1])
    return scaled_text(before, answers[turn - 1], BIASED_ANSWER)
