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

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.edits.adapter import refuse_adapter
from equipoise.edits.edit import fingerprint
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.chat_template import template_sha256
from equipoise.models.kernels import matmul_path
from equipoise.models.tokenization import tokenizer_sha256
from equipoise.records import JSON, OPTIONS
from equipoise.rows import TrainingRow
from equipoise.training.learnable_rows import LearnableRows, learnable_rows, rows_sha256
from equipoise.training.loop import Loss, Rows, Schedule, Trained, TrainingMonitor, train
from equipoise.training.lora import adapter_dropout, lora_config, lora_in_training
from equipoise.training.resume import (
    Checkpoint,
    keeping_epochs,
    kept_checkpoints,
    read_checkpoint,
)
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows, tokenize_rows

_KEPT = 4  # trainings, of the latest
#: The adapter has hardly left its start where its product is this small beside its factor A.
_UNMOVED = 1e-3


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextTraining:
    """How an adapter is fine-tuned on rows: LoRA (Hu et al. 2022) with AdamW.

    The loss of a step is the mean over its rows of a row's mean over learnt tokens, so that a row
    counts alike whatever its length, and the gradient of a step is the mean of its rows' gradients,
    which attribution takes apart. Adam's numbers are PyTorch's: 0.9, 0.999, 1e-8.
    """

    name: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 16  # of LoRA
    alpha: Annotated[float, Field(gt=0)] = 32.0  # of LoRA; its update is scaled by alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # of the adapter alone
    #: ends of module names, or "all-linear"; "auto": the attention of the architecture; BiasDiff
    #: has ["q_proj", "v_proj"]
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
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
    strict: bool = False  # a row that cannot be learnt is an error, and not left out
    bf16: bool = False  # compute in bfloat16; the adapter is float32 in any case

    def tokenize(self, model: LanguageModel, rows: Sequence[TrainingRow]) -> TokenizedRows:
        """Rows as this training reads them; raises as `tokenize_rows`."""
        return tokenize_rows(
            model, rows, max_tokens=self.max_tokens, strict=self.strict, eos=self.eos
        )

    def lora(self, model: LanguageModel) -> dict[str, JSON]:
        """PEFT's configuration; raises `ModelError` when a target is not in the model."""
        return lora_config(
            model.module,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
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
            bf16=self.bf16,
            warmup=min(math.ceil(self.warmup * total), total - 1),
            horizon=total if self.decay == "linear" else None,
            steps=total,
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
class TrainedText:
    """An adapter trained on rows. Tensors are float32, on the CPU, by the parameters' names."""

    config: Mapping[str, JSON]  # PEFT's adapter_config.json
    weights: Mapping[str, Tensor]  # after the last step
    checkpoints: tuple[Checkpoint, ...]  # after each epoch, with Adam's moments; the last is last
    rates: tuple[float, ...]  # mean learning rate of the steps before each checkpoint
    losses: tuple[float, ...]  # per step, in nats per token of a row
    steps: int
    tokens: int  # that were learnt, each as often as it was
    index: NDArray[np.int64]  # places of the rows that were learnt
    skipped: Mapping[str, str]  # id of a row left out, and why
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
        if self.skipped:
            reason = next(iter(self.skipped.values()))
            notes.append(f"{len(self.skipped)} rows were left out; the first {reason}")
        return tuple(notes)

    @property
    def report(self) -> dict[str, JSON]:
        """For an edit's report."""
        a, b = self.norms
        return {
            "steps": self.steps,
            "tokens": self.tokens,
            "rows": len(self.index),
            "rows_left_out": len(self.skipped),
            "learning_rate": self.training.learning_rate,
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
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


def model_key(model: LanguageModel) -> str:
    """What a training depends on beside the weights: how texts are cut, and who multiplies."""
    tokenizer = tokenizer_sha256(model.tokenizer, specials=False)
    template, path = template_sha256(model.tokenizer), matmul_path(model.module)
    device, dtype = model.module.device, model.module.dtype
    return f"{tokenizer} {template} {model.start_token_id} {path} {device} {dtype}"


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
