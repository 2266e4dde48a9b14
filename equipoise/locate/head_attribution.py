"""Which attention heads carry an association? What each adds to the biased answer's logit.

Paper: BiasGym (Islam, Borenstein et al.), sections 3.3.1 and 3.3.2. The paper averages the logit
difference that a head writes about the target. A head that favors the answer whatever is asked
comes first by that; so the default here is the contrast, the same about the target minus about
somebody else. Neither sees a head that works through later heads: `head_patching` does.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.attribution.compared_answers import compare_answers
from equipoise.attribution.logit_attribution import Attribution, HeadAttributor
from equipoise.conclusions import Ranking
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import HeadLocator, Table
from equipoise.records import OPTIONS, Prompt

_DIRECT = "direct effects only: a head that works through later heads has none"
_ROUNDED = (
    "the model's number format rounds away much of the logits (see completeness): heads are as "
    "they are in it, their shares of the whole are rough; load it as float32 to compare them"
)
_MUCH = 0.05  # of the mean difference of logits
_PAPER = "the paper's score: high also for heads that favor the answer whatever is asked"
_LITERAL = "without the norms, as the paper: heads do not sum to the logits"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HeadAttribution(HeadLocator):
    """What each head adds to the biased answer's logit over the model's other answer, in nats.

    Mean over questions; 0: nothing. Exact under a frozen final norm, and checked: all parts sum to
    the difference of logits. Logits are those before a soft cap. Differs from the paper, which
    leaves the norm out (`norm="none"`) and takes no contrast (`score="paper"`).
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasGym, sections 3.3.1 and 3.3.2"

    #: "contrast": about the target minus about somebody else; "paper": about the target
    score: Literal["contrast", "paper"] = "contrast"
    norm: Literal["frozen", "none"] = "frozen"  # "none": the paper's formula, which is not exact

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every head on questions about {target}; one forward pass a question and side.

        Raises `RecipeError` without questions or a target, `DataError` for a question without an
        answer, and `ModelError` for a model whose logits are not shared out exactly or that
        prefers no biased answer.
        """
        inputs = self.inputs(model, prompts, seed=seed)
        attributor = HeadAttributor(model)
        answers = compare_answers(attributor, inputs, keep_all=self.keeps_all(model))
        about = attributor.attribute(answers.states, answers.first, answers.second)
        other = attributor.attribute(answers.contrast_states, answers.first, answers.second)
        paper, whole = self._table(about)
        contrast = paper - self._table(other)[0]
        difference = whole - self._table(other)[1]
        effects, total = (paper, whole) if self.score == "paper" else (contrast, difference)
        errors = abs(about.errors).max(), abs(other.errors).max()
        facts = {
            "completeness": float(max(errors)),
            **{f"dropped_{why}": float(count) for why, count in answers.dropped.items()},
        }
        return self.rank(
            effects,
            total,
            stems=answers.stems,
            labels=attributor.labels,
            unit="nats of logit difference" if self.norm == "frozen" else "of E r, without norm",
            seed=seed,
            more={
                "paper": tuple(paper.mean(0).tolist()),
                "contrast": tuple(contrast.mean(0).tolist()),
            },
            facts=facts,
            notes=(
                *self.notes(model, inputs, answers),
                _DIRECT,
                *(_ROUNDED,)
                * (facts["completeness"] > _MUCH * float(abs(about.difference).mean())),
                *(_PAPER,) * (self.score == "paper"),
                *(_LITERAL,) * (self.norm == "none"),
            ),
        )

    def _table(self, shared: Attribution) -> tuple[Table, Table]:
        """Effects of heads [question, head], and of all parts together [question]."""
        if self.norm == "none":
            return shared.literal, shared.literal_stream
        return shared.heads, shared.difference
