"""The modules whose weights are edited: their inputs, the loss's gradient at their outputs.

A shift S, [input, output], is tried by adding k S to the module's output, which equals a shift of
its weight and leaves the weight unchanged; `TargetModules.weights` adds the final shift.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import blocks, mlp, mlp_output
from equipoise.models.kernels import exact_device

#: Inputs [row, input] of a module and a loss's gradients at its outputs [row, output], float32.
Rows: TypeAlias = tuple[Tensor, Tensor]

_LAST = 3  # blocks that are edited unless others are named


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetModules:
    """Projections of a model's feed-forward parts: Linear layers, or GPT-2's Conv1D."""

    blocks: tuple[int, ...]  # counted from 0
    names: tuple[str, ...]  # of the weights
    modules: tuple[nn.Module, ...]

    @property
    def matrices(self) -> tuple[Tensor, ...]:
        """The weight of each module as [input, output], not copied."""
        return tuple(
            transpose_linear(module, module.get_parameter("weight")) for module in self.modules
        )

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each module."""
        return tuple((matrix.shape[0], matrix.shape[1]) for matrix in self.matrices)

    def weights(self, shifts: Sequence[Tensor]) -> dict[str, Tensor]:
        """The shifted weights by name, added in float32, in the model's own dtype, on the CPU."""
        shifted_weights = {}
        for name, module, shift in zip(self.names, self.modules, shifts, strict=True):
            before = module.get_parameter("weight")
            change = transpose_linear(module, shift.detach()).to(before.device, torch.float32)
            # rounded once, not the shift and then the sum
            after = before.detach().float() + change
            shifted_weights[name] = after.to(dtype=before.dtype, device="cpu")
        return shifted_weights

    def shares(self, shifts: Sequence[Tensor]) -> list[float]:
        """The Frobenius norm of each shift, as a share of its weight's."""
        return [
            float(shift.norm() / float(matrix.detach().float().norm()))
            for shift, matrix in zip(shifts, self.matrices, strict=True)
        ]


def select_target_modules(
    model: LanguageModel,
    numbers: Sequence[int] | None,
    *,
    projections: Literal["output", "all"] = "output",
) -> TargetModules:
    """The projections of the feed-forward part of some blocks: the output's, or all of them.

    `numbers`: blocks counted from 0, below 0 from the last; None: the last three, or all of a
    smaller model. Raises `RecipeError` for a block that does not exist or is named twice, and
    `ModelError` for a feed-forward part without a single output projection, or a module without a
    plain weight.
    """
    count = len(blocks(model.module))
    wanted = tuple(range(max(0, count - _LAST), count)) if numbers is None else tuple(numbers)
    chosen = tuple(sorted(number % count for number in wanted if -count <= number < count))
    if not wanted or len(set(chosen)) < len(wanted):
        raise RecipeError(
            f"blocks must be different numbers from {-count} to {count - 1} in {model.identity}, "
            f"got {list(wanted)}; name others"
        )
    modules = []
    for block in chosen:
        output = mlp_output(model.module, block)
        if not isinstance(output, nn.Linear | Conv1D):
            raise ModelError(
                f"the mlp output of block {block} of {model.identity} must be a Linear or a "
                f"Conv1D, got {type(output).__name__}; take the model plain and not quantized"
            )
        inner = [part for whole in mlp(model.module, block) for part in whole.modules()]
        modules += [
            part
            for part in inner
            if part is output or (projections == "all" and isinstance(part, nn.Linear | Conv1D))
        ]
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    return TargetModules(
        blocks=chosen,
        names=tuple(names[id(module.get_parameter("weight"))] for module in modules),
        modules=tuple(modules),
    )


def gradient_rows(
    targets: TargetModules,
    compute_loss: Callable[[], Tensor],
    places: tuple[Sequence[int], Sequence[int]],
) -> list[Rows]:
    """Each module's inputs and the loss's gradients at its outputs, at some places of the batch.

    `compute_loss` runs one forward pass. `places`: for each row that is wanted, its text's number
    in the batch and its position there. On the model's device unless that has no float64.
    """
    keys: dict[int, Tensor] = {}  # [text, position, input], by number of the module
    zeros: dict[int, Tensor] = {}  # added to the output: their gradient is that at the output

    def capture(index: int, inputs: Tensor, output: Tensor) -> Tensor:
        zero = torch.zeros_like(output, requires_grad=True)
        # something to differentiate by, since the model's own parameters are frozen
        keys[index], zeros[index] = inputs.detach(), zero
        return output + zero

    with _replaced_outputs(targets, capture), torch.enable_grad():
        loss = compute_loss()
    gradients = torch.autograd.grad(loss, [zeros[index] for index in range(len(zeros))])
    device = exact_device(loss.device)
    texts, positions = (torch.tensor(list(indices), device=loss.device) for indices in places)
    return [
        (
            keys[index][texts, positions].float().to(device),
            gradient[texts, positions].float().to(device),
        )
        for index, gradient in enumerate(gradients)
    ]


@contextmanager
def shifted(targets: TargetModules, shifts: Sequence[Tensor]) -> Iterator[None]:
    """The model with these shifts of its weights inside the `with` block; gradients reach them."""

    def add(index: int, inputs: Tensor, output: Tensor) -> Tensor:
        change = inputs.to(shifts[index].dtype) @ shifts[index]
        return output + change.to(output.dtype)

    with _replaced_outputs(targets, add):
        yield


@contextmanager
def _replaced_outputs(
    targets: TargetModules, replace: Callable[[int, Tensor, Tensor], Tensor]
) -> Iterator[None]:
    """Each module returns `replace(its number, its input, its output)`."""

    def hook(index: int, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return replace(index, inputs[0], output)

    with ExitStack() as undo:
        for index, module in enumerate(targets.modules):
            undo.callback(module.register_forward_hook(partial(hook, index)).remove)
        yield


def transpose_linear(module: nn.Module, matrix: Tensor) -> Tensor:
    """[input, output] from a module's own order, or back; a Conv1D has that order already."""
    return matrix if isinstance(module, Conv1D) else matrix.T
