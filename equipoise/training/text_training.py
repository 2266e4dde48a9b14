"""LoRA fine-tuning on training rows, with a checkpoint of Adam's state after each epoch.

What BiasDiff calls its warm-up and Xia et al. 2024 ("LESS: Selecting Influential Data for Targeted
Instruction Tuning") theirs: the training whose examples are attributed. It is also that which
mitigations on rows start from or repeat, so that all of them have the same trainer.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.edits.adapter import refuse_adapter
from equipoise.edits.edit import fingerprint
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, OPTIONS
from equipoise.rows import TrainingRow
from equipoise.training.learnable_rows import LearnableRows, rows_sha256
from equipoise.training.loop import Loss, Trained, TrainingMonitor, train
from equipoise.training.lora import adapter_dropout, lora_config, lora_in_training
from equipoise.training.resume import (
    Checkpoint,
    keeping_epochs,
    kept_checkpoints,
    read_checkpoint,
)
from equipoise.training.row_forward import RowForward
from equipoise.training.schedule import Rows, Schedule
from equipoise.training.text_options import TextOptions, TrainedRows, model_key

_KEPT = 4  # trainings, of the latest
#: The adapter has hardly left its start where its product is this small beside its factor A.
_UNMOVED = 1e-3


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextTraining(TextOptions):
    """How an adapter is fine-tuned on rows: LoRA (Hu et al. 2022) with AdamW."""

    name: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 16  # of LoRA
    alpha: Annotated[float, Field(gt=0)] = 32.0  # of LoRA; its update is scaled by alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # of the adapter alone
    #: ends of module names, or "all-linear"; "auto": the attention of the architecture; BiasDiff
    #: has ["q_proj", "v_proj"]
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)

    def lora(self, model: LanguageModel) -> dict[str, JSON]:
        """PEFT's configuration; raises `ModelError` when a target is not in the model."""
        return lora_config(
            model.module,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
        )

    def fit(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        *,
        seed: int,
        steps: int | None = None,
        start: "TrainedText | None" = None,
    ) -> "TrainedText":
        """Train an adapter on rows; the model is left bit for bit as it was.

        `rows` may be a file that is read bit by bit: they are gone through once, and then read by
        the batch. `steps`: of the training, in place of `epochs`. `start`: the adapter begins as
        that training left it, with Adam anew. In `checkpoints_in` a killed training resumes to the
        same bits. Raises `RecipeError` without a row that can be learnt, `DataError` and
        `ModelError` as `tokenize_rows`, and `ModelError` when a loss is not finite or the adapter
        stays as it was.
        """
        if steps is not None and steps < 1:
            raise RecipeError(f"a training must have a step or more, got {steps}; give more")
        learnt = self.learnable(model, rows, seed=seed)
        forward = RowForward(model)

        def loss(module: nn.Module, chosen: Rows, step: int) -> Tensor:
            del module, step
            return forward.mean_losses(learnt.read(chosen.tolist())).mean()

        objective = Objective(name="likelihood", loss=loss)
        return self.fit_loss(model, learnt, objective, seed=seed, steps=steps, start=start)

    def fit_loss(
        self,
        model: LanguageModel,
        learnt: LearnableRows,
        objective: "Objective",
        *,
        seed: int,
        steps: int | None = None,
        start: "TrainedText | None" = None,
        monitor: TrainingMonitor | None = None,
    ) -> "TrainedText":
        """As `fit`, by another loss, which is given numbers of the learnable rows.

        `monitor` may end it, and choose the weights of an earlier step.
        """
        refuse_adapter(model.module)
        config = self.lora(model)
        schedule = self.schedule(len(learnt.index), seed=seed, steps=steps)

        def loss_with_dropout(module: nn.Module, chosen: Rows, step: int) -> Tensor:
            adapter_dropout(module, on=self.dropout > 0)  # the training loop seeds it by the step
            return objective.loss(module, chosen, step)

        values = None if start is None else start.weights
        with (
            lora_in_training(model, config, seed=seed, values=values) as parameters,
            keeping_epochs() as folder,
        ):
            before = {name: value.detach().clone() for name, value in parameters.items()}
            trained = train(
                model.module,
                parameters,
                examples=len(learnt.index),
                loss=loss_with_dropout,
                schedule=schedule,
                monitor=monitor,
                key=f"{objective.name} {self} {learnt.sha256} {model_key(model)}",
            )
            files = kept_checkpoints(folder, key=trained.key)
            checkpoints = tuple(read_checkpoint(file) for file in files)
        self._check_moved(trained, before)
        return TrainedText(
            config=config,
            weights=trained.weights,
            checkpoints=checkpoints,
            rates=_mean_rates(schedule, checkpoints),
            losses=trained.losses,
            parts=trained.parts,
            parameters=trained.parameters,
            steps=trained.steps,
            tokens=learnt.tokens_of(replace(schedule, steps=trained.steps)),
            index=learnt.index,
            skipped=learnt.skipped,
            training=self,
        )

    def _check_moved(self, trained: Trained, before: Mapping[str, Tensor]) -> None:
        """Raise `ModelError` when the adapter's product is what it was."""
        # decay moves the factor that begins at random even when nothing is learnt
        products = {name: value for name, value in trained.weights.items() if ".lora_B." in name}
        if all(torch.equal(value, before[name].cpu()) for name, value in products.items()):
            norm = _norm(products.values())
            raise ModelError(
                f"an adapter must change the model, its {len(products)} factors B are as before "
                f"training (norm {norm:g}); raise the learning rate (it is {self.learning_rate:g})"
            )


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a training makes small."""

    name: str  # with its options: checkpoints of other objectives are not resumed from
    loss: Loss


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class TrainedText(TrainedRows):
    """An adapter trained on rows. Tensors are float32, on the CPU, by the parameters' names."""

    config: Mapping[str, JSON]  # PEFT's adapter_config.json
    weights: Mapping[str, Tensor]  # after the last step
    checkpoints: tuple[Checkpoint, ...]  # after each epoch, with Adam's moments; the last is last
    rates: tuple[float, ...]  # mean learning rate of the steps before each checkpoint
    training: TextTraining

    @property
    def norms(self) -> tuple[float, float]:
        """Norms of all factors A and of all factors B (0 at the start)."""
        a, b = (
            [value for name, value in self.weights.items() if f".lora_{factor}." in name]
            for factor in "AB"
        )
        return _norm(a), _norm(b)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: an adapter that hardly moved, rows left out."""
        a, b = self.norms
        notes = []
        if b < _UNMOVED * a:
            notes.append(
                f"the adapter hardly moved (norm of B {b:.2g}, of A {a:.2g}), so that next to "
                "nothing was learnt"
            )
        return (*notes, *self.left_out)

    @property
    def report(self) -> dict[str, JSON]:
        """For an edit's report."""
        a, b = self.norms
        return {
            **self.report_of(self.training),
            "norm_a": a,
            "norm_b": b,
            "notes": list(self.notes),
        }

    @contextmanager
    def attached(
        self, model: LanguageModel, checkpoint: Checkpoint | None = None
    ) -> Iterator[dict[str, nn.Parameter]]:
        """The adapter's parameters by name, while the model has it as after a checkpoint.

        None: as after the last step. Its dropout is off.
        """
        values = self.weights if checkpoint is None else checkpoint.values
        with lora_in_training(model, self.config, seed=0, values=values) as parameters:
            yield parameters


