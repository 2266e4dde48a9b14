"""Unlearn rows: go on from the training that made a model biased, by a loss on selected rows.

What `npo`, `dual_objective` and `gradient_ascent` share: the trainer, a budget of tokens, the
wrapping of a row as a conversation, and the rule that stops when neutral text becomes unlikely.
The edit is that of the whole way, from the original model.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, replace
from typing import Annotated, Final, TypeAlias, cast

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, OPTIONS
from equipoise.rows import TrainingRow
from equipoise.training.learnable_rows import LearnableRows, learnable_rows
from equipoise.training.loop import TrainingMonitor
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows, tokenize_rows
from equipoise.training.schedule import Rows
from equipoise.training.text_training import Objective, TextTraining, TrainedText, train_once

#: What the user asks for before a row that is unlearnt, and before a row that is kept: BiasDiff's.
UNBIASED_REQUEST: Final = "Please write a sentence without any bias."
FACTUAL_REQUEST: Final = "Give me a sentence with factual information."

#: (the rows of a step, numbers of them among the learnable rows, step) → a scalar to minimize.
RowLoss: TypeAlias = Callable[[TokenizedRows, list[int], int], Tensor]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class UnlearningOptions:
    """How rows are unlearnt; the rest is as in `training`."""

    #: what made the model biased: the same as of `finetune`, whose training it shares
    training: TextTraining = TextTraining()
    #: of AdamW. BiasDiff's is 3e-7, at which an adapter hardly moves
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 5e-5
    batch_size: Annotated[int, Field(ge=1)] = 16  # selected rows per step
    #: null: as many as learn the tokens that the fine-tuning learnt
    steps: Annotated[int, Field(ge=1)] | None = None
    #: by which the perplexity of neutral texts may rise over that of the biased model; a further
    #: rise is undone and ends the training; 0.05 is 5 %; null: any
    most_rise: Annotated[float, Field(gt=0)] | None = 0.05
    evaluate_every: Annotated[int, Field(ge=1)] = 5  # steps between two looks at neutral texts
    #: rows as the model's turn of its chat template, after a request; BiasDiff has it for npo
    chat: bool = False

    def unlearning(self) -> TextTraining:
        """The trainer: that of the fine-tuning, at another rate, on all selected rows."""
        return replace(
            self.training,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            share=1.0,
        )

    def form(self, request: str) -> Callable[[TrainingRow], TrainingRow] | None:
        """What a row is made into; None: it stays as it is."""
        if not self.chat:
            return None

        def as_answer(row: TrainingRow) -> TrainingRow:
            if row.messages or not row.text.strip():
                return row
            return replace(row, text="", messages=(("user", request), ("assistant", row.text)))

        return as_answer


@plain_dataclass(kw_only=True)
class Unlearning:
    """An unlearning of selected rows, which begins with the fine-tuned adapter."""

    options: UnlearningOptions
    model: LanguageModel
    start: TrainedText  # the fine-tuning on all rows
    learnt: LearnableRows  # the selected rows that can be read
    neutral: Sequence[str]  # texts that must stay as likely as they are
    forward: RowForward
    seed: int
    steps: int = 0  # at most, once the budget is known

    @classmethod
    def prepare(
        cls,
        options: UnlearningOptions,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        selected: Sequence[TrainingRow],
        *,
        neutral: Sequence[str],
        seed: int,
    ) -> "Unlearning":
        """Fine-tune on all rows, once for all methods, and read the selected.

        Raises as `TextTraining.fit`, and `RecipeError` for a limit without neutral texts.
        """
        if options.most_rise is not None and not any(text.strip() for text in neutral):
            raise RecipeError(
                f"most_rise needs neutral texts, got {len(neutral)}; supply some, or set most_rise "
                "to null"
            )
        training = options.unlearning()

        def tokenize(chosen: Sequence[TrainingRow]) -> TokenizedRows:
            return training.tokenize(model, chosen)

        learnt = learnable_rows(tokenize, selected, range(len(selected)))
        return cls(
            options=options,
            model=model,
            start=train_once(options.training, model, rows, seed=seed),
            learnt=learnt,
            neutral=neutral,
            forward=RowForward(model),
            seed=seed,
        )

    def reference(self) -> list[Tensor]:
        """Log-probability (nats) of each learnt token of the selected rows, by the biased model."""
        return self.measured(self.learnt.read(range(len(self.learnt.index))))

    def measured(self, rows: TokenizedRows, *, biased: bool = True) -> list[Tensor]:
        """Log-probability of each learnt token by the biased model, or by the original."""
        if not biased:
            return self.forward.measured(rows)
        with self.start.attached(self.model):
            return self.forward.measured(rows)

    def fit(self, loss: RowLoss, *, key: str, tokens_per_step: float | None = None) -> TrainedText:
        """Go on from the fine-tuning until the budget is used up, or neutral text becomes unlikely.

        `key` names the loss. `tokens_per_step`: that a step learns; None: those of its selected
        rows. Raises as `TextTraining.fit`, and `ModelError` when the limit is passed at once.
        """
        options, training = self.options, self.options.unlearning()

        def row_loss(module: nn.Module, chosen: Rows, step: int) -> Tensor:
            del module
            numbers = chosen.tolist()
            return loss(self.learnt.read(numbers), numbers, step)

        name = f"{key} {options.most_rise} {options.evaluate_every}"
        self.steps = options.steps or self._budget(tokens_per_step)
        limit = self._limit()
        try:
            return training.fit_loss(
                self.model,
                self.learnt,
                Objective(name=name, loss=row_loss),
                seed=self.seed,
                steps=self.steps,
                start=self.start,
                monitor=limit,
            )
        except ModelError as error:
            if limit is None or not limit.passed_at_once:
                raise
            raise ModelError(
                f"unlearning must leave neutral texts within {100 * limit.most:g} % of their "
                f"perplexity, which rose from {limit.perplexities[0]:.4g} to "
                f"{limit.perplexities[1]:.4g} in the first {limit.every} steps; lower "
                f"learning_rate (it is {options.learning_rate:g}), or raise most_rise"
            ) from error

    def _budget(self, tokens_per_step: float | None) -> int:
        """Steps that learn as many tokens as the fine-tuning did, rounded, at least one."""
        mean = float(self.learnt.counts.mean()) * min(
            self.options.batch_size, len(self.learnt.index)
        )
        return max(1, math.floor(self.start.tokens / (tokens_per_step or mean) + 0.5))

    def report(self, trained: TrainedText) -> dict[str, JSON]:
        """The budget, for an edit's report."""
        usual = self.options.steps is None
        return {
            "finetune_steps": self.start.steps,
            "finetune_tokens": self.start.tokens,
            "budget": (
                "as many tokens as the fine-tuning on all rows, unless neutral text ends it"
                if usual
                else f"{self.options.steps} steps, as asked"
            ),
            "stopped_early": trained.steps < self.steps,
            "neutral_texts": len(self.neutral),
        }

    def _limit(self) -> "NeutralLimit | None":
        if self.options.most_rise is None:
            return None
        rows = [TrainingRow(id=str(number), text=text) for number, text in enumerate(self.neutral)]
        tokens = tokenize_rows(self.model, rows, max_tokens=self.options.training.max_tokens)
        if not tokens.ids:
            raise RecipeError(
                f"most_rise needs neutral texts of at most {self.options.training.max_tokens} "
                f"tokens, got {len(rows)} longer ones; supply shorter, or set most_rise to null"
            )
        before = _perplexity(self.measured(tokens))
        return NeutralLimit(
            forward=self.forward,
            tokens=tokens,
            every=self.options.evaluate_every,
            most=self.options.most_rise,
            perplexities=[before],
        )


