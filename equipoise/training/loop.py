"""The training loop: example numbers and a method's loss in, trained weights out.

Only the chosen parameters are trained, and only they are returned: the module and the caller's
random state are left as they were. What a step does depends on the seed and its number alone, so a
training that was killed resumes to the same bits (`resume`). Accelerate computes in bfloat16 and
connects several processes (`data_parallel`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm

from equipoise.errors import ModelError, RecipeError
from equipoise.processes.launch import process_count
from equipoise.progress.bars import progress
from equipoise.records import JSON
from equipoise.training.data_parallel import (
    accelerator_for,
    sharing_forward_passes,
    sum_gradients,
)
from equipoise.training.gradient_checkpointing import recomputing_blocks
from equipoise.training.loss_curves import extend_parts, part_values, recording_parts
from equipoise.training.restoring import autocast_forward, only_trainable
from equipoise.training.resume import (
    Checkpoint,
    checkpoints_wanted,
    is_kept,
    latest_checkpoint,
    training_key,
    write_checkpoint,
)
from equipoise.training.schedule import Rows, Schedule
from equipoise.training.sharded import (
    clip,
    part_like,
    sharded_blocks,
    sum_shared_gradients,
    total_norm,
    whole,
)
from equipoise.training.weight_checks import check_adapter_gradients, check_norm, check_weights

#: (module, numbers of the examples in this batch, step from 0) → a scalar to minimize.
Loss: TypeAlias = Callable[[nn.Module, Rows, int], Tensor]

_SEEDS_APART = 1_000_003  # between the dropout of two trainings
_HALF = (torch.bfloat16, torch.float16)
#: Groups of a checkpoint to Adam's own names.
_MOMENTS = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "updates": "step"}


class TrainingMonitor(ABC):
    """Evaluates a model in training every few steps and at the end; may stop or steer training."""

    every: int  # steps between two evaluations
    restores_best: bool  # whether `is_best` may ever be False, so that earlier weights must be kept

    @property
    @abstractmethod
    def is_best(self) -> bool:
        """Whether the weights at the last evaluation are acceptable.

        Training returns the weights of the last acceptable evaluation, or the initial weights.
        """

    @abstractmethod
    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Evaluate after `steps` steps; True ends training. `last`: no step follows."""

    @abstractmethod
    def state(self) -> JSON:
        """Everything that later evaluations and losses depend on, for a checkpoint."""

    @abstractmethod
    def restore(self, state: JSON) -> None:
        """Set the state that `state` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The result of a training."""

    losses: tuple[float, ...]  # per step, before its update
    parts: Mapping[str, Sequence[float]]  # of the losses, before weights; nan: a step without it
    parameters: int  # numbers that were trained
    norms: tuple[float, ...]  # of all gradients together, before clipping; per step
    steps: int
    key: str  # of its checkpoints (`resume.training_key`)
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
    """Train some parameters of a module on examples 0 to `examples` - 1; the module is restored.

    `loss` looks its examples up by number, so anything can be an example. `key` distinguishes this
    training from others that begin with the same values, for its checkpoints.
    Raises `RecipeError` when there is nothing to train or to train on, or the loss cannot be shared
    among the processes; `ModelError` when a loss is not finite (naming the step), or weights are
    not finite or all unchanged.
    """
    if not examples or not parameters:
        raise RecipeError(
            f"training must have examples and parameters, got {examples} and {len(parameters)}; "
            "give the method a supply and something to train"
        )
    # `only_trainable` leaves these as they are
    initial = {name: parameter.detach() for name, parameter in parameters.items()}
    with ExitStack() as stack:
        # devices are named, since it warns of several that are not
        stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
        start = stack.enter_context(_shared_out(module, parameters, schedule))
        stack.enter_context(only_trainable(module, start))
        key = training_key(parameters, examples, key, schedule, monitor is not None)
        # float32 copies among weights of half precision: the module computes only with autocast
        mixed = any(value.dtype in _HALF for value in initial.values()) and any(
            value.dtype in _HALF for value in module.parameters()
        )
        schedule = replace(schedule, bf16=schedule.bf16 or mixed)
        training = _Training(module, start, schedule, monitor, key)
        if schedule.gradient_checkpointing:
            stack.enter_context(recomputing_blocks(module))
        if mixed:  # for what a monitor evaluates, too
            stack.enter_context(autocast_forward(module, training.accelerator))
        training.resume()
        per_epoch = math.ceil(examples / schedule.batch_size)
        total = schedule.total(examples)
        every = schedule.checkpoint_every if monitor is None else monitor.every
        resumed, shown = len(training.losses), training.accelerator.is_main_process
        counter = stack.enter_context(progress("training", total, done=resumed, shown=shown))
        for step, rows in schedule.batches(examples, first=resumed):
            if training.stopped:
                break
            training.update(step, rows.to(training.device), loss)
            counter.advance(loss=training.losses[-1])
            done = step + 1
            is_due = done % every == 0
            keep = is_kept(done, epoch=per_epoch, last=done == total)
            is_evaluated = monitor is not None and (is_due or done == total)
            if is_due or keep or is_evaluated:
                training.check_finite(step)
            if monitor is not None and is_evaluated:
                training.stopped = monitor.evaluate(done, last=done == total)
                if training.best and monitor.is_best:
                    training.best = training.copy_values()
            # after the evaluation, whose outcome the checkpoint must have
            if (is_due or keep) and checkpoints_wanted():
                training.write_checkpoint(keep=keep)
        steps = len(training.losses)
        training.take_best()
        weights = {
            name: whole(value).to(dtype=initial[name].dtype, device="cpu", copy=True)
            for name, value in training.values().items()
        }
        rates = f"the learning rate ({schedule.learning_rate:g})"
        check_weights(weights, initial, rates=rates, when=f"after step {steps - 1}")
        _, rows = next(schedule.batches(examples, first=steps - 1))
        training.check_outcome(steps - 1, rows.to(training.device), loss)
    return Trained(
        losses=tuple(training.losses),
        parts=training.parts,
        parameters=sum(parameter.numel() for parameter in parameters.values()),
        norms=tuple(training.norms),
        steps=steps,
        key=key,
        weights=weights,
    )


