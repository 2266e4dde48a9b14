"""What a training borrows of a module and of Python, and gives back when it ends.

Each is a context that puts everything back, also after an error.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def chosen_alone(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Only these take gradients; flags, gradients and mode are put back."""
    chosen = {id(parameter) for parameter in parameters.values()}
    flags = [
        (parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()
    ]
    modes = [(one, one.training) for one in module.modules()]
    for one, _, _ in flags:
        one.requires_grad_(id(one) in chosen)
        one.grad = None
    try:
        yield
    finally:
        for one, flag, gradient in flags:
            one.requires_grad_(flag)
            one.grad = gradient
        for part, mode in modes:
            part.training = mode


@contextmanager
def in_float32(parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Float32 copies stand in for the parameters, whose own bytes are put back untouched."""
    own = {name: one.data for name, one in parameters.items()}
    for parameter in parameters.values():
        parameter.data = parameter.data.to(torch.float32, copy=True)
    try:
        yield
    finally:
        for name, one in parameters.items():
            one.grad = None
            one.data = own[name]


@contextmanager
def own_arithmetic(module: nn.Module) -> Iterator[None]:
    """Without the mixed precision that accelerate wraps a module's forward in while it is trained.

    What a watch compares with before training must differ from it by training alone.
    """
    own = module.__dict__.get("_original_forward")
    if own is None:
        yield
        return
    wrapped = module.forward
    module.forward = own
    try:
        yield
    finally:
        module.forward = wrapped


@contextmanager
def generators_kept() -> Iterator[None]:
    """The global generators, which transformers' Trainer seeds, come back as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
