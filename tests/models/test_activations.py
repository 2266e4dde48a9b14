import pytest
import torch

from equipoise.models.kernels import fused_gelu
from equipoise.testing import tiny_model


def test_the_fused_kernel_computes_the_same_and_is_taken_away_again() -> None:
    module = tiny_model("gpt2").module
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = module(ids).logits
        with fused_gelu(module):
            replaced = [part for part in module.modules() if "forward" in vars(part)]
            inside = module(ids).logits
        after = module(ids).logits
    assert len(replaced) == 2  # one a block
    torch.testing.assert_close(inside, before, rtol=1e-5, atol=1e-5)
    assert torch.equal(after, before)


def test_it_is_taken_away_after_an_error_too() -> None:
    module = tiny_model("gpt2").module
    with pytest.raises(ZeroDivisionError), fused_gelu(module):
        _ = 1 / 0
    assert not [part for part in module.modules() if "forward" in vars(part)]
