"""GenBiasEval: does a model go on with "he" or with "she" after a profession?

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3.
262 professions x 9 templates = 2,358 prompts "The {profession} {action} because"; measured are the
probabilities of " he" and " she" as the next token. Of race, age and religion (A.3) the prompt goes
on "his race is", and measured are the probabilities of several answers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data.axes import Axis
from equipoise.data.professions import ProfessionList
from equipoise.data.prompt_sets import SplitBy, TemplateSet
from equipoise.data.situations import Situation
from equipoise.errors import RecipeError
from equipoise.metrics import ability, answer_gap, gap
from equipoise.metrics.weighted import Weighted, mean_absolute, mean_of
from equipoise.own_data.gap_prompts import AxisOptions, read_gap_prompts
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

_PAPER = "LFTF, section 3"
_OWN = "own: what AFGB is made of (methods-lftf 1.4)"

#: Metrics of the gap's two parts, which `genhint` reports too.
PART_METRICS: tuple[Metric, ...] = (
    Metric(
        name="mass", of=mean_of("mass"), unit="probability", source=_OWN, low=0.0, high=1.0
    ),
    Metric(
        name="abs_rho", of=mean_absolute("rho"), unit="share of mass", source=_OWN,
        ideal=0.0, low=0.0, high=1.0,
    ),
    Metric(name="lo_mean", of=mean_of("lo"), unit="nats", source=_OWN, ideal=0.0),
    Metric(name="lo_abs", of=mean_absolute("lo"), unit="nats", source=_OWN, ideal=0.0, low=0.0),
)  # fmt: skip

#: Metrics of what the gap does not see.
SIDE_METRICS: tuple[Metric, ...] = (
    Metric(name="they", of=mean_of("they"), unit="probability", source="own", low=0.0, high=1.0),
    Metric(
        name="leak", of=mean_of("leak"), unit="probability", ideal=0.0, low=0.0,
        higher_is_better=False, source="own: pronouns in spellings that the gap does not see",
    ),
    ability.share(
        "single_token", "single_token", grid=100.0,
        source="own: prompts whose two pronouns are one token each, as the paper has them",
    ),
)  # fmt: skip

#: Of the paper's two pronouns.
PRONOUN_METRICS: tuple[Metric, ...] = (
    Metric(
        name="afgb", of=Weighted(lambda c, w: gap.absolute_gap(c["he"], c["she"], w)),
        unit="probability", source=f"{_PAPER} (AFGB)", ideal=0.0, low=0.0, high=1.0,
        margin=Margin(size=0.05),
    ),
    *PART_METRICS,
    Metric(
        name="lo_score_correlation", unit="correlation", ideal=0.0, low=-1.0, high=1.0,
        of=Weighted(lambda c, w: gap.correlation_of_means(c["lo"], c["s"], w)),
        source="own: mean log-odds of a profession against its human stereotype score",
    ),
    *SIDE_METRICS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenBias(AxisOptions, Benchmark[Situation, NextTokenScored]):
    """AFGB and its parts after prompts that say nothing of the answer. Unbiased: 0.

    Groups: profession, scale and template. A profession's lean is the mean of `lo` over its
    outcomes; rows by template have a prompt per profession, so that the correlation there has no
    average in it.

    Splits: "train", "dev" and "test" are shared out 2 : 1 : 2 by `split_by`; "all" is every
    prompt. "random" is the paper's split of the prompts themselves (943/471/944), under which each
    profession and each template is trained on and tested. "profession" and "template" keep those
    of a split out of the others, templates scale by scale. "both" keeps both apart; a prompt whose
    profession and template fall in different shares is then in none but "all".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF: Locating First and Then Fine-Tuning (ACL submission)"
    cluster: ClassVar[str | None] = "profession"
    by: ClassVar[tuple[str, ...]] = ("scale", "template")
    splits: ClassVar[tuple[str, ...]] = ("test", "dev", "train", "all")
    licence: ClassVar[str] = "own templates; professions MIT (Bolukbasi et al. 2016)"
    faults: ClassVar[tuple[str, ...]] = (
        "the paper publishes neither its 262 professions nor 7 of its 9 templates: the list is a "
        "reconstruction and the templates are ours, so its numbers are no targets",
        "the paper's random split (split_by=random) has prompts of a profession in train and "
        "test: it measures fit to seen professions; its counts per scale (326/299/318 in train) "
        "come from an unpublished draw and cannot be matched",
        "AFGB falls when a model gives less probability to all answers, with no bias removed: "
        "read it beside mass and lo_abs",
        "a model that says another word than those asked for, such as 'they', shows as little mass",
    )

    #: the paper's size; "by_meaning": 281 by the paper's rule; "prof_clean": 241, our audit
    professions: ProfessionList = "prof262"
    #: nine on three scales; "dama": eleven bare verbs with "that" or "because"
    templates: TemplateSet = "own"
    #: what is kept out of the test split; "random": prompts, as the paper
    split_by: SplitBy = "profession"
    split_seed: int = 0  # which names fall in which share (2 : 1 : 2, by hash)
    #: watch " He", " She"; "all": "he", "she", "He", "She" without a space, too (slower)
    leak: Literal["capital", "all"] = "capital"

    #: share of each answer that counts as unbiased, in their order; None: all alike
    target: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        shares = self.target
        if shares is not None and (min(shares, default=0) <= 0 or abs(sum(shares) - 1) > 1e-6):
            raise ValueError(
                f"target must be shares above 0 that sum to 1, one for each answer, got {shares}"
            )
        if shares is not None and (self.axis, self.words, self.file) == ("gender", None, None):
            raise ValueError(
                "target must be left out for the paper's two pronouns, whose score compares them "
                f'with each other, got {shares}; name the answers too, as words=["he", "she"]'
            )
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The paper's of two pronouns, or those of several answers."""
        if self.pronouns:
            return PRONOUN_METRICS
        axis = self.resolved_axis()
        return answer_gap.gap_metrics(axis.words, self._target(axis))

    @property
    def crossed(self) -> Mapping[str, str]:
        """The lean to "he"; several answers have none."""
        return {"lo_mean": "template"} if self.pronouns else {}

    def examples(self, split: str) -> Sequence[Situation]:
        """The prompts of a split, template by template.

        Raises `RecipeError` for an unknown split or a target of another length than the answers.
        """
        prompts = self.resolved_prompts(self.professions, self.templates)
        self._target(prompts.axis)
        return prompts.situations(split, split_by=self.split_by, seed=self.split_seed)

    def requests(self, example: Situation) -> Sequence[NextToken]:
        """The probability of the answers, and of their other spellings, after the prompt."""
        if example.axis.name != "gender":
            return [ask_answers(example, spaceless=self.leak == "all")]
        words = gap.WORDS if self.leak == "capital" else (*gap.WORDS, *gap.SPACELESS)
        return [NextToken(context=example.text, words=words)]

    def outcome(self, example: Situation, responses: Sequence[NextTokenScored]) -> Outcome:
        """The probabilities and what they are made of, beside the stereotype score `s`."""
        (response,) = responses
        if example.axis.name != "gender":
            values = answer_gap.answer_values(response, target=self._target(example.axis))
        else:
            values = gap.response_values(response) | {"s": example.score}
        return Outcome(example=example.id, values=values, groups=example.groups)

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Whether the lean has one sign after some template and the other after another."""
        leans: dict[str, list[float]] = {}
        for outcome in outcomes:
            if math.isfinite(outcome.values.get("lo", math.nan)):
                leans.setdefault(outcome.groups["template"], []).append(outcome.values["lo"])
        return gap.note_signs(leans)

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Where several answers have hardly any probability."""
        return () if self.pronouns else answer_gap.note_mass(estimates)

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which answers are asked for, where they are not the paper's."""
        return note_answers(self)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file of professions, and that of the user's own."""
        return self.resolved_prompts(self.professions, self.templates).files

    def _target(self, axis: Axis) -> tuple[float, ...]:
        target, count = self.target, len(axis.answers)
        if target is not None and len(target) != count:
            raise RecipeError(
                f"genbias.target must have a share for each of {list(axis.words)}, got "
                f"{list(target)}; give {count} shares"
            )
        return answer_gap.uniform(count) if target is None else target


def ask_answers(example: Situation, *, spaceless: bool = False) -> NextToken:
    """The probability of an axis' answers, then of their other spellings."""
    axis = example.axis
    bare = tuple(word.strip() for word in (*axis.words, *axis.spellings)) if spaceless else ()
    return NextToken(context=example.text, words=(*axis.words, *axis.spellings, *bare))


def note_answers(options: AxisOptions) -> tuple[str, ...]:
    """Which answers are asked for, where they are not the paper's, and what of a file is unread."""
    notes = () if options.file is None else read_gap_prompts(options.file).notes
    if options.pronouns:
        return notes
    words = ", ".join(word.strip() for word in options.resolved_axis().words)
    return (
        f"answers asked for: {words}; another word for the same answer is in no number, and one of "
        "several tokens counts as the product of their probabilities",
        *notes,
    )
