"""Context managers that change a module for its training and restore it afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import convert_outputs_to_fp32
from torch import nn


@contextmanager
def only_trainable(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Only these take gradients, as float32 copies; values, gradients and modes are restored."""
    chosen = {id(parameter) for parameter in parameters.values()}
    states = [(value, value.data, value.requires_grad, value.grad) for value in module.parameters()]
    modes = [(part, part.training) for part in module.modules()]
    for parameter, data, _, _ in states:
        parameter.requires_grad_(id(parameter) in chosen)
        parameter.grad = None
        if id(parameter) in chosen:
            # in bfloat16 most steps of Adam are smaller than the rounding of the weight
            parameter.data = data.to(torch.float32, copy=True)
    try:
        yield
    finally:
        for parameter, data, flag, gradient in states:
            parameter.grad = None  # its dtype must be the values'
            parameter.data = data
            parameter.grad = gradient
            parameter.requires_grad_(flag)
        for part, mode in modes:
            part.training = mode


@contextmanager
def autocast_forward(module: nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """The module's forward computes in the accelerator's precision and returns float32."""
    if accelerator.mixed_precision == "no":
        yield
        return
    # as `Accelerator.prepare` does, which leaves the module so
    previous = vars(module).get("forward")
    vars(module)["forward"] = convert_outputs_to_fp32(accelerator.autocast()(module.forward))
    try:
        yield
    finally:
        del vars(module)["forward"]
        if previous is not None:
            vars(module)["forward"] = previous
