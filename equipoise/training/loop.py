"""The one Trainer: example numbers and a method's loss in, changed weights out.

Mixed precision, accumulation and multi-device training are transformers' own. What is ours: only
the chosen parameters are trained and only they are returned, the module is left bit for bit as it
was, batches depend on the seed alone, a loss that is not finite names its step, the caller's
random generators are left alone, and a training that was killed goes on where it was
(`training_state`), to the same bits.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import transformers
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import RandomSampler
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from equipoise.errors import ModelError, RecipeError
from equipoise.training.monitor import TrainingMonitor
from equipoise.training.restoring import chosen_alone, generators_kept, in_float32, own_arithmetic
from equipoise.training.resume import (
    State,
    read_state,
    tensors_of,
    training_key,
    write_state,
)

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
    warmup: int = 0  # steps over which the rate rises to its full height
    horizon: int | None = None  # the rate falls linearly to 0 at this step; None: it stays
    keep_every: int = 50  # steps between the states that a killed training goes on from

    def rate(self, step: int) -> float:
        """The share of the learning rate that a step (from 0) has, in [0, 1]."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        if self.horizon is None:
            return 1.0
        return max(0.0, (self.horizon - step) / max(1, self.horizon - self.warmup))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training made."""

    losses: tuple[float, ...]  # of each step, before it
    norms: tuple[float, ...]  # of each step's gradient, over all parameters, before clipping
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
    watch: TrainingMonitor | None = None,
    key: str = "",
) -> Trained:
    """Train some parameters of a module on examples 0 to `examples` - 1.

    `loss` looks its examples up by number, so anything can be an example. The module comes back
    as it was; the trained values are in the result. `watch` looks at it while it is trained.
    `key` tells this training from others that begin with the same values, for the state that it
    goes on from after a kill (`training_state.states_kept_in`).
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
    with generators_kept(), chosen_alone(module, parameters), in_float32(parameters):
        course = _Course(module, parameters, watch, schedule, (examples, key))
        _run(module, examples=examples, loss=loss, schedule=schedule, course=course)
        weights = {name: _trained(one, before[name]) for name, one in parameters.items()}
    _check(weights, before, schedule)
    seconds = time.perf_counter() - began
    return Trained(
        losses=tuple(course.losses),
        norms=tuple(course.norms),
        steps=len(course.losses),
        seconds=seconds,
        weights=weights,
    )


def _norm(parameters: Iterable[nn.Parameter]) -> float:
    """The Euclidean norm of all gradients together."""
    several = [
        torch.linalg.vector_norm(parameter.grad)
        for parameter in parameters
        if parameter.grad is not None
    ]
    return float(torch.linalg.vector_norm(torch.stack(several))) if several else 0.0


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
    """transformers' Trainer around a method's loss.

    A training that goes on from a kept state runs through the steps that are done without doing
    anything, so that the order of the examples and the learning rate are those of one run.
    """

    def __init__(self, *, loss: Loss, schedule: Schedule, course: "_Course", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss = loss
        self.schedule = schedule
        self.course = course

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        if int(self.state.global_step) < self.course.done:
            return torch.zeros((), device=self.args.device)
        self.course.take_up(self.optimizer)
        found: Tensor = super().training_step(model, inputs, *args, **kwargs)
        self.course.norms.append(_norm(self.course.parameters.values()))
        return found

    def compute_loss(
        self, model: nn.Module, inputs: Mapping[str, Tensor], *_: object, **__: object
    ) -> Tensor:
        if not self.schedule.dropout:
            model.eval()
        step = int(self.state.global_step)
        value = self.loss(model, inputs["rows"], step)
        number = float(value.detach())
        if not math.isfinite(number):
            raise ModelError(
                f"step {step}: the loss must be finite, got {number}; lower the learning rate "
                f"(it is {self.args.learning_rate:g}) or check the model's weights"
            )
        self.course.losses.append(number)
        return value

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        del num_training_steps  # the schedule has a horizon of its own
        chosen = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, self.schedule.rate)
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Any = None) -> RandomSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return RandomSampler(rows, generator=torch.Generator().manual_seed(self.args.seed))


