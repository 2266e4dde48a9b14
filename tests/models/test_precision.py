"""Float64 on a device that has it, on the processor for one that has not."""

import pytest
import torch

from equipoise.models.kernels import exact, exact_device, exact_sum


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "meta"])
def test_a_device_with_float64_is_its_own(name: str) -> None:
    assert exact_device(torch.device(name)) == torch.device(name)


def test_apples_gpus_have_the_processor_beside_them() -> None:
    assert exact_device(torch.device("mps")) == torch.device("cpu")
    assert exact_device(torch.device("mps:0")) == torch.device("cpu")


def test_values_are_kept_and_gradients_flow_back() -> None:
    values = torch.tensor([0.1, -3.0]).requires_grad_()
    doubles = exact(values)
    assert doubles.dtype == torch.float64
    torch.testing.assert_close(doubles.float(), values)
    doubles.square().sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, 2 * values.detach())


def test_a_sum_takes_the_chosen_positions_alone_and_loses_no_digit() -> None:
    values = torch.tensor([[1e8, 1.0, torch.nan], [2.0, torch.nan, 3.0]])
    mask = torch.tensor([[True, True, False], [True, False, True]])
    doubles = exact_sum(values, mask)
    assert doubles.dtype == torch.float64
    assert doubles.tolist() == [1e8 + 1, 5.0]
