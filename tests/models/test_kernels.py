"""The choice of float32 products: true to float32, and leaves no trace."""

from itertools import cycle

import pytest
import torch
from torch import Tensor

from equipoise.models import kernels as matmul
from equipoise.models.kernels import exact, exact_device, exact_sum
from equipoise.testing import tiny_model

onednn = pytest.mark.skipif(not matmul._has_onednn_linear(), reason="this torch has no oneDNN")


@onednn
@pytest.mark.parametrize("bias", [True, False])
def test_onednn_multiplies_in_true_float32(bias: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 17, 40, generator=generator)
    weight = torch.randn(24, 40, generator=generator)
    shift = torch.randn(24, generator=generator) if bias else None
    truth = x.double() @ weight.double().T
    if shift is not None:
        truth = truth + shift.double()
    product = matmul.onednn_linear(x, weight, shift)
    assert float((product.double() - truth).abs().max() / truth.abs().max()) < 5e-6


@onednn
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_both_paths_give_the_same_logits(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_model(family).module
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    calls: list[int] = []
    direct = matmul.onednn_linear

    def counted(*args: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return direct(*args)

    monkeypatch.setattr(matmul, "onednn_linear", counted)
    monkeypatch.setattr(matmul, "matmul_path", lambda _: "onednn")
    with torch.inference_mode():
        default = module(ids).logits
        with matmul.fast_matmul(module):
            other = module(ids).logits
        inside = len(calls)
        again = module(ids).logits
    assert inside >= 9  # four products a block at least, and the output layer
    assert len(calls) == inside
    assert torch.equal(again, default)
    torch.testing.assert_close(other, default, rtol=1e-5, atol=1e-5)


@onednn
def test_an_output_layer_uses_onednn_inside_and_its_own_code_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = tiny_model("llama").module
    ids = torch.tensor([[5, 6, 7], [8, 9, 3]])
    shapes: list[tuple[int, ...]] = []
    direct = matmul.onednn_linear

    def counted(x: torch.Tensor, *operands: torch.Tensor | None) -> torch.Tensor:
        shapes.append(tuple(x.shape))
        return direct(x, *operands)

    matmul.onednn_is_exact()
    monkeypatch.setattr(matmul, "onednn_linear", counted)
    with torch.no_grad():
        plain = module(input_ids=ids).logits
        with matmul.fast_output_layer(module):
            inside = module(input_ids=ids).logits
            with torch.enable_grad():  # oneDNN's product has no gradients
                assert module(input_ids=ids).logits.requires_grad
        assert torch.equal(module(input_ids=ids).logits, plain)
    assert torch.allclose(inside, plain, atol=1e-5)
    assert shapes == [(2, 3, 32)]
    with pytest.raises(KeyError), matmul.fast_output_layer(module):
        raise KeyError
    assert "forward" not in vars(module.get_output_embeddings())


@onednn
def test_an_output_layer_of_another_format_or_kind_is_left_alone() -> None:
    half = tiny_model("llama").module.bfloat16()
    with torch.no_grad(), matmul.fast_output_layer(half):
        assert half(input_ids=torch.tensor([[5, 6]])).logits.dtype == torch.bfloat16
    other = tiny_model("llama").module
    other.set_output_embeddings(torch.nn.Sequential(other.get_output_embeddings()))
    with matmul.fast_output_layer(other):
        assert "forward" not in vars(other.get_output_embeddings())


def test_the_path_is_for_float32_and_changes_no_setting() -> None:
    before = (torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled)
    module = tiny_model("llama").module
    assert matmul.matmul_path(module) == matmul.float32_matmul()
    assert matmul.float32_matmul() in ("default", "onednn")
    assert matmul.matmul_path(module.bfloat16()) == "default"
    assert (torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled) == before


@pytest.mark.thorough
def test_an_inexact_path_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (x.bfloat16() @ weight.bfloat16().T).float()

    monkeypatch.setattr(matmul, "onednn_linear", coarse)
    monkeypatch.setattr(matmul, "_has_onednn_linear", lambda: True)
    monkeypatch.setattr(matmul, "_seconds", lambda _: pytest.fail("it is refused before"))
    monkeypatch.setattr(matmul, "onednn_is_exact", matmul.onednn_is_exact.__wrapped__)
    assert matmul.float32_matmul.__wrapped__() == "default"


def test_a_faster_exact_path_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "onednn_linear", lambda x, weight: x @ weight.T)
    monkeypatch.setattr(matmul, "_has_onednn_linear", lambda: True)
    seconds = cycle([2.0, 1.0])
    monkeypatch.setattr(matmul, "_seconds", lambda _: next(seconds))
    assert matmul.float32_matmul.__wrapped__() == "onednn"
    seconds = cycle([1.1, 1.0])
    assert matmul.float32_matmul.__wrapped__() == "default"


@pytest.mark.parametrize("path", ["default", "onednn"])
def test_the_path_is_used_for_float32_alone(
    path: matmul.Matmul, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tiny_model("llama").module
    monkeypatch.setattr(matmul, "float32_matmul", lambda: path)
    assert matmul.matmul_path(module) == path
    assert isinstance(matmul.fast_matmul(module), matmul._OneDnn) == (path == "onednn")
    assert matmul.matmul_path(module.bfloat16()) == "default"


@onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 40), (2, 3, 40)])
def test_gradients_are_those_of_the_plain_product(bias: bool, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = [shape, (24, 40), (24,)] if bias else [shape, (24, 40)]
    inputs = [torch.randn(size, generator=generator).requires_grad_() for size in shapes]
    plain = torch.nn.functional.linear(*inputs)
    product = matmul._linear(*inputs)
    torch.testing.assert_close(product, plain)
    outer = torch.randn(plain.shape, generator=generator)
    expected = torch.autograd.grad(plain, inputs, outer)
    gradients = torch.autograd.grad(product, inputs, outer)
    torch.testing.assert_close(gradients, expected, rtol=1e-5, atol=1e-5)


@onednn
def test_frozen_weights_get_no_gradients() -> None:
    x, weight = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3)
    matmul._linear(x, weight).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 4.0))
    assert weight.grad is None
    with torch.no_grad():
        assert not matmul._linear(x, weight).requires_grad


