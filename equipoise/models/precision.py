"""Where float64 is computed: on the device itself, or beside it where it has no float64."""

import torch
from torch import Tensor

_WITHOUT_FLOAT64 = ("mps",)  # Apple's GPUs


def exact_device(device: torch.device) -> torch.device:
    """The device, or the processor where the device cannot compute in float64."""
    return torch.device("cpu") if device.type in _WITHOUT_FLOAT64 else device


def exact(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its `exact_device`; gradients flow back."""
    return tensor.to(exact_device(tensor.device)).double()  # moved first, or the device refuses
