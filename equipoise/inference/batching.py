"""Batches that fit memory: longest first, halved when they do not; the module as it was after."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from equipoise.errors import ModelError
from equipoise.models.kernels import fast_matmul
from equipoise.models.loaded_model import LoadedModel

_CPU_TOKENS = 2_048  # in a batch: on a processor more is no faster


def run_in_batches(
    model: LoadedModel, lengths: Sequence[int], run: Callable[[list[int]], None]
) -> None:
    """Call `run` with the numbers of texts that go together until every text has had its turn.

    `lengths`: tokens that each text needs. No gradients, no dropout. A batch that runs out of
    memory is tried again at half its size, so `run` must bear being called twice.
    Raises `ModelError` when one text alone does not fit memory.
    """
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    on_cpu = model.module.device.type == "cpu"
    budget = min(model.batch_tokens, _CPU_TOKENS) if on_cpu else model.batch_tokens
    done = 0
    with torch.inference_mode(), evaluating(model.module), fast_matmul(model.module):
        while done < len(order):
            rows = max(1, budget // max(1, lengths[order[done]]))
            batch = order[done : done + rows]
            try:
                run(batch)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                budget = _halved(model, batch, lengths)
                continue
            done += len(batch)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No dropout while this holds; every part is put back as it was."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; on a processor it says so only in the message."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in text for sign in ("out of memory", "can't allocate memory")
    )


def _halved(model: LoadedModel, batch: list[int], lengths: Sequence[int]) -> int:
    if len(batch) == 1:
        raise ModelError(
            f"a text must fit memory; {model.identity} ran out of it on one text of "
            f"{lengths[batch[0]]} tokens on {model.module.device}: free memory or use another "
            "device"
        )
    if model.module.device.type == "cuda":
        torch.cuda.empty_cache()
    return len(batch) * lengths[batch[0]] // 2
