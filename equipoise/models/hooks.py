"""Hooks that read hidden states at blocks, differentiate by them, or replay from a block on.

A block's state is the residual stream that goes into it and comes out of it, before any norm of
the model's own. transformers' `output_hidden_states` gives the same for every block but the last,
whose entry it takes after the final norm.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

States = Float[Tensor, "example token feature"]


@dataclass(frozen=True, slots=True)
class BlockStates:
    """What the latest forward sent into and out of each block: [example, token, feature]."""

    before: dict[int, States] = field(default_factory=dict)  # by block number
    after: dict[int, States] = field(default_factory=dict)


@contextmanager
def block_states(blocks: Sequence[nn.Module]) -> Iterator[BlockStates]:
    """Inside the `with` block every forward records its states here; hooks are removed afterwards.

    States are detached and replaced by the next forward.
    """
    states = BlockStates()
    with ExitStack() as undo:
        for number, block in enumerate(blocks):
            undo.callback(_record(block, states, number, keep=Tensor.detach).remove)
        yield states


@contextmanager
def differentiable_states(blocks: Sequence[nn.Module]) -> Iterator[BlockStates]:
    """As `block_states`, but outputs can be differentiated with respect to the states.

    `blocks` must be all of them: the graph begins at what goes into the first. Gradients are on
    inside, whatever is set outside; with `frozen` the graph keeps nothing for the parameters.
    """
    states = BlockStates()

    def begin(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        hidden = args[0] if args else kwargs["hidden_states"]
        return _with_hidden(hidden.detach().requires_grad_(True), args, kwargs)

    with ExitStack() as undo:
        handle = blocks[0].register_forward_pre_hook(begin, with_kwargs=True)
        undo.callback(handle.remove)
        for number, block in enumerate(blocks):
            undo.callback(_record(block, states, number, keep=lambda state: state).remove)
        undo.enter_context(torch.enable_grad())
        yield states


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter requires a gradient inside the `with` block; the flags are restored."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def _record(
    block: nn.Module, states: BlockStates, number: int, *, keep: Callable[[Tensor], Tensor]
) -> RemovableHandle:
    def record(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        # families differ in how they call a block, and in what it returns beside the stream
        states.before[number] = keep(args[0] if args else kwargs["hidden_states"])
        states.after[number] = keep(out if isinstance(out, Tensor) else out[0])

    return block.register_forward_hook(record, with_kwargs=True)


def _with_hidden(
    hidden: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A block's arguments with another hidden state in its place."""
    if args:
        return (hidden, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": hidden}


@contextmanager
def replayed(blocks: Sequence[nn.Module], start: int, hidden: States) -> Iterator[None]:
    """Run the model from block `start` on: its input is `hidden`, earlier blocks cost nothing.

    Call the model with the tokens that `hidden` was made from (masks and positions are still the
    model's own work); the output then equals that of a full forward bit for bit. Gradients reach
    block `start` and later blocks. Structure and parameter names stay as they are.
    """

    def substitute(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return _with_hidden(hidden, args, kwargs)

    with ExitStack() as undo:
        for block in blocks[:start]:
            undo.enter_context(_passing_through(block))
        handle = blocks[start].register_forward_pre_hook(substitute, with_kwargs=True)
        undo.callback(handle.remove)
        yield


@contextmanager
def _passing_through(block: nn.Module) -> Iterator[None]:
    """The block returns its input; its attributes, which some models read, stay reachable."""
    wrapped = vars(block).get("forward")  # set where it is wrapped, as by accelerate

    def skip(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states

    block.forward = skip  # hooks cannot skip a forward
    try:
        yield
    finally:
        del block.forward
        if wrapped is not None:
            block.forward = wrapped


@contextmanager
def read_at(head: nn.Module, positions: Int[Tensor, "example read"]) -> Iterator[None]:
    """Give the output head only the states at some positions: logits [example, read, vocabulary].

    Full-sequence logits, the largest array of a forward, are never computed.
    """

    def gather(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0]  # [example, token, feature]
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        return (hidden[rows, positions.to(hidden.device)], *args[1:])

    # not `logits_to_keep`: that takes the same positions of every row, and lengths differ
    handle = head.register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()
