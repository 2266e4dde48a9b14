"""Copies to a device that wait for nothing."""

import pytest
import torch

from equipoise.models.device_copy import copy_to


def test_on_the_processor_it_is_the_tensor_itself() -> None:
    tensor = torch.arange(3)
    assert copy_to(tensor, torch.device("cpu")) is tensor


@pytest.mark.gpu
def test_on_a_gpu_the_copy_is_equal_and_does_not_wait_for_work_before_it() -> None:
    device = torch.device("cuda")
    work = torch.randn(8_192, 8_192, device=device)
    done = torch.cuda.Event()
    torch.cuda.synchronize()
    for _ in range(50):
        work = work @ work
    done.record()
    copied = copy_to(torch.arange(1_000), device)
    assert not done.query()
    assert torch.equal(copied.cpu(), torch.arange(1_000))
