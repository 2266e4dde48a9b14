"""How a training goes on: its learning rate, its batches, and how a step is computed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

Rows: TypeAlias = Int[Tensor, " row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How to train: Adam at a constant rate without weight decay, by default."""

    learning_rate: float
    epochs: int
    batch_size: int  # examples per step
    seed: int  # of the order of the examples, and of dropout
    weight_decay: float = 0.0  # > 0: AdamW
    max_gradient: float = 0.0  # clip the gradient's norm to this; 0: never
    micro_batch: int = 0  # examples of a forward pass, of which a step has several; 0: all of it
    gradient_checkpointing: bool = False  # a block's activations are computed again when needed
    fsdp: bool = False  # weights of blocks are shared out among processes (`sharded`)
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case
    dropout: bool = False  # off, so that cached activations equal a full forward
    warmup: int = 0  # steps over which the rate rises to its full height
    horizon: int | None = None  # the rate falls to 0 at this step; None: constant
    #: 0: it falls linearly; n: as half a cosine, n times over, each time from its full height
    cosines: int = 0
    checkpoint_every: int = 50  # steps, unless a monitor evaluates: then after each evaluation
    steps: int | None = None  # at most, within the epochs; None: all of theirs

    def total(self, examples: int) -> int:
        """Steps of a whole training on so many examples."""
        steps = self.epochs * math.ceil(examples / self.batch_size)
        return steps if self.steps is None else min(steps, self.steps)

    def rate(self, step: int) -> float:
        """The share of the learning rate at a step (from 0), in [0, 1]."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        if self.horizon is None:
            return 1.0
        left = max(0.0, (self.horizon - step) / max(1, self.horizon - self.warmup))
        if self.cosines == 0 or left == 0:
            return left
        return (1 + math.cos(math.pi * ((1 - left) * self.cosines % 1))) / 2

    def batches(self, examples: int, *, first: int) -> Iterator[tuple[int, Rows]]:
        """Steps from `first` on, each with its batch; every epoch has an order of its own."""
        per_epoch = math.ceil(examples / self.batch_size)
        for step in range(first, self.total(examples)):
            epoch, index = divmod(step, per_epoch)
            if step == first or index == 0:
                generator = torch.Generator().manual_seed(self.seed + epoch)
                order = torch.randperm(examples, generator=generator)
            yield step, order[index * self.batch_size : (index + 1) * self.batch_size]
