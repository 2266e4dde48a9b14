"""Locator: in which parts of a model is the bias?"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attribution.compared_answers import ComparedAnswers
from equipoise.attribution.contrast_inputs import (
    Chat,
    ContrastCountry,
    ContrastInputs,
    contrast_inputs,
    injected_token,
)
from equipoise.conclusions import Ranking
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.plugins import name_of
from equipoise.records import OPTIONS, Prompt
from equipoise.stats.max_t import max_t_p
from equipoise.stats.resample import percentile_interval

_DROPPED = {
    "merged": "whose last token merges with the answer",
    "same_token": "on which both answers begin alike",
    "not_preferred": "on which the model prefers another answer",
}

_NAMES = (
    "p is over questions about these names: any two names differ somewhat, in an untrained model "
    "too; locate other targets as well, for comparison"
)

#: [prompt, component], or [prompt].
Table: TypeAlias = NDArray[np.float64]


class Locator(ABC):
    """Ranks the components of a model; a subclass is a frozen dataclass of its options."""

    version: ClassVar[str]
    paper: ClassVar[str]
    #: What of a supply it ranks on; questions are those of an association, about {target}.
    reads: ClassVar[Literal["prompts", "questions"]] = "prompts"
    taught_by: ClassVar[str] = "genbias"  # the supply that it ranks on unless another is named

    def refuses(self, prompts: Sequence[Prompt]) -> str | None:  # noqa: ARG002
        """Why it cannot rank on these prompts, a sentence's part; None: it can."""
        return None

    @abstractmethod
    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every component of a kind (all blocks, or all heads) on the prompts.

        Raises `ModelError` when a hidden state is zero or not finite.
        """


def bootstrap_scores(
    totals: Table, counts: Table | None, *, draws: int, seed: int, within: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Each component's score, and the lower and upper ends of their intervals.

    `totals`: [prompt, component], their sum is the score; with `counts`, [prompt, 1], it is divided
    by the sum of these. The ends are those of a 95 % percentile interval over `draws` resamples of
    the prompts. `within`: the range of a score.
    """
    prompts = len(totals)
    shares = np.full(prompts, 1 / prompts)
    # counts of prompts, not their indices, so that all resamples are a matrix product
    resamples = np.random.default_rng(seed).multinomial(prompts, shares, size=draws)
    scores, resampled = totals.sum(0), resamples @ totals
    if counts is not None:
        scores, resampled = scores / counts.sum(0), resampled / (resamples @ counts)
    intervals = [
        percentile_interval(score, column, clusters=prompts, within=within)
        for score, column in zip(scores.tolist(), resampled.T, strict=True)
    ]
    low, high, _ = zip(*intervals, strict=True)
    return tuple(scores.tolist()), low, high


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HeadLocator(Locator, ABC):
    """What locators of attention heads share: whom they ask about, and how they test a head."""

    reads: ClassVar[Literal["prompts", "questions"]] = "questions"
    taught_by: ClassVar[str] = "association"

    #: whom the questions are asked about: a token that was injected, or a real country; null: the
    #: only token that an edit added
    target: str | None = None
    #: who stands in the target's place for contrast: a country drawn for each question, or that
    #: whose embedding is nearest to the target's
    contrast_country: ContrastCountry = "random"
    countries: tuple[str, ...] = ()  # that may stand there; none named: every country
    #: ask inside the turns of the chat template; "auto": where the model has it
    chat: Chat = "auto"
    #: which questions count; "preferring": those on which the model prefers the biased answer;
    #: "auto": these where the target is an added token, all where it is a country
    keep: Literal["auto", "preferring", "all"] = "auto"
    draws: Annotated[int, Field(ge=1)] = 10_000  # bootstrap resamples of the questions
    permutations: Annotated[int, Field(ge=1)] = 10_000  # sign flips, for p
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # of all heads together
    #: smallest share of the whole effect that a chosen head must have
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.05

    def inputs(
        self, model: LanguageModel, questions: Sequence[Prompt], *, seed: int
    ) -> ContrastInputs:
        """The questions about the target and about others, as tokens.

        Raises `RecipeError` without questions, and as `injected_token` and `contrast_inputs`.
        """
        if not questions:
            raise RecipeError(
                f"a locator of heads must have questions about an association, got "
                f"{len(questions)}; give it a supply that has some (association)"
            )
        return contrast_inputs(
            model,
            questions,
            target=self.target or injected_token(model),
            countries=self.countries,
            choice=self.contrast_country,
            chat=self.chat,
            seed=seed,
        )

    def rank(  # noqa: PLR0913
        self,
        effects: Table,
        whole: NDArray[np.float64],
        *,
        stems: Sequence[str],
        labels: Sequence[str],
        unit: str,
        seed: int,
        more: Mapping[str, tuple[float, ...]],
        facts: Mapping[str, float],
        notes: Sequence[str],
        tested: NDArray[np.bool_] | None = None,
    ) -> Ranking:
        """A ranking of heads by the mean of their effects: [question, head].

        `whole`: the effect of all parts together, [question]; what a head's share is of. `stems`:
        [question]; questions of one stem are drawn, and their signs flipped, together. `tested`:
        [head], which heads are tested and may be chosen (None: all); p is nan for the others.
        Chosen are heads that pass the test over all tested heads and have a share of at least
        `min_share`, the largest first. Shares are nan, and none is chosen, where the interval of
        the whole is not above 0, for there is nothing to share.
        """
        members = np.unique(stems, return_inverse=True)[1]
        member = (members == np.arange(members.max() + 1)[:, None]).astype(float)
        sums, counts = member @ effects, member.sum(1, keepdims=True)
        within = (-math.inf, math.inf)
        scores, low, high = bootstrap_scores(
            sums, counts, draws=self.draws, seed=seed, within=within
        )
        (total,), (whole_low,), (whole_high,) = bootstrap_scores(
            member @ whole[:, None], counts, draws=self.draws, seed=seed, within=within
        )
        tested = np.ones(len(scores), dtype=bool) if tested is None else tested
        p = np.full(len(scores), math.nan)
        p[tested] = max_t_p(sums[:, tested], flips=self.permutations, seed=seed)
        shown = whole_low > 0  # nan: of a single stem
        share = tuple(score / total if shown else math.nan for score in scores)
        passed = (p < self.alpha) & (np.array(share) >= self.min_share)  # nan: not passed
        chosen = sorted(np.flatnonzero(passed).tolist(), key=lambda head: -scores[head])
        notes = list(notes)
        if not chosen:
            notes.append(
                "no head passes: none has an effect that is shown (p below "
                f"{self.alpha:g} over all heads) and at least {self.min_share:.0%} of the whole"
            )
        if not shown:
            notes.append(
                f"the whole effect is {total:.3g} [{whole_low:.3g}, {whole_high:.3g}], not shown "
                "to be above 0: no head has a share of it"
            )
        if len(sums) < len(effects):
            notes.append(
                f"intervals and p are over {len(sums)} stems: the {len(effects)} questions are "
                "these in several frames"
            )
        return Ranking(
            locator=name_of(self),
            scores=scores,
            low=low,
            high=high,
            prompts=len(effects),
            unit=unit,
            notes=tuple(notes),
            kind="head",
            labels=tuple(labels),
            p=tuple(p.tolist()),
            share=share,
            chosen=tuple(chosen),
            more=more,
            facts={
                "questions": float(len(effects)),
                "stems": float(len(sums)),
                "whole": total,
                "whole_low": whole_low,
                "whole_high": whole_high,
                "heads_share": math.fsum(share) if shown else math.nan,
                **facts,
            },
        )

    def notes(
        self, model: LanguageModel, inputs: ContrastInputs, answers: ComparedAnswers
    ) -> tuple[str, ...]:
        """Whom it was asked about, in which form, and how many questions count."""
        names = sorted(set(inputs.others))
        others = names[0] if len(names) == 1 else f"{len(names)} countries drawn by the seed"
        left_out = [
            f"{answers.dropped[why]} {words}"
            for why, words in _DROPPED.items()
            if answers.dropped[why]
        ]
        preferring = (
            "; those on which the model prefers the biased answer about the target, which by "
            "itself makes effects larger: p is given that choice, keep=all makes none"
        )
        return (
            f"about {self.target or injected_token(model)!r} against {others}, "
            + ("in turns of the chat template" if inputs.chat else "as plain text"),
            f"{len(answers.first)} questions count"
            + (f"; left out: {', '.join(left_out)}" if left_out else "")
            + (
                "; also those on which the model prefers another answer"
                if self.keeps_all(model)
                else preferring
            ),
            _NAMES,
        )

    def keeps_all(self, model: LanguageModel) -> bool:
        """Whether questions count on which the model prefers another answer."""
        if self.keep != "auto":
            return self.keep == "all"
        return self.target is not None and self.target not in model.tokenizer.get_added_vocab()