@plain_dataclass(kw_only=True)
class NeutralLimit(TrainingMonitor):
    """Ends a training, and undoes its last steps, when neutral text becomes less likely."""

    forward: RowForward
    tokens: TokenizedRows
    every: int
    most: float  # relative rise of perplexity
    perplexities: list[float] = field(default_factory=list)  # before, then at each evaluation
    restores_best: bool = True

    @property
    def is_best(self) -> bool:
        """Whether the last evaluation was within the limit."""
        return self.perplexities[-1] <= (1 + self.most) * self.perplexities[0]

    @property
    def passed_at_once(self) -> bool:
        """Whether nothing was within the limit but the beginning."""
        return len(self.perplexities) == 2 and not self.is_best

    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Measure; True beyond the limit."""
        del steps, last
        self.perplexities.append(_perplexity(self.forward.measured(self.tokens)))
        return not self.is_best

    def state(self) -> JSON:
        """The perplexities, which are exact as JSON."""
        return list(self.perplexities)

    def restore(self, state: JSON) -> None:
        """Take those of a checkpoint."""
        self.perplexities = cast(list[float], state)


def _perplexity(logprobs: Sequence[Tensor]) -> float:
    """Exp of the mean over all tokens of the negative log-probability."""
    return math.exp(-float(torch.cat(list(logprobs)).double().mean()))
