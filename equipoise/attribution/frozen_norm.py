"""What a norm does to a vector while its scale is held fixed: a linear map, read off the module.

Every norm in use divides by one number per vector. With that number frozen at its value in a
forward pass the norm is linear in what is added up before it, so that its output is shared out
exactly among the addends (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits";
TransformerLens freezes it likewise). Gain w or 1 + w, with or without centering: no table of
families says it, a few vectors put through the norm do.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipoise.errors import ModelError

_TOLERANCE = 1e-3  # of the size of the norm's output


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenNorm:
    """A norm as N(x) = k * gain * C(x) + bias, with a number k per vector.

    C takes the mean of the features away (LayerNorm), or nothing (RMSNorm). All in float32.
    """

    norm: nn.Module  # a copy in float32
    gain: Float[Tensor, " feature"]  # up to a factor, which is in k
    bias: Float[Tensor, " feature"]
    centered: bool

    def scale(self, x: Float[Tensor, "example feature"]) -> Float[Tensor, " example"]:
        """The number k of each vector: what is frozen; above 0.

        Raises `ModelError` where no number makes the formula true.
        """
        out: Tensor = self.norm(x) - self.bias
        base = self.gain * self._center(x)
        k: Tensor = (out * base).sum(-1) / base.square().sum(-1).clamp_min(
            torch.finfo(base.dtype).tiny
        )
        apart = float((out - k[:, None] * base).norm())
        if not apart <= _TOLERANCE * float(out.norm()):
            raise ModelError(
                f"a norm must divide by one number per vector to be shared out among heads, "
                f"{type(self.norm).__name__} leaves {apart:.2g} of {float(out.norm()):.2g}; take "
                "a model with LayerNorm or RMSNorm"
            )
        return k

    def pull(
        self, direction: Float[Tensor, "example feature"], k: Float[Tensor, " example"]
    ) -> Float[Tensor, "example feature"]:
        """The direction before the norm whose product with x is that of `direction` with N(x)."""
        return self._center(direction * self.gain) * k[:, None]

    def _center(self, x: Tensor) -> Tensor:
        centered: Tensor = x - x.mean(-1, keepdim=True) if self.centered else x
        return centered


def freeze_norm(norm: nn.Module, width: int, device: torch.device) -> FrozenNorm:
    """Read a norm's gain, bias and centering off a few vectors that are put through it."""
    exact = copy.deepcopy(norm).float()
    signs = torch.ones(width, device=device)
    signs[1::2] = -1.0
    if width % 2:
        signs[-1] = 0.0  # so that their mean is 0
    turned = signs.roll(1)
    # no gradients, yet tensors that may meet some later
    with torch.no_grad():
        bias = exact(torch.zeros(1, width, device=device))[0]
        constant = exact(torch.ones(1, width, device=device))[0] - bias
        first, second = exact(torch.stack([signs, turned])) - bias
    gain = torch.where(signs != 0, first * signs, second * turned)
    centered = float(constant.norm()) <= _TOLERANCE * float(gain.norm())
    return FrozenNorm(norm=exact, gain=gain, bias=bias, centered=centered)
