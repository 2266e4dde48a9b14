"""Copies from the processor to an accelerator that wait for nothing."""

import torch
from torch import Tensor


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor on a device; equal, and on the processor itself, not copied.

    A plain `tensor.to("cuda")` waits until the device has done all it was given, so that a loop
    that sends each batch its tokens leaves the device idle while the next batch is put together.
    From page-locked memory the copy takes its turn behind that work, and the processor goes on.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
