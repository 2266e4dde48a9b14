"""What each block adds to the residual stream: its heads, its feed-forward part, at what scale.

Read off a forward pass over a few tokens: which norm stands between a part's output and the stream
(Gemma 2 and 3, OLMo 2), and by which constant a part is multiplied (Granite). A block of which the
parts do not add up to what it does to the stream is refused, as is a block whose heads are not
what its output projection reads.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from equipoise.attribution.frozen_norm import FrozenNorm, freeze_norm
from equipoise.errors import ModelError
from equipoise.models.anatomy import BlockParts, anatomy, attention_output, blocks, heads
from equipoise.models.kernels import evaluating

_TOKENS = (1, 2, 3, 4, 2)
_SINGLE = (torch.float32, torch.float64)
#: Of what a block adds, and of the stream that it adds to: what rounding may leave of a sum.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2
_ROUNDING, _HALF_ROUNDING = 1e-5, 1e-2
_NEAR_ONE = 1e-2  # a fitted factor so near is 1 but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A module whose output is added to the stream: factor * norm(output)."""

    module: nn.Module
    norm: FrozenNorm | None  # between its output and the stream
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAddends:
    """What a block adds: its heads by their projection, and its feed-forward part, if any."""

    heads: Part
    mlp: Part | None


def projection_weight(module: nn.Module) -> Float[Tensor, "feature input"]:
    """The matrix of a projection in float32; head h has columns h * size onward.

    Of a layer that is neither a `Linear` nor a `Conv1D` (quantized, or with an adapter) the columns
    are what it makes of unit vectors.
    """
    if type(module) is nn.Linear:
        return module.weight.float()
    if type(module) is Conv1D:
        return cast(Tensor, module.weight).float().T
    parameter = next(module.parameters())
    dtype = parameter.dtype if parameter.is_floating_point() else torch.bfloat16
    units = torch.eye(projection_inputs(module), device=parameter.device, dtype=dtype)
    with torch.no_grad():
        columns: Tensor = module(units).float() - module(torch.zeros_like(units[:1])).float()
    return columns.T


def projection_inputs(module: nn.Module) -> int:
    """How many features a projection reads: those of all its heads together."""
    if isinstance(module, Conv1D):
        return int(cast(Tensor, module.weight).shape[0])
    return int(cast(int, module.in_features))


def head_count(module: PreTrainedModel) -> int:
    """Query heads of each block. Raises `ModelError` where the configuration names none."""
    try:
        return heads(module).count
    except (AttributeError, TypeError) as error:
        raise _refusal(module, f"its configuration names no number of heads ({error})") from None


def block_addends(module: PreTrainedModel) -> list[BlockAddends]:
    """What each block adds to the stream, tried on a few tokens.

    Raises `ModelError` for a block without attention, whose projection does not read its heads as
    they are, whose stream is normed after the addition, or that adds something else.
    """
    count = head_count(module)
    located = [
        _find_modules(module, number, count, block, parts)
        for number, (block, parts) in enumerate(
            zip(blocks(module), anatomy(module).parts, strict=True)
        )
    ]
    calls = _trace(module, located)
    return [_addends(module, modules, calls) for modules in located]


def first_tensor(value: Any) -> Tensor:
    """The output of a module that may return more beside it."""
    return cast(Tensor, value if isinstance(value, Tensor) else value[0])


@dataclass(slots=True)
class _Calls:
    """What went into modules and came out of them in a forward pass: [token, feature]."""

    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modules:
    """The modules of a block that matter here."""

    number: int
    block: nn.Module
    projection: nn.Module
    mlp: nn.Module | None  # whose output the feed-forward part adds
    norms: tuple[nn.Module, ...]


