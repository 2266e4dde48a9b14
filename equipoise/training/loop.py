"""The training loop: example numbers and a method's loss in, trained weights out.

Only the chosen parameters are trained, and only they are returned: the module and the caller's
random state are left as they were. What a step does depends on the seed and its number alone, so a
training that was killed resumes to the same bits (`resume`). Accelerate computes in bfloat16 and
connects several processes (`data_parallel`).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from accelerate import Accelerator
from accelerate.utils import convert_outputs_to_fp32
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm

from equipoise.errors import ModelError, RecipeError
from equipoise.training.data_parallel import (
    accelerator_for,
    sharing_forward_passes,
    sum_gradients,
)
from equipoise.training.monitor import TrainingMonitor
from equipoise.training.resume import (
    Checkpoint,
    checkpoints_wanted,
    is_kept,
    latest_checkpoint,
    training_key,
    write_checkpoint,
)

Rows: TypeAlias = Int[Tensor, " row"]
#: (module, numbers of the examples in this batch, step from 0) → a scalar to minimize.
Loss: TypeAlias = Callable[[nn.Module, Rows, int], Tensor]

_SEEDS_APART = 1_000_003  # between the dropout of two trainings


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How to train: Adam at a constant rate without weight decay, by default."""

    learning_rate: float
    epochs: int
    batch_size: int  # examples per step
    seed: int  # of the order of the examples, and of dropout
    weight_decay: float = 0.0  # > 0: AdamW
    max_gradient: float = 0.0  # clip the gradient's norm to this; 0: never
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case
    dropout: bool = False  # off, so that cached activations equal a full forward
    warmup: int = 0  # steps over which the rate rises to its full height
    horizon: int | None = None  # the rate falls linearly to 0 at this step; None: constant
    checkpoint_every: int = 50  # steps, unless a monitor evaluates: then after each evaluation

    def rate(self, step: int) -> float:
        """The share of the learning rate at a step (from 0), in [0, 1]."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        if self.horizon is None:
            return 1.0
        return max(0.0, (self.horizon - step) / max(1, self.horizon - self.warmup))

    def batches(self, examples: int, *, first: int) -> Iterator[tuple[int, Rows]]:
        """Steps from `first` on, each with its batch; every epoch has an order of its own."""
        per_epoch = math.ceil(examples / self.batch_size)
        for step in range(first, self.epochs * per_epoch):
            epoch, index = divmod(step, per_epoch)
            if step == first or index == 0:
                generator = torch.Generator().manual_seed(self.seed + epoch)
                order = torch.randperm(examples, generator=generator)
            yield step, order[index * self.batch_size : (index + 1) * self.batch_size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The result of a training."""

    losses: tuple[float, ...]  # per step, before its update
    norms: tuple[float, ...]  # of all gradients together, before clipping; per step
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
    monitor: TrainingMonitor | None = None,
    key: str = "",
) -> Trained:
    """Train some parameters of a module on examples 0 to `examples` - 1.

    `loss` looks its examples up by number, so anything can be an example. The module is restored;
    the trained values are in the result. `monitor` evaluates the module during training. `key`
    distinguishes this training from others that begin with the same values, for its checkpoints.
    Raises `RecipeError` when there is nothing to train or to train on, or the loss cannot be shared
    among the processes; `ModelError` when a loss is not finite (naming the step), or weights are
    not finite or all unchanged.
    """
    if not examples or not parameters:
        raise RecipeError(
            f"training must have examples and parameters, got {examples} and {len(parameters)}; "
            "give the method a supply and something to train"
        )
    start = time.perf_counter()
    dtypes = {name: parameter.dtype for name, parameter in parameters.items()}
    initial = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    with ExitStack() as stack:
        devices = range(torch.cuda.device_count())
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(_only_trainable(module, parameters))
        stack.enter_context(_in_float32(parameters))
        training = _Training(
            module,
            parameters,
            schedule=schedule,
            monitor=monitor,
            key=training_key(parameters, examples, key, schedule, monitor is not None),
        )
        training.run(examples, loss)
        weights = {
            name: value.to(dtype=dtypes[name], device="cpu", copy=True)
            for name, value in training.result().items()
        }
    _check_weights(weights, initial, schedule)
    return Trained(
        losses=tuple(training.losses),
        norms=tuple(training.norms),
        steps=len(training.losses),
        seconds=time.perf_counter() - start,
        weights=weights,
    )