@onednn
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_both_paths_give_the_same_gradients(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_model(family).module
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    parameters = list(module.parameters())
    default = torch.autograd.grad(module(ids).logits.square().mean(), parameters)
    monkeypatch.setattr(matmul, "matmul_path", lambda _: "onednn")
    with matmul.fast_matmul(module):
        other = torch.autograd.grad(module(ids).logits.square().mean(), parameters)
    torch.testing.assert_close(other, default, rtol=1e-4, atol=1e-5)


_ROWS, _WEIGHT, _BIAS = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 2)
_PRODUCTS: dict[str, tuple[tuple[Tensor, ...], dict[str, Tensor]]] = {
    "by name": ((), {"input": _ROWS, "weight": _WEIGHT, "bias": _BIAS[:, 0].contiguous()}),
    "weight by name": ((_ROWS,), {"weight": _WEIGHT}),
    "a bias with gaps": ((_ROWS, _WEIGHT, _BIAS[:, 0]), {}),
    "a bias per row": ((_ROWS, _WEIGHT, torch.randn(3, 5)), {}),
    "a bias for all outputs": ((_ROWS, _WEIGHT, torch.randn(1)), {}),
    "a single output": ((_ROWS, torch.randn(4)), {}),
    "a single row": ((_ROWS[0], _WEIGHT), {}),
    "no rows": ((_ROWS[:0], _WEIGHT), {}),
    "no features": ((_ROWS[:, :0], _WEIGHT[:, :0]), {}),
    "a sparse weight": ((_ROWS, _WEIGHT.to_sparse()), {}),
}


@onednn
@pytest.mark.parametrize("form", _PRODUCTS)
def test_every_form_of_linear_equals_torch(form: str) -> None:
    args, options = _PRODUCTS[form]
    expected = torch.nn.functional.linear(*args, **options)
    with matmul._OneDnn():
        torch.testing.assert_close(torch.nn.functional.linear(*args, **options), expected)


@onednn
@pytest.mark.parametrize("bias", [torch.randn(5), torch.randn(1), torch.randn(3, 5), _BIAS[:, 0]])
def test_every_bias_of_addmm_equals_torch(bias: Tensor) -> None:
    with matmul._OneDnn():
        product = torch.addmm(bias, _ROWS, _WEIGHT.T)
    torch.testing.assert_close(product, torch.addmm(bias, _ROWS, _WEIGHT.T))


@onednn
def test_errors_are_those_of_torch() -> None:
    for operands in ((_ROWS, _WEIGHT.double()), (_ROWS, torch.randn(5, 3))):
        with pytest.raises(RuntimeError) as expected:
            torch.nn.functional.linear(*operands)
        with matmul._OneDnn(), pytest.raises(RuntimeError) as raised:
            torch.nn.functional.linear(*operands)
        assert str(raised.value) == str(expected.value)


@onednn
def test_autocast_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a training in bfloat16 would compute in float32 wherever oneDNN is faster."""
    module = tiny_model("llama").module
    monkeypatch.setattr(matmul, "matmul_path", lambda _: "onednn")
    monkeypatch.setattr(matmul, "_linear", lambda *_: pytest.fail("torch computes this"))
    with torch.autocast("cpu", torch.bfloat16), matmul.fast_matmul(module):
        assert module(torch.tensor([[5, 6, 7]])).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "meta"])
def test_a_device_with_float64_is_exact(name: str) -> None:
    assert exact_device(torch.device(name)) == torch.device(name)


def test_mps_is_exact_on_the_cpu() -> None:
    assert exact_device(torch.device("mps")) == torch.device("cpu")
    assert exact_device(torch.device("mps:0")) == torch.device("cpu")


def test_exact_keeps_values_and_gradients() -> None:
    values = torch.tensor([0.1, -3.0]).requires_grad_()
    doubles = exact(values)
    assert doubles.dtype == torch.float64
    torch.testing.assert_close(doubles.float(), values)
    doubles.square().sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, 2 * values.detach())


def test_exact_sum_is_masked_and_in_float64() -> None:
    values = torch.tensor([[1e8, 1.0, torch.nan], [2.0, torch.nan, 3.0]])
    mask = torch.tensor([[True, True, False], [True, False, True]])
    doubles = exact_sum(values, mask)
    assert doubles.dtype == torch.float64
    assert doubles.tolist() == [1e8 + 1, 5.0]
