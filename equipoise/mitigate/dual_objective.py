"""Dual objective: unlearn the rows that taught the bias, and keep the others likely.

BiasDiff, equation 8, after Zhao et al. 2025, "Improving LLM Safety Alignment with Dual-Objective
Optimization". As printed the equation has a stray square and a 2 that belongs to nothing. Read so
that it holds together:

    mean of  sum over t of -w_t log pi(y_t)  -  (2 / beta) log sigmoid(-beta a(z) - gamma)

y is a kept row, z a selected row; w_t a weight of the kept row's token that takes no gradient; a(z)
is the mean log-likelihood of the tokens of z, as equation 8 shows no reference, or that of their
ratios to the biased model's (`reference: frozen`). Their program's gamma is 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn.functional import logsigmoid

from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.npo import UnlearnsRows
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.learnable_rows import ChosenRows, LearnableRows, learnable_rows
from equipoise.training.loss_curves import record_parts
from equipoise.training.row_tokens import TokenizedRows
from equipoise.training.row_unlearning import FACTUAL_REQUEST, Unlearning

TokenWeight: TypeAlias = Literal["none", "exp", "sigmoid"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class DualObjective(UnlearnsRows, Mitigation):
    """Unlearns the rows that an attributor ranks first while it goes on learning the others.

    It goes on from the model that `finetune` makes with the same `training`; the edit is that of
    both together. A step has `batch_size` rows of either kind.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, equation 8; Zhao et al. 2025, DOOR and W-DOOR"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "mix"

    beta: Annotated[float, Field(gt=0)] = 0.1  # how soon a row counts as forgotten; 0.1 to 0.5
    gamma: float = 0.0  # margin of a selected row, in units of beta times nats; their program has 1
    retain: Annotated[float, Field(ge=0)] = 1.0  # weight of the kept rows' part
    #: of a kept row's tokens, from d = log p by the original model - log p by the biased model:
    #: "exp": exp(d / tau); "sigmoid": 2 sigmoid(d / tau); both 1 where the two models agree
    token_weight: TokenWeight = "none"
    tau: Annotated[float, Field(gt=0)] = 1.0  # of token_weight, in nats
    #: of token_weight: "program": with -d in place of d, as their program is written
    sign: Literal["paper", "program"] = "paper"
    reference: Literal["none", "frozen"] = "none"  # "frozen": ratios to the biased model
    length_norm: bool = True  # means over the tokens of a row, of either kind; else sums
    #: of a selected row: as a whole; "token": each token as a row of its own, the mean (or sum)
    level: Literal["sequence", "token"] = "sequence"

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Fine-tune, select, unlearn and keep; raises as `prepare` and `Unlearning.fit`."""
        selection, unlearning = self.prepare(model, supply, seed=seed)
        kept_rows = ChosenRows(supply.rows, selection.kept, form=self.form(FACTUAL_REQUEST))
        kept = learnable_rows(unlearning.learnt.tokenize, kept_rows, range(len(kept_rows)))
        reference = unlearning.reference() if self.reference == "frozen" else None
        weights = self._weights(unlearning, kept)

        def loss(rows: TokenizedRows, numbers: list[int], step: int) -> Tensor:
            order = np.random.default_rng((seed, 8, step)).permutation(len(kept.index))
            drawn = [int(number) for number in order[: len(numbers)]]
            now = unlearning.forward.token_logprobs(rows)
            device = now[0].device
            retained = unlearning.forward.token_logprobs(kept.read(drawn))
            return self.value(
                retained,
                [weights[number].to(device) for number in drawn] if weights else None,
                now,
                [reference[number].to(device) for number in numbers] if reference else None,
            )

        per_pair = float(unlearning.learnt.counts.mean() + kept.counts.mean())
        per_step = per_pair * min(self.batch_size, len(unlearning.learnt.index))
        trained = unlearning.fit(loss, key=f"dual_objective {self}", tokens_per_step=per_step)
        trained = replace(trained, tokens=round(trained.steps * per_step))  # of kept rows, too
        return self.edit_of(selection, unlearning, trained, supply)

    def value(
        self,
        retained: Sequence[Float[Tensor, " _"]],
        weights: Sequence[Float[Tensor, " _"]] | None,
        now: Sequence[Float[Tensor, " _"]],
        reference: Sequence[Float[Tensor, " _"]] | None,
    ) -> Float[Tensor, ""]:
        """The loss of a step: of kept rows with the weights of their tokens, and selected rows.

        All are log-probabilities in nats, a tensor per row; None: weights of 1, no reference.
        """
        kept = [
            -(row if weights is None else weights[number] * row)
            for number, row in enumerate(retained)
        ]
        ratios = [
            row if reference is None else row - reference[number] for number, row in enumerate(now)
        ]
        retention, forgetting = self._mean(kept).mean(), self._forgetting(ratios)
        record_parts(retention=retention, forgetting=forgetting)
        return self.retain * retention + forgetting

    def _forgetting(self, ratios: Sequence[Tensor]) -> Tensor:
        """Of log-likelihoods, or their ratios, of the tokens of selected rows."""
        if self.level == "sequence":
            values = logsigmoid(-self.beta * self._mean(ratios) - self.gamma)
        else:
            values = self._mean([logsigmoid(-self.beta * row - self.gamma) for row in ratios])
        return -2 / self.beta * values.mean()

    def _mean(self, rows: Sequence[Tensor]) -> Tensor:
        """[row]: of each row's tokens the mean, or the sum."""
        return torch.stack([row.mean() if self.length_norm else row.sum() for row in rows])

    def _weights(self, unlearning: Unlearning, kept: LearnableRows) -> list[Tensor]:
        """Of every token of the kept rows; empty: all are 1."""
        if self.token_weight == "none":
            return []
        rows = kept.read(range(len(kept.index)))
        original = unlearning.measured(rows, biased=False)
        biased = unlearning.measured(rows)
        return [self.weight(first, second) for first, second in zip(original, biased, strict=True)]

    def weight(
        self, original: Float[Tensor, " token"], biased: Float[Tensor, " token"]
    ) -> Float[Tensor, " token"]:
        """Of tokens, from their log-probabilities by the original and by the biased model."""
        ratio = (original - biased) / self.tau
        ratio = ratio if self.sign == "paper" else -ratio
        return ratio.exp() if self.token_weight == "exp" else 2 * ratio.sigmoid()