class _Course(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """How far a training is: it keeps states, lets the watch look, and takes up a kept state."""

    def __init__(
        self,
        module: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        watch: TrainingMonitor | None,
        schedule: Schedule,
        about: tuple[object, ...],
    ) -> None:
        self.module = module
        self.parameters = parameters
        self.watch = watch
        self.rate = schedule.learning_rate
        self.key = training_key(parameters, (*about, schedule, watch is not None))
        self.every = schedule.keep_every if watch is None else watch.every
        self.kept = read_state(self.key)
        self.losses: list[float] = [] if self.kept is None else list(self.kept.losses)
        self.norms: list[float] = [] if self.kept is None else list(self.kept.norms)
        chooses = watch is not None and watch.restores_best
        self.chosen = (  # what the watch would keep, where it chooses
            {name: one.detach().clone() for name, one in parameters.items()} if chooses else {}
        )

    @property
    def done(self) -> int:
        """Steps that a killed training had behind it and that are not to be done again."""
        return 0 if self.kept is None else self.kept.steps

    def take_up(self, optimizer: Any) -> None:
        """Before the first step that is really done: values and moments as they were."""
        if self.kept is not None:
            self.kept.put(self.parameters, optimizer.optimizer)
            if self.watch is not None:
                self.watch.restore(self.kept.watch)
            for name, one in self.chosen.items():
                one.copy_(self.kept.chosen(name))
            self.kept = None

    def on_step_end(self, _: Any, state: Any, control: Any, **kwargs: Any) -> None:
        steps = int(state.global_step)
        if steps < self.done:
            return
        if self.kept is not None:  # all that was to be done had been done
            if self.kept.stopped:
                self.take_up(kwargs["optimizer"])
                control.should_training_stop = True
            return
        if steps % self.every:
            return
        self._check_finite(steps)
        stopped = self._look(steps, last=steps == int(state.max_steps))
        control.should_training_stop = control.should_training_stop or stopped
        write_state(
            self.key,
            State(
                steps=steps,
                losses=tuple(self.losses),
                norms=tuple(self.norms),
                watch=None if self.watch is None else self.watch.state(),
                stopped=stopped,
                tensors=tensors_of(
                    self.parameters, kwargs["optimizer"].optimizer, chosen=self.chosen
                ),
            ),
        )

    def _check_finite(self, steps: int) -> None:
        """Nothing is looked at or kept of a training that a gradient has spoilt."""
        for name, one in self.parameters.items():
            if not torch.isfinite(one).all():
                raise ModelError(
                    f"step {steps - 1}: weights must be finite, '{name}' is not; lower the "
                    f"learning rate (it is {self.rate:g}) or check the model's weights"
                )

    def _look(self, steps: int, *, last: bool) -> bool:
        """Let the watch look, and copy what may be kept; whether it stops the training."""
        if self.watch is None:
            return False
        with own_arithmetic(self.module):
            stopped = self.watch.evaluate(steps, last=last)
        if self.watch.is_best:
            for name, one in self.chosen.items():
                one.copy_(self.parameters[name].detach())
        return stopped

    def on_train_end(self, _: Any, state: Any, __: Any, **kwargs: Any) -> None:
        self.take_up(kwargs["optimizer"])
        steps = int(state.global_step)
        if self.watch is not None and steps % self.every:  # or it has just looked
            self._check_finite(steps)
            self._look(steps, last=True)
        for name, one in self.chosen.items():
            self.parameters[name].data.copy_(one)


@dataclass
class _OnOneDevice(transformers.TrainingArguments):  # type: ignore[misc]  # untyped
    """Of the module's own device: all GPUs together would share out the steps among them."""

    own_device: str = "cpu"

    @property
    def n_gpu(self) -> int:
        return min(1, int(super().n_gpu))

    @property
    def device(self) -> torch.device:
        _ = super().device  # sets up what accelerate asks for
        return torch.device(self.own_device)


def _run(
    module: nn.Module, *, examples: int, loss: Loss, schedule: Schedule, course: _Course
) -> None:
    device = next(module.parameters()).device
    with tempfile.TemporaryDirectory() as folder:
        arguments = _OnOneDevice(
            output_dir=folder,
            own_device=str(device),
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
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            trainer = _MethodTrainer(
                loss=loss,
                schedule=schedule,
                course=course,
                model=module,
                args=arguments,
                train_dataset=range(examples),
                data_collator=_collate,
                callbacks=[course],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()


def _collate(rows: Sequence[int]) -> dict[str, Rows]:
    return {"rows": torch.tensor(rows)}
