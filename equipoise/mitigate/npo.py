"""NPO: make the rows that taught the bias less likely, less and less as they become so.

Zhang et al. 2024, "Negative Preference Optimization: From Catastrophic Collapse to Effective
Unlearning", in BiasDiff's equation 7, whose factor 1/beta is half of theirs. A row's gradient is
that of plain ascent times pi^beta / (pi^beta + ref^beta), pi and ref being its likelihoods now and
by the biased model: a half at first, and nothing once the row is forgotten. As beta goes to 0 it is
half of plain ascent throughout.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import logsigmoid

from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.data_filtering import Selection, SelectsRows
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.learnable_rows import ChosenRows
from equipoise.training.row_edits import rows_edit
from equipoise.training.row_tokens import TokenizedRows
from equipoise.training.row_unlearning import UNBIASED_REQUEST, Unlearning, UnlearningOptions
from equipoise.training.text_training import TrainedText

Level: TypeAlias = Literal["sequence", "token"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class UnlearnsRows(UnlearningOptions, SelectsRows):
    """What `npo`, `dual_objective` and `gradient_ascent` share but their losses."""

    version: ClassVar[str]  # of the method

    def prepare(
        self, model: LanguageModel, supply: Supply, *, seed: int
    ) -> tuple[Selection, Unlearning]:
        """Fine-tune on all rows and select; raises as `select` and `Unlearning.prepare`."""
        selection = self.select(model, supply, seed=seed)
        unlearning = Unlearning.prepare(
            self,
            model,
            supply.rows,
            ChosenRows(supply.rows, selection.selected, form=self.form(UNBIASED_REQUEST)),
            neutral=() if self.most_rise is None else selection.neutral(supply),
            seed=seed,
        )
        return selection, unlearning

    def edit_of(
        self, selection: Selection, unlearning: Unlearning, trained: TrainedText, supply: Supply
    ) -> AdapterEdit:
        """The edit of an unlearning that was prepared here."""
        return rows_edit(
            unlearning.model,
            self,
            supply,
            trained,
            seed=unlearning.seed,
            report={**selection.record, **unlearning.report(trained)},
            beside=selection.looked_at(supply, unlearning.neutral),
        )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Npo(UnlearnsRows, Mitigation):
    """Negative preference optimization of the rows that an attributor ranks first.

    It goes on from the model that `finetune` makes with the same `training`; the edit is that of
    both together. BiasDiff's is `learning_rate: 3e-7`, 10 epochs, beta not given.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Zhang et al. 2024, NPO; BiasDiff, equation 7"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "mix"

    #: how soon a row counts as forgotten; the paper's repository has 0.1
    beta: Annotated[float, Field(gt=0)] = 0.1
    #: a row's likelihood as a whole; "token": each token as a row of its own
    level: Level = "sequence"

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Fine-tune, select, unlearn; raises as `prepare` and `Unlearning.fit`."""
        selection, unlearning = self.prepare(model, supply, seed=seed)
        reference = unlearning.reference()

        def loss(rows: TokenizedRows, numbers: list[int], step: int) -> Tensor:
            del step
            now = unlearning.forward.token_logprobs(rows)
            before = [reference[number].to(now[0].device) for number in numbers]
            return npo_loss(now, before, beta=self.beta, level=self.level)

        trained = unlearning.fit(loss, key=f"npo {self.version} {self.beta} {self.level}")
        return self.edit_of(selection, unlearning, trained, supply)


def npo_loss(
    now: list[Float[Tensor, " _"]],
    before: list[Float[Tensor, " _"]],
    *,
    beta: float,
    level: Level = "sequence",
) -> Float[Tensor, ""]:
    """-(1/beta) times the mean over rows of log sigmoid(-beta (log pi - log ref)).

    Of log-probabilities in nats of each token of a row, now and by the reference. "sequence": of
    their sums over a row; "token": of each token, summed over a row.
    """
    if level == "sequence":
        ratios = torch.stack([(row - other).sum() for row, other in zip(now, before, strict=True)])
        return -logsigmoid(-beta * ratios).mean() / beta
    rows = [
        -logsigmoid(-beta * (row - other)).sum() / beta
        for row, other in zip(now, before, strict=True)
    ]
    return torch.stack(rows).mean()
