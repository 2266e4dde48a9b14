"""Forward passes of a step in parts: shared among processes, or one after the other.

Under torchrun or `accelerate launch` every process runs the same training. The forward pass of a
step (`shared_forward`) is split by examples: each process computes its share, and all receive all
results. Every process then computes the same loss from all of them, with gradients for its own
share alone, so the sum of the gradients over processes is the gradient of the whole loss, also of
a loss that is no mean over examples (DDP would have to split it itself). The price is that the
loss after the forward pass (and of contrasts, the output layer) is computed by every process.

A loss that takes gradients or reads hidden states inside of itself (an editor's) cannot be shared
this way and must refuse (`refuse_several_processes`). Dropout masks are those of a share and differ
from those of a single process. Held-out evaluation runs in full on every process.

Gradient accumulation is done in the same place: each process runs its examples a few at a time
(`micro_batch`), keeps the results alone, and computes each part again when its gradient is due
(`torch.utils.checkpoint`). So the loss is that of the whole step, also one that is no mean over
examples, at the memory of a part; the price is a second forward pass.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from equipoise.errors import RecipeError


@dataclass(slots=True)
class _Parts:
    """How the forward passes of this step are divided."""

    accelerator: Accelerator
    micro_batch: int  # examples at a time; 0: all
    divided: bool = False  # whether a forward pass was


_parts: ContextVar[_Parts | None] = ContextVar("parts", default=None)


def accelerator_for(device: torch.device, *, bf16: bool) -> Accelerator:
    """Accelerate's view of the processes, for a module on this device.

    Raises `RecipeError` when several processes do not each have a device of their own.
    """
    # Accelerate fixes device and precision once per process; we train several models per process.
    AcceleratorState._reset_state(reset_partial_state=True)
    precision = "bf16" if bf16 else "no"
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision)
    must_match = accelerator.num_processes > 1 and device.type != "cpu"
    if must_match and device != accelerator.device:
        raise RecipeError(
            f"process {accelerator.process_index} of {accelerator.num_processes} must train on "
            f"{accelerator.device}, its model is on {device}; load it with device "
            f"'{accelerator.device}'"
        )
    return accelerator


@contextmanager
def sharing_forward_passes(accelerator: Accelerator, *, micro_batch: int = 0) -> Iterator[None]:
    """A `with` block around a step's loss, in which `shared_forward` divides its examples.

    `micro_batch`: examples that a process runs at a time; 0: all of its share.
    Raises `RecipeError` at the end if there is something to divide and no forward pass was: the sum
    of gradients over processes would then be a multiple of the right gradient.
    """
    count = accelerator.num_processes
    if count == 1 and not micro_batch:
        yield
        return
    parts = _Parts(accelerator, micro_batch)
    token = _parts.set(parts)
    try:
        yield
        if not parts.divided:
            got, remedy = f"{count} processes", "start it in a single process"
            if count == 1:
                got, remedy = f"micro_batch={micro_batch}", "leave micro_batch out"
            raise RecipeError(
                f"this method must run the forward pass of a step as a whole, got {got}; {remedy}"
            )
    finally:
        _parts.reset(token)


def shared_forward(run: Callable[[slice], Tensor], sizes: Sequence[int]) -> Tensor:
    """The result of `run` for all examples, of which each process computes its share.

    `run` maps a slice of the examples to their rows, example by example; `sizes` are the
    rows of each example. Gradients reach this process's own rows. In a single process without
    micro-batches, and outside of training, it is `run` on everything.
    """
    parts = _parts.get()
    if parts is None:
        return run(slice(0, len(sizes)))
    parts.divided = True
    accelerator = parts.accelerator
    count, rank = accelerator.num_processes, accelerator.process_index
    bounds = [len(sizes) * index // count for index in range(count + 1)]
    lengths = [sum(sizes[start:end]) for start, end in pairwise(bounds)]
    share = slice(bounds[rank], bounds[rank + 1])
    # With fewer examples than processes, a process without any runs the first and drops it.
    first, end = (share.start, share.stop) if share.start < share.stop else (0, 1)
    rows = _run_in_parts(run, first, end, parts.micro_batch)[: lengths[rank]]
    if count == 1:
        return rows
    # processes can only gather tensors of equal shapes
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    gathered = list(accelerator.gather(padded).split(max(lengths)))
    gathered = [part[:length] for part, length in zip(gathered, lengths, strict=True)]
    gathered[rank] = rows
    return torch.cat(gathered)


def _run_in_parts(run: Callable[[slice], Tensor], first: int, end: int, size: int) -> Tensor:
    """`run` on examples `first` to `end` - 1, of which `size` at a time keep their activations."""
    if not size or end - first <= size:
        return run(slice(first, end))
    slices = [slice(start, min(start + size, end)) for start in range(first, end, size)]
    return torch.cat([checkpoint(run, part, use_reentrant=False) for part in slices])


def sum_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over processes; does nothing in a single process."""
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        # another process may have a gradient, and a sum needs all processes to take part
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = accelerator.reduce(gradient, "sum")
