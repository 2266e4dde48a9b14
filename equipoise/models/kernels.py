"""Faster or more exact arithmetic for a module: float32 products, GELU, float64 sums.

float32 products: on some processors torch's default (MKL) runs at half the speed of oneDNN at the
same accuracy; on others there is nothing to gain. torch's public switch
(`set_float32_matmul_precision("medium")`) does not help: where the processor has bfloat16 units
it silently computes in bfloat16. So oneDNN's linear is called directly, in a `with` block, if it
exists, is exact, and is faster on this machine; nothing global is changed. The choice is made once
per process and recorded with every result. The two libraries differ in the last digits, so a
training or a study that is resumed on another machine may differ there, too.

GELU: a single pass over memory, where a model's own code takes eight. float64: on the device
itself, or on the processor if the device has no float64.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Literal, TypeAlias, no_type_check

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel
from transformers.activations import FastGELUActivation, NewGELUActivation

from equipoise.processes.together import on_main

Matmul: TypeAlias = Literal["default", "onednn"]

#: What another process chose.
_settled: ContextVar[Matmul | None] = ContextVar("settled_matmul", default=None)
_FASTER = 1.25  # measured speeds scatter: a smaller gain would make the choice a matter of luck
_ROUNDS = 7
_FLOAT32_ERROR = 5e-6  # largest error against float64, of the largest value; bfloat16 has 4e-3
_SHAPE = (384, 768, 1536)  # rows, features in, features out: the size of a small model's products


def fast_matmul(module: PreTrainedModel) -> AbstractContextManager[object]:
    """A `with` block in which this module's float32 products use the library of `matmul_path`."""
    return _OneDnn() if matmul_path(module) == "onednn" else nullcontext()


def matmul_path(module: PreTrainedModel) -> Matmul:
    """Which library multiplies this module's matrices; results record it.

    "onednn" on a processor, in float32, if it exists and is exact and clearly faster.
    """
    if module.device.type != "cpu" or module.dtype != torch.float32:
        return "default"
    return _settled.get() or float32_matmul()


@contextmanager
def settled_matmul(path: Matmul) -> Iterator[None]:
    """A `with` block with the library that another process of the same study chose.

    oneDNN's only where it is exact here, too.
    """
    before = _settled.set("default" if path == "onednn" and not onednn_is_exact() else path)
    try:
        yield
    finally:
        _settled.reset(before)


@cache
def float32_matmul() -> Matmul:
    """The library for float32 products on this processor; measured once per process.

    Tests that compare the bytes of two processes replace this function.
    """
    return on_main(_measure_float32_matmul)  # a matter of luck on which several must agree


def _measure_float32_matmul() -> Matmul:
    if not onednn_is_exact():
        return "default"
    left, right = _operands()
    gains = []
    for _ in range(_ROUNDS):  # in turn, so that other work on the machine slows both alike
        plain = _seconds(lambda: functional.linear(left, right))
        gains.append(plain / _seconds(lambda: onednn_linear(left, right)))
    return "onednn" if statistics.median(gains) > _FASTER else "default"


def _operands() -> tuple[Tensor, Tensor]:
    """Random matrices of `_SHAPE`: the left, and the right as a linear layer has it."""
    generator = torch.Generator().manual_seed(0)
    rows, into, out = _SHAPE
    left = torch.randn(rows, into, generator=generator)
    return left, torch.randn(out, into, generator=generator)


@cache
def onednn_is_exact() -> bool:
    """Whether oneDNN's linear exists here and computes in float32; tried once per process."""
    if not _has_onednn_linear():
        return False
    left, right = _operands()
    truth = left.double() @ right.double().T
    error = (onednn_linear(left, right).double() - truth).abs().max() / truth.abs().max()
    return float(error) <= _FLOAT32_ERROR  # false for nan


@contextmanager
def fast_output_layer(module: PreTrainedModel) -> Iterator[None]:
    """A `with` block in which a float32 output layer of a few rows at a time uses oneDNN.

    A table of ten thousands of tokens is where torch's default is slowest, by half and more at 32
    to 128 rows, on processors where their products do not differ elsewhere. Not measured here but
    always taken where it is exact, so that texts do not depend on a measurement.
    """
    layer = module.get_output_embeddings()
    plain = type(layer) is nn.Linear and "forward" not in vars(layer)
    if not plain or module.device.type != "cpu" or not onednn_is_exact():
        yield
        return
    before = layer.forward

    def product(x: Tensor) -> Tensor:
        takes = _is_plain_product(x, layer.weight, layer.bias) and not torch.is_grad_enabled()
        return onednn_linear(x, layer.weight, layer.bias) if takes else before(x)

    vars(layer)["forward"] = product
    try:
        yield
    finally:
        del vars(layer)["forward"]


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X @ weight.T + bias by oneDNN, in the number format given: [..., in], [out, in], [out]."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


