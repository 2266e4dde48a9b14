"""Fine-tuning of all weights on training rows: what Hugging Face's Trainer does with a text file.

The study of GPT-2 tuned on HellaSwag (whose judges read continuations of BOLD) gives neither
learning rate, epochs, batch nor lengths; the defaults are those usual for such a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.edits.adapter import refuse_adapter
from equipoise.inference.language_model import LanguageModel
from equipoise.models.quantization import refuse_quantized
from equipoise.records import JSON, OPTIONS
from equipoise.rows import TrainingRow
from equipoise.training.loop import train
from equipoise.training.row_forward import RowForward
from equipoise.training.schedule import Rows
from equipoise.training.text_options import TextOptions, TrainedRows, model_key


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FullTraining(TextOptions):
    """How all weights are fine-tuned on rows; the edit is as large as the model.

    In training a weight takes 16 bytes (float32 values, gradients and Adam's two moments), and
    those of the model itself.
    """

    name: Literal["full"] = "full"
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 5e-5  # highest rate of AdamW
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of the steps in which the rate rises
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # of AdamW
    epochs: Annotated[int, Field(ge=1)] = 3  # over the rows
    batch_size: Annotated[int, Field(ge=1)] = 8  # rows per step
    #: tokens of a row; a longer row is left out, nothing is cut
    max_tokens: Annotated[int, Field(ge=2)] = 128
    #: a plain text ends with the tokenizer's EOS, which is learnt: else the model never learns to
    #: stop, and how long it writes is settled by the decoding alone
    eos: bool = True
    #: the model's own, as its configuration has it (GPT-2: 0.1), which Trainer has on
    dropout: bool = False
    #: of several processes each keeps a part of the weights, gradients and moments of blocks; see
    #: docs/processes.md
    fsdp: bool = False

    def fit(
        self, model: LanguageModel, rows: Sequence[TrainingRow], *, seed: int
    ) -> "FullyTrained":
        """Train all weights on rows; the model is left bit for bit as it was.

        Tied embeddings are a single parameter, trained once. `rows` may be a file that is read bit
        by bit: they are gone through once, and then read by the batch. In `checkpoints_in` a
        killed training resumes to the same bits. Raises `RecipeError` without a row that can be
        learnt, `DataError` and `ModelError` as `tokenize_rows`, and `ModelError` for a quantized
        model, one with an adapter, and when a loss is not finite or no weight changes.
        """
        refuse_quantized(model, "finetune with training: full")
        refuse_adapter(model.module, when="all its weights are trained")
        learnt = self.learnable(model, rows, seed=seed)
        forward = RowForward(model)

        def loss(module: nn.Module, chosen: Rows, step: int) -> Tensor:
            del module, step
            return forward.mean_losses(learnt.read(chosen.tolist())).mean()

        parameters = dict(model.module.named_parameters())
        schedule = self.schedule(len(learnt.index), seed=seed)
        schedule = replace(schedule, dropout=self.dropout, fsdp=self.fsdp)
        trained = train(
            model.module,
            parameters,
            examples=len(learnt.index),
            loss=loss,
            schedule=schedule,
            key=f"likelihood {self} {learnt.sha256} {model_key(model)}",
        )
        changed = {
            name: value
            for name, value in trained.weights.items()
            if not torch.equal(value, parameters[name].detach().cpu())
        }
        return FullyTrained(
            weights=changed,
            unchanged=len(parameters) - len(changed),
            losses=trained.losses,
            parts=trained.parts,
            parameters=trained.parameters,
            steps=trained.steps,
            tokens=learnt.tokens_of(schedule),
            index=learnt.index,
            skipped=learnt.skipped,
            training=self,
        )


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class FullyTrained(TrainedRows):
    """Weights trained on rows, on the CPU, in the model's dtype, by the parameters' names."""

    weights: Mapping[str, Tensor]  # those that changed
    unchanged: int  # how many tensors are as they were
    training: FullTraining

    @property
    def report(self) -> dict[str, JSON]:
        """For an edit's report; `bytes`: what the changed tensors take in its file."""
        size = sum(value.numel() * value.element_size() for value in self.weights.values())
        return {
            **self.report_of(self.training),
            "tensors": len(self.weights),
            "tensors_unchanged": self.unchanged,
            "bytes": size,
            "notes": list(self.left_out),
        }
