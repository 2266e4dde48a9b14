"""Data-parallel training: the processes share the forward passes of a step, not its loss.

Under torchrun or `accelerate launch` every process runs the same training. The forward pass of a
step (`shared_forward`) is split by examples: each process computes its share, and all receive all
results. Every process then computes the same loss from all of them, with gradients for its own
share alone, so the sum of the gradients over processes is the gradient of the whole loss, also of
a loss that is no mean over examples (DDP would have to split it itself). The price is that the
loss after the forward pass (and of contrasts, the output layer) is computed by every process.

A loss that takes gradients or reads hidden states inside of itself (an editor's) cannot be shared
this way and must refuse (`refuse_several_processes`). Dropout masks are those of a share and differ
from those of a single process. Held-out evaluation runs in full on every process.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from equipoise.errors import RecipeError

#: Who shares the forward passes of this step, and the passes that were shared.
_sharing: ContextVar[tuple[Accelerator, list[int]] | None] = ContextVar("sharing", default=None)


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


def is_main_process() -> bool:
    """Whether this process writes files: False in all but the first of several."""
    return int(os.environ.get("RANK", "0")) == 0  # torchrun and accelerate set it


def refuse_several_processes(what: str) -> None:
    """Raise `RecipeError` if several processes were started together for `what`."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        raise RecipeError(
            f"{what} must run in a single process, got {count}; start it without a launcher"
        )


@contextmanager
def sharing_forward_passes(accelerator: Accelerator) -> Iterator[None]:
    """A `with` block around a step's loss, in which `shared_forward` splits its examples.

    Raises `RecipeError` at the end if there are several processes and none was split: the sum of
    gradients would then be a multiple of the right gradient.
    """
    if accelerator.num_processes == 1:
        yield
        return
    shared: list[int] = []
    token = _sharing.set((accelerator, shared))
    try:
        yield
        if not shared:
            raise RecipeError(
                f"this method cannot share its training among processes, got "
                f"{accelerator.num_processes}; start it in a single process"
            )
    finally:
        _sharing.reset(token)


def shared_forward(run: Callable[[slice], Tensor], sizes: Sequence[int]) -> Tensor:
    """The result of `run` for all examples, of which each process computes its share.

    `run` maps a slice of the examples to their rows, example by example; `sizes` are the
    rows of each example. Gradients reach this process's own rows. In a single process, and
    outside of training, it is `run` on everything.
    """
    sharing = _sharing.get()
    if sharing is None:
        return run(slice(0, len(sizes)))
    accelerator, shared = sharing
    shared.append(len(sizes))
    count, rank = accelerator.num_processes, accelerator.process_index
    bounds = [len(sizes) * index // count for index in range(count + 1)]
    lengths = [sum(sizes[start:end]) for start, end in pairwise(bounds)]
    share = slice(bounds[rank], bounds[rank + 1])
    # With fewer examples than processes, a process without any runs the first and drops it.
    rows = run(share if share.start < share.stop else slice(0, 1))[: lengths[rank]]
    # processes can only gather tensors of equal shapes
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    parts = list(accelerator.gather(padded).split(max(lengths)))
    parts = [part[:length] for part, length in zip(parts, lengths, strict=True)]
    parts[rank] = rows
    return torch.cat(parts)


def sum_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over processes; does nothing in a single process."""
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        # another process may have a gradient, and a sum needs all processes to take part
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = accelerator.reduce(gradient, "sum")