# torch has no derivative of this operator: backward only warns, and gives no gradients.
class _Linear(torch.autograd.Function):
    """`onednn_linear` with its gradients, which are matrix products of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return onednn_linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        rows = grad.flatten(0, -2)
        needed = ctx.needs_input_grad
        return (
            onednn_linear(grad, weight.T) if needed[0] else None,
            rows.T @ x.flatten(0, -2) if needed[1] else None,
            rows.sum(0) if needed[2] else None,
        )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product by oneDNN; through `_Linear` if an operand needs gradients."""
    operands = (operand for operand in (x, weight, bias) if operand is not None)
    if torch.is_grad_enabled() and any(operand.requires_grad for operand in operands):
        product: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return product
    return onednn_linear(x, weight, bias)


class _OneDnn(TorchFunctionMode):
    """Sends float32 linear layers, and GPT-2's `addmm`, to oneDNN while it is entered."""

    @no_type_check  # called for every operation of torch: checking it costs half a forward pass
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func is functional.linear:
            # PEFT's trainable tokens call it with keywords
            operands = dict(zip(("input", "weight", "bias"), args, strict=False)) | options
            x, weight, bias = (operands.get(name) for name in ("input", "weight", "bias"))
            if _is_plain_product(x, weight, bias):
                return _linear(x, weight, bias)
        if func is torch.addmm and not options and len(args) == 3:
            bias, left, right = args
            if _is_plain_product(left, right.T, bias):
                return _linear(left, right.T, bias)
        return func(*args, **options)


def _is_plain_product(x: Any, weight: Any, bias: Any) -> bool:
    """Whether oneDNN gives what torch gives: float32 matrices, a bias per output side by side.

    It computes a bias with gaps in memory wrongly, and refuses others of torch's forms.
    """
    operands = (x, weight) if bias is None else (x, weight, bias)
    return (
        not torch.is_autocast_enabled("cpu")  # another format was asked for
        and all(
            # a subclass (a quantized weight) has arithmetic of its own
            type(operand) in (Tensor, nn.Parameter)
            and operand.dtype == torch.float32
            and operand.layout == torch.strided
            for operand in operands
        )
        and weight.ndim == 2
        and x.ndim > 0
        and x.shape[-1] == weight.shape[1] > 0
        and (bias is None or (bias.shape == weight.shape[:1] and bias.is_contiguous()))
    )


def _has_onednn_linear() -> bool:
    try:
        onednn_linear(torch.ones(1, 1), torch.ones(1, 1))
    except (AttributeError, RuntimeError):  # no such operator in this torch, or not compiled in
        return False
    return True


def _seconds(product: Callable[[], Tensor]) -> float:
    """Processor time of a product, the faster of two."""
    seconds = []
    for _ in range(2):
        # not wall-clock time, which other work on the machine stretches
        start = time.process_time()
        product()
        seconds.append(time.process_time() - start)
    return min(seconds)


#: Spellings of the same formula, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
_TANH_GELUS = (NewGELUActivation, FastGELUActivation)


@contextmanager
def fused_gelu(module: PreTrainedModel) -> Iterator[None]:
    """A `with` block in which the tanh form of GELU (GPT-2's) uses torch's own fused kernel.

    Equal to the module's code up to the rounding of its number format; it saves a sixth of the
    time of a GPT-2 pass on a processor, a quarter in bfloat16. Parts whose forward is already
    replaced are skipped.
    """
    parts = [
        part
        for part in module.modules()
        if isinstance(part, _TANH_GELUS) and "forward" not in vars(part)
    ]
    for part in parts:
        vars(part)["forward"] = partial(functional.gelu, approximate="tanh")
    try:
        yield
    finally:
        for part in parts:
            del vars(part)["forward"]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No dropout inside; each part's mode is restored afterwards."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


_WITHOUT_FLOAT64 = ("mps",)  # Apple's GPUs


def exact_device(device: torch.device) -> torch.device:
    """The device, or the processor where the device cannot compute in float64."""
    return torch.device("cpu") if device.type in _WITHOUT_FLOAT64 else device


def exact(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its `exact_device`; differentiable."""
    return tensor.to(exact_device(tensor.device)).double()  # moved first, or the device refuses


def exact_sum(
    values: Float[Tensor, "row position"], mask: Bool[Tensor, "row position"]
) -> Float[Tensor, " row"]:
    """The sum over the masked-in positions of each row, in float64; other values may be nan."""
    doubles = exact(values)
    return doubles.masked_fill(~mask.to(doubles.device), 0.0).sum(-1)
