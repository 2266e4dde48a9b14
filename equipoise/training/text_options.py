"""What every training on rows shares: its options, which rows it learns, and what it reports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.inference.language_model import LanguageModel
from equipoise.models.chat_template import template_sha256
from equipoise.models.kernels import matmul_path
from equipoise.models.tokenization import tokenizer_sha256
from equipoise.records import JSON, OPTIONS
from equipoise.rows import TrainingRow
from equipoise.training.learnable_rows import LearnableRows, learnable_rows
from equipoise.training.loss_curves import curve_report
from equipoise.training.row_tokens import LossOn, TokenizedRows, tokenize_rows
from equipoise.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextOptions:
    """How rows are learnt with AdamW, whatever is trained.

    The loss of a step is the mean over its rows of a row's mean over learnt tokens, so that a row
    counts alike whatever its length, and the gradient of a step is the mean of its rows' gradients,
    which attribution takes apart. Adam's numbers are PyTorch's: 0.9, 0.999, 1e-8.
    """

    #: highest rate of AdamW. BiasDiff's is 1.5e-6, at which an entry of B is at most 1.5e-6 times
    #: the steps, and next to nothing is learnt; the default is LoRA's usual, which moves
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 2e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.2  # share of the steps in which the rate rises
    decay: Literal["linear", "constant"] = "linear"  # of the rate afterwards; "linear": to 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.001  # of AdamW
    #: the norm of the gradient is clipped to this; 0: never
    max_gradient: Annotated[float, Field(ge=0)] = 1.0
    epochs: Annotated[int, Field(ge=1)] = 5  # over the rows
    batch_size: Annotated[int, Field(ge=1)] = 16  # rows per step; BiasDiff does not say
    #: tokens of a row; a longer row is left out, nothing is cut
    max_tokens: Annotated[int, Field(ge=2)] = 256
    #: of the rows, drawn by the seed: 1 is BiasDiff's "full", 0.05 its "few"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    eos: bool = False  # a plain text ends with the tokenizer's EOS, which is learnt
    #: of a text, what is learnt: all of it, or what follows its context; of a conversation always
    #: what the assistant says
    loss_on: LossOn = "all"
    strict: bool = False  # a row that cannot be learnt is an error, and not left out
    #: rows of a forward pass, of which a step has several; less memory, more time; 0: all of it
    micro_batch: Annotated[int, Field(ge=0)] = 0
    #: a block's activations are computed again when its gradient is due: less memory, more time
    gradient_checkpointing: bool = False
    bf16: bool = False  # compute in bfloat16; what is trained is float32 in any case
    log_every: Annotated[int, Field(ge=1)] = 100  # steps whose mean loss is a line of the report

    def tokenize(self, model: LanguageModel, rows: Sequence[TrainingRow]) -> TokenizedRows:
        """Rows as this training reads them; raises as `tokenize_rows`."""
        return tokenize_rows(
            model,
            rows,
            max_tokens=self.max_tokens,
            strict=self.strict,
            eos=self.eos,
            loss_on=self.loss_on,
        )

    def draw(self, rows: int, *, seed: int) -> NDArray[np.int64]:
        """Places of the rows that are learnt, in order: `share` of them, at least one."""
        if self.share == 1:
            return np.arange(rows)
        count = max(1, math.floor(self.share * rows + 0.5)) if rows else 0
        drawn = np.random.default_rng((seed, 5)).permutation(rows)[:count]
        return np.sort(drawn)

    def learnable(
        self, model: LanguageModel, rows: Sequence[TrainingRow], *, seed: int
    ) -> LearnableRows:
        """The drawn rows that can be learnt; raises as `tokenize_rows`, and without any."""

        def tokenize(chosen: Sequence[TrainingRow]) -> TokenizedRows:
            return self.tokenize(model, chosen)

        return learnable_rows(tokenize, rows, self.draw(len(rows), seed=seed))

    def schedule(self, examples: int, *, seed: int, steps: int | None = None) -> Schedule:
        """Of a training on so many rows; `steps`: as many as these, whatever the epochs."""
        per_epoch = math.ceil(examples / self.batch_size)
        total = self.epochs * per_epoch if steps is None else steps
        return Schedule(
            learning_rate=self.learning_rate,
            epochs=math.ceil(total / per_epoch),
            batch_size=self.batch_size,
            seed=seed,
            weight_decay=self.weight_decay,
            max_gradient=self.max_gradient,
            micro_batch=self.micro_batch,
            gradient_checkpointing=self.gradient_checkpointing,
            bf16=self.bf16,
            warmup=min(math.ceil(self.warmup * total), total - 1),
            horizon=total if self.decay == "linear" else None,
            steps=total,
        )


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRows:
    """What a training on rows did."""

    losses: tuple[float, ...]  # per step, in nats per token of a row
    parts: Mapping[str, Sequence[float]]  # of the losses, as `loop.Trained` has them
    parameters: int  # numbers that were trained
    steps: int
    tokens: int  # that were learnt, each as often as it was
    index: NDArray[np.int64]  # places of the rows that were learnt
    skipped: Mapping[str, str]  # id of a row left out, and why

    def report_of(self, training: TextOptions) -> dict[str, JSON]:
        """For an edit's report; `loss_log` has the mean loss of every `log_every` steps."""
        log: list[JSON] = []
        for first in range(0, self.steps, training.log_every):
            losses = self.losses[first : first + training.log_every]
            mean = math.fsum(losses) / len(losses)
            log.append({"step": first + len(losses), "loss": mean})
        return {
            "steps": self.steps,
            "tokens": self.tokens,
            "rows": len(self.index),
            "rows_left_out": len(self.skipped),
            "learning_rate": training.learning_rate,
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
            "trained_parameters": self.parameters,
            **curve_report(self.losses, self.parts),
            "loss_log": log,
        }

    @property
    def left_out(self) -> tuple[str, ...]:
        """A note on rows left out, if there are any."""
        if not self.skipped:
            return ()
        reason = next(iter(self.skipped.values()))
        return (f"{len(self.skipped)} rows were left out; the first {reason}",)


def model_key(model: LanguageModel) -> str:
    """What a training depends on beside the weights: how texts are cut, and who multiplies."""
    tokenizer = tokenizer_sha256(model.tokenizer, specials=False)
    template, path = template_sha256(model.tokenizer), matmul_path(model.module)
    device, dtype = model.module.device, model.module.dtype
    return f"{tokenizer} {template} {model.start_token_id} {path} {device} {dtype}"
