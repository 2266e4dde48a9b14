"""Training whose weights, gradients and Adam's moments are shared out among processes (FSDP).

Zhao et al. 2023, "PyTorch FSDP", https://arxiv.org/abs/2304.11277; here torch's `fully_shard`,
block by block. The blocks of the model are copied without their weights, the copies hold this
process's part of each weight, and stand in the model's place until training ends: the model's own
weights are never touched. What stands outside of blocks (embeddings, the last norm, the output
layer) every process has whole, so that losses read the output layer as ever.

torch averages gradients over processes; `data_parallel` needs their sum. A process runs every
forward pass with the others: nothing else is shared meanwhile (`together.alone`).
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from equipoise.models.anatomy import blocks
from equipoise.processes.together import alone


@contextmanager
def sharded_blocks(
    module: nn.Module, parameters: Mapping[str, nn.Parameter]
) -> Iterator[dict[str, nn.Parameter]]:
    """The parameters, those of blocks as this process's part, while copies stand for the blocks.

    All parameters of a block must be among them. Every process must run every forward pass inside.
    """
    model = next(part for part in module.modules() if isinstance(part, PreTrainedModel))
    layers = blocks(model)
    originals = list(layers)
    mesh = init_device_mesh(model.device.type, (distributed.get_world_size(),))
    shards: dict[int, nn.Parameter] = {}
    try:
        for number, block in enumerate(originals):
            weights = list(block.parameters())
            # the copy begins with the same weights, which are not copied
            layers[number] = copy.deepcopy(block, {id(weight): weight for weight in weights})
            fully_shard(layers[number], mesh=mesh)
            shards |= dict(zip(map(id, weights), layers[number].parameters(), strict=True))
        with alone():
            yield {name: shards.get(id(value), value) for name, value in parameters.items()}
    finally:
        for number, block in enumerate(originals):
            layers[number] = block


def sum_shared_gradients(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Make sums of the means that torch has made of shared gradients; gives all other parameters.

    Those every process has whole, and their gradients are still to be summed.
    """
    others = []
    for parameter in parameters:
        if not isinstance(parameter, DTensor):
            others.append(parameter)
        elif parameter.grad is not None:  # gloo cannot sum without it
            parameter.grad.mul_(distributed.get_world_size())
    return others


def whole(value: Tensor) -> Tensor:
    """A tensor as it is without sharding; every process must ask for it."""
    if not isinstance(value, DTensor):
        return value
    full: Tensor = value.full_tensor()
    return full


def part_like(value: Tensor, parameter: Tensor) -> Tensor:
    """What a process holds of a whole tensor that is shared out as a parameter is."""
    if not isinstance(parameter, DTensor):
        return value.to(parameter.device)
    part: Tensor = distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements
    )
    return part


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients together, of shared ones whole."""
    norms = [whole(torch.linalg.vector_norm(gradient)) for gradient in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return norm


def clip(gradients: Sequence[Tensor], norm: Tensor, most: float) -> None:
    """Scale gradients down to a norm of at most `most`, as torch's `clip_grad_norm_` does."""
    scale = float(torch.clamp(most / (norm + 1e-6), max=1.0))
    for gradient in gradients:
        gradient.mul_(scale)
