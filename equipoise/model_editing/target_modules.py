"""The modules that BiasEdit edits: what goes into them, the loss's gradient at what comes out.

A shift S, [input, output], is tried by adding k S to the module's output, which equals a shift of
its weight and leaves the weight alone; `Sites.weights` puts it into the weight once it is final.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import attention_output, blocks, mlp_output

Part: TypeAlias = Literal["mlp", "attention"]

_LAST = 3  # blocks that are edited unless others are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """Output projections of one model: Linear layers, or GPT-2's Conv1D."""

    blocks: tuple[int, ...]  # counted from 0
    names: tuple[str, ...]  # of the weights
    modules: tuple[nn.Module, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each module."""
        matrices = [_as_shift(module, _weight(module)) for module in self.modules]
        return tuple((matrix.shape[0], matrix.shape[1]) for matrix in matrices)

    def norm(self, number: int) -> float:
        """The Frobenius norm of a module's weight."""
        return float(_weight(self.modules[number]).detach().float().norm())

    def weights(self, shifts: Sequence[Tensor]) -> dict[str, Tensor]:
        """The shifted weights by name, added in float32, in the model's own dtype, on the CPU."""
        found = {}
        for name, module, shift in zip(self.names, self.modules, shifts, strict=True):
            before = _weight(module)
            change = _as_shift(module, shift.detach()).to(before.device, torch.float32)
            added = before.detach().float() + change
            found[name] = added.to(dtype=before.dtype, device="cpu")
        return found


def sites(model: LanguageModel, numbers: Sequence[int] | None, part: Part) -> Sites:
    """The output projections of some blocks' feed-forward or attention part.

    `numbers`: blocks counted from 0, below 0 from the last; None: the last three, or all of a
    smaller model. Raises `RecipeError` for a block that is not there or named twice, and
    `ModelError` for a module without a plain weight.
    """
    there = len(blocks(model.module))
    wanted = tuple(range(max(0, there - _LAST), there)) if numbers is None else tuple(numbers)
    chosen = tuple(sorted(at % there for at in wanted if -there <= at < there))
    if not wanted or len(set(chosen)) < len(wanted):
        raise RecipeError(
            f"blocks must be different ones from {-there} to {there - 1} in {model.identity}, got "
            f"{list(wanted)}; name others"
        )
    find = mlp_output if part == "mlp" else attention_output
    modules = tuple(find(model.module, at) for at in chosen)
    known = {id(one): name for name, one in model.module.named_parameters()}
    for number, module in zip(chosen, modules, strict=True):
        if not isinstance(module, nn.Linear | Conv1D):
            raise ModelError(
                f"the {part} output of block {number} of {model.identity} must be a Linear or a "
                f"Conv1D, got {type(module).__name__}; take the model without an adapter, and not "
                "quantized"
            )
    names = tuple(known[id(_weight(module))] for module in modules)
    return Sites(blocks=chosen, names=names, modules=modules)


@dataclass(frozen=True, slots=True)
class Watched:
    """Of the latest forward: what went into each module, and a zero added to what came out.

    The gradient by that zero is the gradient at the output. Both are [text, place, feature].
    """

    keys: dict[int, Tensor] = field(default_factory=dict)  # by number of the module
    zeros: dict[int, Tensor] = field(default_factory=dict)


@contextmanager
def watched(found: Sites) -> Iterator[Watched]:
    """Inside the `with` block every forward leaves its keys and zeros here."""
    seen = Watched()

    def watch(number: int, keys: Tensor, output: Tensor) -> Tensor:
        zero = torch.zeros_like(output, requires_grad=True)
        seen.keys[number], seen.zeros[number] = keys.detach(), zero
        return output + zero

    with _answering(found, watch), torch.enable_grad():
        yield seen


@contextmanager
def shifted(found: Sites, shifts: Sequence[Tensor]) -> Iterator[None]:
    """The model with these shifts of its weights, while this holds; differentiable by them."""

    def add(number: int, keys: Tensor, output: Tensor) -> Tensor:
        moved = keys.to(shifts[number].dtype) @ shifts[number]
        return output + moved.to(output.dtype)

    with _answering(found, add):
        yield


@contextmanager
def _answering(found: Sites, answer: Any) -> Iterator[None]:
    """Each module answers `answer(its number, its input, its output)` in place of its output."""

    def hook(number: int) -> Any:
        def replaced(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            changed: Tensor = answer(number, inputs[0], output)
            return changed

        return replaced

    with ExitStack() as undo:
        for number, module in enumerate(found.modules):
            undo.callback(module.register_forward_hook(hook(number)).remove)
        yield


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} must have a weight, got {weight!r}")
    return weight


def _as_shift(module: nn.Module, matrix: Tensor) -> Tensor:
    """[input, output] from a module's own order, or back; no change for a Conv1D."""
    return matrix if isinstance(module, Conv1D) else matrix.T
