"""Gradient checkpointing: activations of a block are computed again when its gradient is due.

Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174.
A block keeps its input alone, at the price of a second forward pass. Not that of transformers: it
needs inputs that require gradients, which those of a model with frozen embeddings do not, so that
adapters silently stay as they are; here the graph is kept as it is (`use_reentrant=False`).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from equipoise.models.anatomy import blocks
from equipoise.models.kernels import fast_matmul, fused_gelu


@contextmanager
def recomputing_blocks(module: nn.Module) -> Iterator[None]:
    """A `with` block in which the blocks of the model in a module keep no activations.

    Losses and gradients are the same, also with dropout, whose masks are drawn again alike.
    """
    model = next(part for part in module.modules() if isinstance(part, PreTrainedModel))
    with ExitStack() as undo:
        for block in blocks(model):
            previous = vars(block).get("forward")  # set where it is wrapped already
            vars(block)["forward"] = _recomputed(block.forward, model)
            undo.callback(_restore, block, previous)
        yield


def _recomputed(forward: Callable[..., Any], model: PreTrainedModel) -> Callable[..., Any]:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _kernels(model)  # the first pass stands in those of its caller

    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return run


@contextmanager
def _kernels(model: PreTrainedModel) -> Iterator[None]:
    """The kernels of a forward pass in training, for one that runs again in the backward pass."""
    with fused_gelu(model), fast_matmul(model):
        yield


def _restore(block: nn.Module, previous: Callable[..., Any] | None) -> None:
    del vars(block)["forward"]
    if previous is not None:
        vars(block)["forward"] = previous