def _shared_out(
    module: nn.Module, parameters: Mapping[str, nn.Parameter], schedule: Schedule
) -> AbstractContextManager[Mapping[str, nn.Parameter]]:
    """The parameters that are trained, shared out among several processes if that is asked for."""
    if not schedule.fsdp or process_count() == 1:
        return nullcontext(parameters)
    if schedule.micro_batch:
        raise RecipeError(
            "fsdp must run as many forward passes in every process, got micro_batch="
            f"{schedule.micro_batch}; leave it out, gradient_checkpointing saves memory, too"
        )
    accelerator_for(next(module.parameters()).device, bf16=False)  # connects the processes
    return sharded_blocks(module, parameters)


@dataclass
class _Training:
    """Parameters, optimizer and measurements after some steps."""

    module: nn.Module
    parameters: Mapping[str, nn.Parameter]
    schedule: Schedule
    monitor: TrainingMonitor | None
    key: str
    losses: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    stopped: bool = False
    best: dict[str, Tensor] = field(default_factory=dict)  # at the last acceptable evaluation

    def __post_init__(self) -> None:
        schedule = self.schedule
        self.device = next(self.module.parameters()).device
        self.accelerator = accelerator_for(self.device, bf16=schedule.bf16)
        self.is_sharded = schedule.fsdp and self.accelerator.num_processes > 1
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            foreach=False if self.is_sharded else None,  # whole and shared weights do not mix
        )
        if self.monitor is not None and self.monitor.restores_best:
            self.best = self.copy_values()

    def values(self) -> dict[str, Tensor]:
        """The parameters' values now, not copied."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def copy_values(self) -> dict[str, Tensor]:
        """The parameters' values now, kept from further steps."""
        return {name: value.clone() for name, value in self.values().items()}

    def take_best(self) -> None:
        """The parameters get the values that are returned."""
        for name, value in self.values().items():
            value.copy_(self.best.get(name, value))

    def update(self, step: int, rows: Rows, loss: Loss) -> None:
        """A step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.rate(step)
        with self._forward_passes(step), recording_parts() as recorded:
            value = loss(self.module, rows, step)
            number, parts = part_values(value, recorded)
            if not math.isfinite(number):
                raise ModelError(
                    f"step {step}: the loss must be finite, got {number}; {self._remedy}"
                )
            self.accelerator.backward(value)  # which may run parts of the forward pass again
        parameters = self.parameters.values()
        summed = sum_shared_gradients(parameters) if self.is_sharded else parameters
        sum_gradients(self.accelerator, summed)
        if self.schedule.gradient_checkpointing and step == 1:
            check_adapter_gradients(self.parameters, step)
        norm = self._clip_gradients(self.schedule.max_gradient)
        self.optimizer.step()
        self.optimizer.zero_grad()
        extend_parts(self.parts, parts, steps=len(self.losses))
        self.losses.append(number)
        self.norms.append(float(norm))

    def _clip_gradients(self, most: float) -> Tensor:
        """The norm of all gradients together, which are then at most `most`; 0: as they are."""
        if most > 0 and not self.is_sharded:
            return clip_grad_norm_(self.parameters.values(), most)
        parameters = self.parameters.values()
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not self.is_sharded:
            return get_total_norm(gradients)
        norm = total_norm(gradients)
        if most > 0:
            clip(gradients, norm, most)
        return norm

    def check_finite(self, step: int) -> None:
        """No weights that a gradient has spoilt are evaluated or written."""
        for name, value in self.values().items():
            check_norm(name, value, f"step {step}: weights must", self._remedy)

    def check_outcome(self, step: int, rows: Rows, loss: Loss) -> None:
        """The weights as they are give the last step's batch a finite loss.

        A step's loss is taken before its update, so that what the last one did is seen in no loss;
        and two factors of an adapter may be finite whose product is not.
        """
        with self._forward_passes(step):
            number = float(loss(self.module, rows, step).detach())
        if not math.isfinite(number):
            raise ModelError(
                f"after step {step} the loss must be finite, got {number}; {self._remedy}"
            )

    @contextmanager
    def _forward_passes(self, step: int) -> Iterator[None]:
        """A `with` block in which the loss of a step is computed."""
        self.module.train(self.schedule.dropout)
        # anew at every step, so that a resumed training has the dropout that it would have had
        torch.manual_seed(self.schedule.seed * _SEEDS_APART + step)
        with (
            autocast_forward(self.module, self.accelerator),
            sharing_forward_passes(self.accelerator, micro_batch=self.schedule.micro_batch),
        ):
            yield

    @property
    def _remedy(self) -> str:
        rate = self.schedule.learning_rate
        return f"lower the learning rate (it is {rate:g}) or check the model's weights"

    def write_checkpoint(self, *, keep: bool) -> None:
        """Write all that a resumed training needs; the main process does."""
        if self.is_sharded or self.accelerator.is_main_process:
            checkpoint = self.checkpoint()  # of shared weights all put it together
            if self.accelerator.is_main_process:
                write_checkpoint(checkpoint, keep=keep)

    def checkpoint(self) -> Checkpoint:
        """All that a resumed training needs."""
        states = {
            name: self.optimizer.state[parameter]
            for name, parameter in self.parameters.items()
            if parameter in self.optimizer.state
        }
        groups = {
            group: {name: state[key] for name, state in states.items()}
            for group, key in _MOMENTS.items()
        }
        groups |= {"values": self.values(), "best": self.best}
        return Checkpoint(
            key=self.key,
            steps=len(self.losses),
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            losses=tuple(self.losses),
            parts=self.parts,
            norms=tuple(self.norms),
            monitor=None if self.monitor is None else self.monitor.state(),
            stopped=self.stopped,
            **{
                group: {name: whole(value).cpu().contiguous() for name, value in tensors.items()}
                for group, tensors in groups.items()
            },
        )

    def resume(self) -> None:
        """Continue from the latest checkpoint of this training, if any."""
        checkpoint = latest_checkpoint(self.key)
        if checkpoint is None:
            return
        for name, parameter in self.parameters.items():
            parameter.data.copy_(part_like(checkpoint.values[name], parameter))
            if name in checkpoint.updates:
                self.optimizer.state[parameter] = {
                    "step": checkpoint.updates[name],  # stays on the CPU
                    "exp_avg": part_like(checkpoint.exp_avg[name], parameter),
                    "exp_avg_sq": part_like(checkpoint.exp_avg_sq[name], parameter),
                }
        self.losses, self.norms = [*checkpoint.losses], [*checkpoint.norms]
        self.stopped = checkpoint.stopped
        self.parts = {name: [*values] for name, values in checkpoint.parts.items()}
        self.best = {
            name: part_like(value, self.parameters[name]) for name, value in checkpoint.best.items()
        }
        if self.monitor is not None:
            self.monitor.restore(checkpoint.monitor)
