"""Context managers that change a module or the random state during training and restore it.

Each restores after an error, too.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import convert_outputs_to_fp32
from torch import nn


@contextmanager
def only_trainable(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Only these parameters take gradients; flags, gradients and modes are restored."""
    chosen = {id(parameter) for parameter in parameters.values()}
    flags = [
        (parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()
    ]
    modes = [(part, part.training) for part in module.modules()]
    for parameter, _, _ in flags:
        parameter.requires_grad_(id(parameter) in chosen)
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, flag, gradient in flags:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
        for part, mode in modes:
            part.training = mode


@contextmanager
def in_float32(parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Float32 copies replace the parameters' values; the original bytes are restored."""
    values = {name: parameter.data for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.data = parameter.data.to(torch.float32, copy=True)
    try:
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.grad = None
            parameter.data = values[name]


@contextmanager
def autocast_forward(module: nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """The module's forward computes in the accelerator's precision and returns float32.

    Its loss is then computed in float32, and an evaluation outside of the block in the module's
    own precision, as before training.
    """
    if accelerator.mixed_precision == "no":
        yield
        return
    previous = vars(module).get("forward")
    vars(module)["forward"] = convert_outputs_to_fp32(accelerator.autocast()(module.forward))
    try:
        yield
    finally:
        del vars(module)["forward"]
        if previous is not None:
            vars(module)["forward"] = previous


@contextmanager
def preserved_rng() -> Iterator[None]:
    """Torch's global random generators, on all devices, are restored."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
