"""Which attention heads does an association need? What is lost when each is cut or replaced.

Sources: methods-biasgym 5.2 (attribution is blind to heads that work through later heads); Vig et
al. 2020 and Zhang and Nanda 2024 (activation patching); Nanda 2023 and Syed et al. 2023
(attribution patching, here the screen).
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import stats

from equipoise.attribution.compared_answers import ComparedAnswers, compare_answers
from equipoise.attribution.logit_attribution import HeadAttributor
from equipoise.attribution.patching import HeadPatcher, Side
from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import HeadLocator, Table
from equipoise.records import OPTIONS, Prompt
from equipoise.stats.stability import chance_overlap

_ESTIMATED = "estimates of first order: gradient times what is replaced"
_TOP = 5  # heads whose overlap with those of attribution is told


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HeadPatching(HeadLocator):
    """How much of the contrast between target and others goes when a head is changed, in nats.

    The contrast is the logit of the biased answer minus that of the model's other answer, about
    the target minus about somebody else; mean over questions. 0: nothing goes; a share of 1: all.
    Unlike `head_attribution` it sees heads that work through later heads; shares need not sum to 1.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own (methods-biasgym 5.2); Zhang and Nanda 2024, activation patching"

    #: "patch": the head's output about somebody else is put in its place; "ablate": zero or its
    #: mean is, on both sides; "attribution": what "patch" would do, estimated for all heads at once
    method: Literal["patch", "ablate", "attribution"] = "patch"
    #: of "ablate"; "mean": over the questions about somebody else
    value: Literal["zero", "mean"] = "zero"
    #: where a head is changed; "last": at the last token alone
    positions: Literal["all", "last"] = "all"
    #: change only so many heads, those with the largest estimates, and keep the estimate of the
    #: others, which are not tested; null: change every head
    screen: Annotated[int, Field(ge=1)] | None = None

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every head on questions about {target}, a forward pass a head and question.

        Raises as `head_attribution`.
        """
        inputs = self.inputs(model, prompts, seed=seed)
        attributor = HeadAttributor(model)
        answers = compare_answers(attributor, inputs, keep_all=self.keeps_all(model))
        patcher = HeadPatcher(attributor, positions=self.positions)
        about, other = _sides(answers)
        whole = patcher.difference(about) - patcher.difference(other)
        estimates = self._estimate(patcher, about, other)
        count = estimates.shape[1]
        ranked = np.argsort(-np.abs(estimates.mean(0)), kind="stable")
        heads = [] if self.method == "attribution" else ranked[: self.screen].tolist()
        effects = estimates.copy()
        if heads:
            effects[:, heads] = self._try(patcher, about, other, heads)[:, heads]
        tried = np.isin(np.arange(count), heads)
        direct = attributor.attribute(answers.states, answers.first, answers.second).heads
        direct -= attributor.attribute(answers.contrast_states, answers.first, answers.second).heads
        agreement, sentence = _agreement(effects.mean(0), direct.mean(0))
        dropped = {f"dropped_{why}": float(number) for why, number in answers.dropped.items()}
        notes = [*self.notes(model, inputs, answers), sentence]
        if len(heads) < count:
            notes.append(
                _ESTIMATED
                if not heads
                else f"{len(heads)} heads were changed, those with the largest estimates; the "
                f"scores of the other {count - len(heads)} are {_ESTIMATED}, without p; p is "
                "corrected for the changed heads, picked on the same questions"
            )
        return self.rank(
            effects,
            whole,
            stems=answers.stems,
            labels=attributor.labels,
            unit="nats of contrast that go",
            seed=seed,
            more={
                "estimate": tuple(estimates.mean(0).tolist()),
                "tried": tuple(tried.astype(float).tolist()),
                "attribution": tuple(direct.mean(0).tolist()),
            },
            facts={**agreement, **dropped},
            notes=notes,
            tested=tried if heads else None,  # estimates alone are tested among each other
        )

    def _estimate(self, patcher: HeadPatcher, about: Side, other: Side) -> Table:
        if self.method != "ablate":
            return patcher.estimate(about, patcher.outputs_on(other.texts))
        value = patcher.zeros if self.value == "zero" else patcher.mean_of(other.texts)
        return patcher.estimate(about, value) - patcher.estimate(other, value)

    def _try(self, patcher: HeadPatcher, about: Side, other: Side, heads: Sequence[int]) -> Table:
        """What goes of the contrast with each of these heads changed: [question, head]."""
        before = patcher.difference(about)[:, None]
        if self.method == "patch":
            return before - patcher.changed(about, heads, patcher.outputs_on(other.texts))
        value = patcher.zeros if self.value == "zero" else patcher.mean_of(other.texts)
        lost: Table = before - patcher.changed(about, heads, value)
        # a head that favors the answer whatever is asked is lost on both sides
        lost -= patcher.difference(other)[:, None] - patcher.changed(other, heads, value)
        return lost


def _sides(answers: ComparedAnswers) -> tuple[Side, Side]:
    about = Side(texts=answers.biased, first=answers.first, second=answers.second)
    return about, Side(texts=answers.contrast, first=answers.first, second=answers.second)


def _agreement(changed: Table, direct: Table) -> tuple[dict[str, float], str]:
    """How alike this and the contrast of `head_attribution` rank heads, as facts and in words."""
    count = len(changed)
    k = min(_TOP, count)
    firsts = [set(np.argsort(-scores, kind="stable")[:k].tolist()) for scores in (changed, direct)]
    shared = len(firsts[0] & firsts[1])
    order = all(len(np.unique(scores)) > 1 for scores in (changed, direct))
    spearman = float(stats.spearmanr(changed, direct).statistic) if order else np.nan
    expected, p = chance_overlap([k, k], count, shared)
    sentence = (
        f"beside head_attribution: rank correlation (Spearman) {spearman:.2f}; of the first {k} "
        f"heads {shared} are the same (by chance {expected:.2g}, p {p:.2g})"
    )
    facts = {"attribution_spearman": spearman, "attribution_shared": float(shared)}
    return facts, sentence
