"""R-ROME: ROME with the same key on both sides of its update, which does not break the model.

Paper: Gupta et al. 2024, "Rebuilding ROME: Resolving Model Collapse during Sequential Model
Editing". ROME's released code turns the mean key over prefixes by C^-1 but divides by its product
with the plain prompt's key, which may be near 0; single edits then disable a model. Here one key,
the mean over prefixes, is used throughout.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.mitigate.rome import Rome
from equipoise.records import OPTIONS

Vector = Float[Tensor, " feature"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class RRome(Rome):
    """As `rome`, with the mean key and the mean output over prefixes in place of the plain ones."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Gupta et al. 2024, Rebuilding ROME, EMNLP"

    def _update(
        self,
        keys: Float[Tensor, "prefix feature"],
        outputs: Float[Tensor, "prefix output"],
        wanted: Float[Tensor, " output"],
        change: Float[Tensor, "output feature"],
        covariance: Float[Tensor, "feature feature"] | None,
    ) -> Float[Tensor, "output feature"]:
        key = keys.mean(0)
        return same_key_update(key, wanted - outputs.mean(0) - change @ key, covariance)


def same_key_update(
    key: Vector,
    residual: Float[Tensor, " output"],
    covariance: Float[Tensor, "feature feature"] | None,
) -> Float[Tensor, "output feature"]:
    """The change of W after which it puts out `residual` more at `key`; None: C = I.

    residual (C^-1 key)^T / (key^T C^-1 key), of all such changes the least on the corpus's keys;
    the divisor is above 0. Source: Gupta et al. 2024, equation 4.
    """
    direction = key if covariance is None else torch.linalg.solve(covariance, key)
    return torch.outer(residual, direction) / (key @ direction)
