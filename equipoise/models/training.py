"""The one Trainer: example numbers and a method's loss in, changed weights out.

Mixed precision, accumulation and multi-device training are transformers' own. What is ours: only
the chosen parameters are trained and only they are returned, the module is left bit for bit as it
was, batches depend on the seed alone, a loss that is not finite names its step, and the caller's
random generators are left alone.
"""

import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import transformers
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import RandomSampler
from transformers.trainer_callback import PrinterCallback

from equipoise.errors import ModelError, RecipeError

Rows: TypeAlias = Int[Tensor, " row"]
#: (module, numbers of the examples in this batch, step from 0) → a scalar to minimize.
Loss: TypeAlias = Callable[[nn.Module, Rows, int], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How to train: Adam at a constant rate, no weight decay, unless told otherwise."""

    learning_rate: float
    epochs: int
    batch_size: int  # examples a step
    seed: int  # of the order of the examples
    weight_decay: float = 0.0  # > 0: AdamW
    max_gradient: float = 0.0  # clip the gradient's norm to this; 0: do not
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case
    dropout: bool = False  # off, so that cached activations equal a full forward


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training made."""

    losses: tuple[float, ...]  # of each step, before it
    steps: int
    seconds: float
    weights: Mapping[str, Tensor]  # by the names given, on the CPU, in the module's own dtype


def train(
    module: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    *,
    examples: int,
    loss: Loss,
    schedule: Schedule,
) -> Trained:
    """Train some parameters of a module on examples 0 to `examples` - 1.

    `loss` looks its examples up by number, so anything can be an example. The module comes back
    as it was; the trained values are in the result.
    Raises `RecipeError` when there is nothing to train or to train on, and `ModelError` when a
    loss is not finite (naming the step), or weights end up not finite or all unchanged.
    """
    if not examples or not parameters:
        raise RecipeError(
            f"training must have examples and parameters, got {examples} and {len(parameters)}; "
            "give the method a supply and something to train"
        )
    before = {name: one.detach().clone() for name, one in parameters.items()}
    began = time.perf_counter()
    with _generators_kept(), _chosen_alone(module, parameters), _float32(parameters):
        losses = _run(module, examples=examples, loss=loss, schedule=schedule)
        weights = {name: _trained(one, before[name]) for name, one in parameters.items()}
    _check(weights, before, schedule)
    seconds = time.perf_counter() - began
    return Trained(losses=tuple(losses), steps=len(losses), seconds=seconds, weights=weights)


def _trained(parameter: nn.Parameter, before: Tensor) -> Tensor:
    return parameter.detach().to(dtype=before.dtype, device="cpu", copy=True)


def _check(weights: Mapping[str, Tensor], before: Mapping[str, Tensor], schedule: Schedule) -> None:
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ModelError(
                f"weights must be finite after training, '{name}' is not; "
                f"lower the learning rate (it is {schedule.learning_rate:g})"
            )
    if all(torch.equal(value, before[name].cpu()) for name, value in weights.items()):
        raise ModelError(
            f"training must change weights, all {len(weights)} are as before in their own dtype; "
            f"raise the learning rate (it is {schedule.learning_rate:g}) or load as float32"
        )


class _MethodTrainer(transformers.Trainer):  # type: ignore[misc]  # transformers is untyped
    """transformers' Trainer around a method's loss."""

    def __init__(self, *, loss: Loss, dropout: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss = loss
        self.dropout = dropout
        self.losses: list[float] = []

    def compute_loss(
        self, model: nn.Module, inputs: Mapping[str, Tensor], *_: object, **__: object
    ) -> Tensor:
        if not self.dropout:
            model.eval()
        step = int(self.state.global_step)
        value = self.loss(model, inputs["rows"], step)
        number = float(value.detach())
        if not math.isfinite(number):
            raise ModelError(
                f"step {step}: the loss must be finite, got {number}; lower the learning rate "
                f"(it is {self.args.learning_rate:g}) or check the model's weights"
            )
        self.losses.append(number)
        return value

    def _get_train_sampler(self, train_dataset: Any = None) -> RandomSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return RandomSampler(rows, generator=torch.Generator().manual_seed(self.args.seed))


def _run(module: nn.Module, *, examples: int, loss: Loss, schedule: Schedule) -> list[float]:
    device = next(module.parameters()).device
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            use_cpu=device.type == "cpu",
            per_device_train_batch_size=schedule.batch_size,
            num_train_epochs=schedule.epochs,
            learning_rate=schedule.learning_rate,
            lr_scheduler_type="constant",
            optim="adamw_torch",
            weight_decay=schedule.weight_decay,
            max_grad_norm=schedule.max_gradient,
            bf16=schedule.bf16,
            seed=schedule.seed,
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=device.type != "cpu",
        )
        trainer = _MethodTrainer(
            loss=loss,
            dropout=schedule.dropout,
            model=module,
            args=arguments,
            train_dataset=range(examples),
            data_collator=_collate,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return list(trainer.losses)


def _collate(rows: Sequence[int]) -> dict[str, Rows]:
    return {"rows": torch.tensor(rows)}


@contextmanager
def _chosen_alone(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Only these take gradients; flags, gradients and mode are put back."""
    chosen = {id(one) for one in parameters.values()}
    flags = [(one, one.requires_grad, one.grad) for one in module.parameters()]
    modes = [(one, one.training) for one in module.modules()]
    for one, _, _ in flags:
        one.requires_grad_(id(one) in chosen)
        one.grad = None
    try:
        yield
    finally:
        for one, flag, gradient in flags:
            one.requires_grad_(flag)
            one.grad = gradient
        for part, mode in modes:
            part.training = mode


@contextmanager
def _float32(parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Float32 copies stand in for the parameters, whose own bytes are put back untouched."""
    own = {name: one.data for name, one in parameters.items()}
    for one in parameters.values():
        one.data = one.data.to(torch.float32, copy=True)
    try:
        yield
    finally:
        for name, one in parameters.items():
            one.grad = None
            one.data = own[name]


@contextmanager
def _generators_kept() -> Iterator[None]:
    """The global generators, which transformers' Trainer seeds, come back as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
