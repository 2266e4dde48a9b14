"""Where float64 is computed: on the device itself, or beside it where it has no float64."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_WITHOUT_FLOAT64 = ("mps",)  # Apple's GPUs


def exact_device(device: torch.device) -> torch.device:
    """The device, or the processor where the device cannot compute in float64."""
    return torch.device("cpu") if device.type in _WITHOUT_FLOAT64 else device


def exact(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its `exact_device`; gradients flow back."""
    return tensor.to(exact_device(tensor.device)).double()  # moved first, or the device refuses


def exact_sum(
    values: Float[Tensor, "row place"], kept: Bool[Tensor, "row place"]
) -> Float[Tensor, " row"]:
    """The sum over the kept places of each row, in float64; what stands elsewhere may be nan."""
    found = exact(values)
    return found.masked_fill(~kept.to(found.device), 0.0).sum(-1)