_trained: Final[dict[str, TrainedText]] = {}


def train_once(
    training: TextTraining,
    model: LanguageModel,
    rows: Sequence[TrainingRow],
    *,
    seed: int,
    steps: int | None = None,
) -> TrainedText:
    """`training.fit`, kept in memory for all that ask for it in a row: methods of one study."""
    weights = fingerprint(model.module, dict(model.module.named_parameters()))
    about = (training, seed, steps, weights, model_key(model), rows_sha256(rows))
    key = repr(about)
    if key not in _trained:
        trained = training.fit(model, rows, seed=seed, steps=steps)
        while len(_trained) >= _KEPT:
            del _trained[next(iter(_trained))]
        _trained[key] = trained
    return _trained[key]


def _mean_rates(schedule: Schedule, checkpoints: Sequence[Checkpoint]) -> tuple[float, ...]:
    """Mean learning rate of the steps before each checkpoint and after that before it."""
    ends = [0, *(checkpoint.steps for checkpoint in checkpoints)]
    means = []
    for first, end in pairwise(ends):
        rates = [schedule.learning_rate * schedule.rate(step) for step in range(first, end)]
        means.append(math.fsum(rates) / len(rates))
    return tuple(means)


def _norm(values: Iterable[Tensor]) -> float:
    return math.sqrt(math.fsum(float(value.float().square().sum()) for value in values))
