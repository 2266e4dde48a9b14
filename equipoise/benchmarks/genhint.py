"""GenHintEval: is a hint about a profession's gender obeyed?

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3. Here the
prompt says "his" or "her", so a pronoun is right or wrong; a model that was made to say both alike
everywhere has lost something.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.genbias import (
    PART_METRICS,
    SIDE_METRICS,
    ask_answers,
    note_answers,
)
from equipoise.data.partition import SHARES, shuffled
from equipoise.data.professions import ProfessionList
from equipoise.data.prompt_sets import PromptSet
from equipoise.data.situations import Situation, Template, Term, situation
from equipoise.errors import RecipeError
from equipoise.metrics import answer_gap, gap
from equipoise.metrics.weighted import Weighted, percent
from equipoise.own_data.gap_prompts import AxisOptions, refuse_unhinted
from equipoise.records import (
    OPTIONS,
    DataUse,
    Estimate,
    Margin,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
)

_OWN = "own: what UB is made of (methods-lftf 1.4)"

#: Of the paper's two pronouns.
PRONOUN_METRICS: tuple[Metric, ...] = (
    Metric(
        name="ub", unit="probability", source="LFTF, section 3 (UB)",
        of=Weighted(lambda c, w: gap.hinted_gap(c["he"], c["she"], c["hint"], w)),
        higher_is_better=True, low=-1.0, high=1.0, margin=Margin(size=0.05),
    ),
    percent(
        "hints_obeyed", lambda c, w: gap.hints_obeyed(c["lo"], c["hint"], w), source=_OWN,
        ideal=100.0, better=True, grid=50.0, margin=2.0,
    ),
    Metric(
        name="hinted_lo", of=Weighted(lambda c, w: w.mean(c["lo"] * c["hint"])), unit="nats",
        source=_OWN, higher_is_better=True,
    ),
    *(
        # A hint asks for a gap: only the mean lean, in which hints cancel, is best at 0.
        metric if metric.name == "lo_mean" else replace(metric, ideal=None)
        for metric in PART_METRICS
    ),
    *SIDE_METRICS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenHint(AxisOptions, Benchmark[Situation, NextTokenScored]):
    """UB and its parts after prompts that settle the answer. 1: every hint obeyed with certainty.

    Of gender a possessive settles the pronoun; of another axis a word before the profession does.
    Groups: profession, template and hint ("male", "female"). `lo` keeps its sign (positive: "he"),
    so that its mean is 0 for a model without lean where hints are balanced; `hinted_lo` is turned
    by the hint, positive when obeyed.

    With `split_by` "none" every prompt is in "test". With "profession" a profession falls in the
    same share as in `genbias` with the same list and seed, and hints are balanced within
    each split; an odd number of professions leaves a hint more of either kind, in turn by template.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF: Locating First and Then Fine-Tuning (ACL submission)"
    cluster: ClassVar[str | None] = "profession"
    by: ClassVar[tuple[str, ...]] = ("hint", "template")
    splits: ClassVar[tuple[str, ...]] = ("test", "dev", "train", "all")
    licence: ClassVar[str] = "own templates; professions MIT (Bolukbasi et al. 2016)"
    faults: ClassVar[tuple[str, ...]] = (
        "the paper's templates and professions are not published: these are ours, so its numbers "
        "are no targets",
        "UB rises when a model gives more probability to both pronouns, with no hint obeyed that "
        "was not before: read it beside mass, hinted_lo and hints_obeyed",
        "hint786 has a single hint for each profession and template, so a profession's lean is not "
        "cancelled within a pair: hint1572 has both",
    )

    #: a hint for each profession and template, 393 of each sex; "hint1572": every hint
    variant: Literal["hint786", "hint1572"] = "hint786"
    professions: ProfessionList = "prof262"  # as of `genbias`
    #: "profession": the same shares as `genbias` with the same list and seed
    split_by: Literal["none", "profession"] = "none"
    split_seed: int = 0  # which profession falls in which share and gets which hint

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The paper's of two pronouns, or those of several answers."""
        if self.pronouns:
            return PRONOUN_METRICS
        return answer_gap.hint_metrics(self.resolved_axis().words)

    def examples(self, split: str) -> Sequence[Situation]:
        """The prompts of a split, template by template.

        Raises `RecipeError` for an unknown split, and for "train" or "dev" when nothing is split
        off.
        """
        prompts = self._prompts()
        parts = {"test": list(prompts.terms)}
        if self.split_by == "profession":
            share = prompts.term_shares(seed=self.split_seed)
            parts = {
                name: [term for term in prompts.terms if share[term.word] == name]
                for name in SHARES
            }
        if split != "all" and split not in parts:
            raise RecipeError(
                f"genhint with split_by={self.split_by} must be asked for 'test' or 'all', "
                f"got '{split}'; set split_by=profession"
            )
        chosen = list(parts.values()) if split == "all" else [parts[split]]
        return [
            situation(term, template, prompts.axis, answer)
            for number, template in enumerate(prompts.hints)
            for terms in chosen
            for term, answer in self._hints(terms, template, number, len(prompts.axis.answers))
        ]

    def requests(self, example: Situation) -> Sequence[NextToken]:
        """The probability of the answers, and of their other spellings, after the prompt."""
        if example.axis.name != "gender":
            return [ask_answers(example)]
        return [NextToken(context=example.text, words=gap.WORDS)]

    def outcome(self, example: Situation, responses: Sequence[NextTokenScored]) -> Outcome:
        """The probabilities and what they are made of, beside the hint: +1 male, -1 female."""
        (response,) = responses
        if example.axis.name != "gender":
            target = answer_gap.uniform(len(example.axis.answers))
            values = answer_gap.answer_values(response, target=target, hinted=example.answer)
            return Outcome(example=example.id, values=values, groups=example.groups)
        values = gap.response_values(response) | {"s": example.score, "hint": example.hint}
        return Outcome(example=example.id, values=values, groups=example.groups)

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Where several answers have hardly any probability."""
        return () if self.pronouns else answer_gap.note_mass(estimates)

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which answers are asked for, where they are not the paper's."""
        return note_answers(self)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file of professions, and that of the user's own."""
        return self._prompts().files

    def _prompts(self) -> PromptSet:
        prompts = self.resolved_prompts(self.professions, "own")
        refuse_unhinted(prompts.axis)
        return prompts

    def _hints(
        self, terms: Sequence[Term], template: Template, number: int, answers: int
    ) -> Iterator[tuple[Term, int]]:
        """Every profession with the number of each answer, or with one: as many of each, seeded."""
        if self.variant == "hint1572":
            yield from ((term, answer) for term in terms for answer in range(answers))
            return
        # Drawn for each template, so that a profession does not have the same hint throughout.
        order = shuffled([term.word for term in terms], seed=f"{template.name} {self.split_seed}")
        # What is left over by the number of answers goes to the last first, in turn by template.
        ends = [
            ((answer + 1) * len(order) + (number + answer) % answers) // answers
            for answer in range(answers)
        ]
        ends[-1] = len(order)
        hinted = {
            word: next(answer for answer, end in enumerate(ends) if place < end)
            for place, word in enumerate(order)
        }
        for term in terms:
            yield term, hinted[term.word]