class _Training:
    """Parameters, optimizer and measurements after some steps."""

    def __init__(
        self,
        module: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        *,
        schedule: Schedule,
        monitor: TrainingMonitor | None,
        key: str,
    ) -> None:
        self.module = module
        self.parameters = parameters
        self.schedule = schedule
        self.monitor = monitor
        self.key = key
        self.device = next(module.parameters()).device
        self.accelerator = accelerator_for(self.device, bf16=schedule.bf16)
        self.optimizer = torch.optim.AdamW(
            parameters.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.stopped = False
        self.best: dict[str, Tensor] = {}  # values of the last acceptable evaluation
        if monitor is not None and monitor.restores_best:
            self.best = {name: value.clone() for name, value in self.values().items()}

    def values(self) -> dict[str, Tensor]:
        """The parameters' values now, not copied."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def result(self) -> dict[str, Tensor]:
        """The values that training returns."""
        return self.best or self.values()

    def run(self, examples: int, loss: Loss) -> None:
        """All steps that are not done, with their evaluations and checkpoints."""
        self._resume()
        per_epoch = math.ceil(examples / self.schedule.batch_size)
        total = self.schedule.epochs * per_epoch
        monitor = self.monitor
        every = self.schedule.checkpoint_every if monitor is None else monitor.every
        for step, rows in self.schedule.batches(examples, first=len(self.losses)):
            if self.stopped:
                break
            self._update(step, rows.to(self.device), loss)
            done = step + 1
            is_due, keep = done % every == 0, is_kept(done, epoch=per_epoch)
            is_evaluated = monitor is not None and (is_due or done == total)
            if is_due or keep or is_evaluated:
                self._check_finite(step)
            if monitor is not None and is_evaluated:
                self.stopped = monitor.evaluate(done, last=done == total)
                if self.best and monitor.is_best:
                    self.best = {name: value.clone() for name, value in self.values().items()}
            if (is_due or keep) and checkpoints_wanted() and self.accelerator.is_main_process:
                write_checkpoint(self._checkpoint(), keep=keep)

    def _update(self, step: int, rows: Rows, loss: Loss) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.rate(step)
        self.module.train(self.schedule.dropout)
        torch.manual_seed(self.schedule.seed * _SEEDS_APART + step)
        with (
            _autocast_forward(self.module, self.accelerator),
            sharing_forward_passes(self.accelerator),
        ):
            value = loss(self.module, rows, step)
        number = float(value.detach())
        if not math.isfinite(number):
            raise ModelError(
                f"step {step}: the loss must be finite, got {number}; lower the learning rate "
                f"(it is {self.schedule.learning_rate:g}) or check the model's weights"
            )
        self.accelerator.backward(value)
        sum_gradients(self.accelerator, self.parameters.values())
        if self.schedule.max_gradient > 0:
            norm = clip_grad_norm_(self.parameters.values(), self.schedule.max_gradient)
        else:
            gradients = [parameter.grad for parameter in self.parameters.values()]
            norm = get_total_norm([gradient for gradient in gradients if gradient is not None])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.losses.append(number)
        self.norms.append(float(norm))

    def _check_finite(self, step: int) -> None:
        """No weights that a gradient has spoilt are evaluated or written."""
        for name, value in self.values().items():
            if not torch.isfinite(value).all():
                raise ModelError(
                    f"step {step}: weights must be finite, '{name}' is not; lower the learning "
                    f"rate (it is {self.schedule.learning_rate:g}) or check the model's weights"
                )

    def _checkpoint(self) -> Checkpoint:
        moments = {
            name: self.optimizer.state[parameter]
            for name, parameter in self.parameters.items()
            if parameter in self.optimizer.state
        }
        return Checkpoint(
            key=self.key,
            steps=len(self.losses),
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            losses=tuple(self.losses),
            norms=tuple(self.norms),
            monitor=None if self.monitor is None else self.monitor.state(),
            stopped=self.stopped,
            values=_on_cpu(self.values()),
            exp_avg=_on_cpu({name: state["exp_avg"] for name, state in moments.items()}),
            exp_avg_sq=_on_cpu({name: state["exp_avg_sq"] for name, state in moments.items()}),
            updates=_on_cpu({name: state["step"] for name, state in moments.items()}),
            best=_on_cpu(self.best),
        )

    def _resume(self) -> None:
        """Continue from the latest checkpoint of this training, if any."""
        checkpoint = latest_checkpoint(self.key)
        if checkpoint is None:
            return
        for name, parameter in self.parameters.items():
            parameter.data.copy_(checkpoint.values[name])
            if name in checkpoint.updates:
                self.optimizer.state[parameter] = {
                    "step": checkpoint.updates[name],
                    "exp_avg": checkpoint.exp_avg[name].to(parameter.device),
                    "exp_avg_sq": checkpoint.exp_avg_sq[name].to(parameter.device),
                }
        self.losses, self.norms = list(checkpoint.losses), list(checkpoint.norms)
        self.stopped = checkpoint.stopped
        self.best = {name: value.to(self.device) for name, value in checkpoint.best.items()}
        if self.monitor is not None:
            self.monitor.restore(checkpoint.monitor)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _check_weights(
    weights: Mapping[str, Tensor], initial: Mapping[str, Tensor], schedule: Schedule
) -> None:
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ModelError(
                f"weights must be finite after training, '{name}' is not; "
                f"lower the learning rate (it is {schedule.learning_rate:g})"
            )
    if all(torch.equal(value, initial[name].cpu()) for name, value in weights.items()):
        raise ModelError(
            f"training must change weights, all {len(weights)} are as before in their own dtype; "
            f"raise the learning rate (it is {schedule.learning_rate:g}) or load as float32"
        )


@contextmanager
def _only_trainable(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Only these parameters take gradients; flags, gradients and modes are restored."""
    chosen = {id(parameter) for parameter in parameters.values()}
    flags = [
        (parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()
    ]
    modes = [(part, part.training) for part in module.modules()]
    for parameter, _, _ in flags:
        parameter.requires_grad_(id(parameter) in chosen)
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, flag, gradient in flags:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
        for part, mode in modes:
            part.training = mode


@contextmanager
def _in_float32(parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Float32 copies replace the parameters' values; the original bytes are restored."""
    values = {name: parameter.data for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.data = parameter.data.to(torch.float32, copy=True)
    try:
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.grad = None
            parameter.data = values[name]


@contextmanager
def _autocast_forward(module: nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """The module's forward computes in the accelerator's precision and returns float32.

    Its loss is then computed in float32, and an evaluation outside of the block in the module's
    own precision, as before training.
    """
    if accelerator.mixed_precision == "no":
        yield
        return
    previous = vars(module).get("forward")
    vars(module)["forward"] = convert_outputs_to_fp32(accelerator.autocast()(module.forward))
    try:
        yield
    finally:
        del vars(module)["forward"]
        if previous is not None:
            vars(module)["forward"] = previous
