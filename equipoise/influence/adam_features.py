"""What Adam would make of a row's gradient: the direction of the step that the row alone asks for.

With the moments m and v after t updates, and a gradient g, element by element:

    m' = (b1 m + (1 - b1) g) / (1 - b1^(t+1)),   v' = (b2 v + (1 - b2) g^2) / (1 - b2^(t+1)),
    feature = m' / (sqrt(v') + eps)        b1 = 0.9, b2 = 0.999, eps = 1e-8

Xia et al. 2024 ("LESS"), section 2. `scaled` leaves out b1 m, which is in the step of any row and
is no work of this: it turns all features towards the same direction. `less-code` is what their
program computes: no correction of the bias, and eps inside the root, which raises every root to at
least 1e-4. `frozen` leaves g out of v', so that the feature is linear in g; where v is far below
g^2, its part of g is cut off at what that of the exact feature cannot exceed.
"""

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.errors import ModelError
from equipoise.training.resume import Checkpoint

Preconditioning: TypeAlias = Literal["scaled", "adam", "frozen", "sgd", "less-code"]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # torch's defaults, with which `training.loop` trains


class AdamFeatures:
    """Features of gradients under the optimizer's state of a checkpoint, a matrix at a time.

    `sizes`: numbers in each matrix, by name. Raises `ModelError` when the checkpoint has no state
    of the optimizer for a matrix, or one of another size.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        sizes: Mapping[str, int],
        kind: Preconditioning,
        *,
        device: torch.device,
    ) -> None:
        self.kind = kind
        self._first: dict[str, Tensor] = {}
        self._second: dict[str, Tensor] = {}
        self._updates: dict[str, float] = {}
        if kind == "sgd":
            return
        for name, size in sizes.items():
            moments = [checkpoint.exp_avg.get(name), checkpoint.exp_avg_sq.get(name)]
            if any(moment is None or moment.numel() != size for moment in moments):
                raise ModelError(
                    f"a checkpoint must have Adam's moments of '{name}' ({size} numbers), that "
                    f"after {checkpoint.steps} steps has moments of {len(checkpoint.exp_avg)} "
                    "parameters; take checkpoints of this adapter's training, or set features to "
                    "sgd, which needs none"
                )
            m, v = (moment.float().flatten().to(device) for moment in moments if moment is not None)
            updates = float(checkpoint.updates[name])
            self._updates[name] = updates
            if kind == "frozen":
                scale = 1 / ((v / (1 - BETA2**updates)).sqrt() + EPSILON)
                correction = 1 - BETA1 ** (updates + 1)
                self._first[name] = scale * m * (BETA1 / correction)
                self._second[name] = scale * ((1 - BETA1) / correction)
            else:
                first = torch.zeros_like(m) if kind == "scaled" else m * BETA1
                self._first[name], self._second[name] = first, v * BETA2

    def apply(
        self, name: str, gradients: Float[Tensor, "text parameter"]
    ) -> Float[Tensor, "text parameter"]:
        """Features of a matrix's gradients, which are written over."""
        if self.kind == "sgd":
            return gradients
        first, second, updates = self._first[name], self._second[name], self._updates[name]
        if self.kind == "frozen":
            bound = (1 - BETA1) / math.sqrt(1 - BETA2)
            bound *= math.sqrt(1 - BETA2 ** (updates + 1)) / (1 - BETA1 ** (updates + 1))
            return gradients.mul_(second).clamp_(-bound, bound).add_(first)
        root = torch.addcmul(second, gradients, gradients, value=1 - BETA2)
        numerator = gradients.mul_(1 - BETA1).add_(first)
        if self.kind == "less-code":
            return numerator.div_(root.add_(EPSILON).sqrt_())
        # a common factor is taken out of the root: what is left in it is never smaller than eps is
        correction = math.sqrt(1 - BETA2 ** (updates + 1))
        root.sqrt_().add_(EPSILON * correction)
        return numerator.div_(root).mul_(correction / (1 - BETA1 ** (updates + 1)))