def _find_modules(
    module: PreTrainedModel, number: int, count: int, block: nn.Module, parts: BlockParts
) -> _Modules:
    """Refuses a block whose output projection does not read `count` heads side by side."""
    if "att" not in (parts.attention or "").lower():
        raise _refusal(module, f"block {number} has no attention but '{parts.attention}'")
    projection = attention_output(module, number)
    size = projection_inputs(projection)
    if size % count:
        raise _refusal(
            module, f"the projection of block {number} reads {size} features of {count} heads"
        )
    # its projection, or of experts the part; not the part where it has one: Bloom's adds the stream
    fed = parts.mlp_output or (parts.mlp[-1] if parts.mlp else None)
    return _Modules(
        number=number,
        block=block,
        projection=projection,
        mlp=None if fed is None else block.get_submodule(fed),
        norms=tuple(block.get_submodule(path) for path in parts.norms),
    )


def _trace(module: PreTrainedModel, located: Sequence[_Modules]) -> _Calls:
    calls = _Calls()

    def keep(part: nn.Module, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        given = args[0] if args else next(iter(kwargs.values()))
        if isinstance(kwargs.get("hidden_states"), Tensor):
            given = kwargs["hidden_states"]
        # clones, for some are added to in place (Falcon's)
        calls.inputs[part] = first_tensor(given).flatten(0, -2).float().clone()
        calls.outputs[part] = first_tensor(out).flatten(0, -2).float().clone()

    with ExitStack() as undo:
        undo.enter_context(torch.no_grad())
        undo.enter_context(evaluating(module))
        for modules in located:
            fed = () if modules.mlp is None else (modules.mlp,)
            watched = (modules.block, modules.projection, *modules.norms, *fed)
            for part in dict.fromkeys(watched):
                undo.callback(part.register_forward_hook(keep, with_kwargs=True).remove)
        module(input_ids=torch.tensor([_TOKENS], device=module.device), use_cache=False)
    return calls


def _addends(module: PreTrainedModel, located: _Modules, calls: _Calls) -> BlockAddends:
    block, projection, number = located.block, located.projection, located.number
    modules = [projection, *([] if located.mlp is None else [located.mlp])]
    outputs: list[Tensor] = []
    frozen: list[FrozenNorm | None] = []
    width = calls.outputs[block].shape[-1]
    for norm in located.norms:
        if norm in calls.outputs and _equal(calls.outputs[norm], calls.inputs[projection]):
            raise _refusal(module, f"in block {number} a norm stands between heads and projection")
    for part in modules:
        after = [
            norm
            for norm in located.norms
            if norm in calls.inputs and _equal(calls.inputs[norm], calls.outputs[part])
        ]
        outputs.append(calls.outputs[after[0] if after else part])
        frozen.append(freeze_norm(after[0], width, module.device) if after else None)
    before, added = calls.inputs[block], calls.outputs[block] - calls.inputs[block]
    columns = np.stack([output.flatten().cpu().double().numpy() for output in outputs], axis=1)
    wanted = added.flatten().cpu().double().numpy()
    factors = np.linalg.lstsq(columns, wanted)[0]
    # of a part that puts out nothing, its heads being cut, it cannot be known and does not matter
    usual = (np.abs(factors - 1) <= _NEAR_ONE) | ~columns.any(axis=0)
    factors = np.where(usual, 1.0, factors)
    single = module.dtype in _SINGLE
    apart, size = np.linalg.norm(wanted - columns @ factors), np.linalg.norm(wanted)
    most = (_TOLERANCE if single else _HALF_TOLERANCE) * size
    most += (_ROUNDING if single else _HALF_ROUNDING) * float(before.norm())
    if not apart <= most:
        raise _refusal(
            module,
            f"the parts of block {number} leave {apart:.2g} of the {size:.2g} that it adds to the "
            "stream",
        )
    parts = [
        Part(module=part, norm=norm, factor=float(factor))
        for part, norm, factor in zip(modules, frozen, factors, strict=True)
    ]
    return BlockAddends(heads=parts[0], mlp=parts[1] if len(parts) > 1 else None)


def _equal(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left, right)


def _refusal(module: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"{type(module).__name__} must add each head to its residual stream through an output "
        f"projection, for a difference of logits to be shared out among heads, but {reason}; take "
        "another model, or a locator of blocks"
    )
