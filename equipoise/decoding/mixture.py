"""How CAFIE makes one next-token distribution of several.

Banerjee et al. 2024, and its released code (utils/cafie_model.py).
"""

import math
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.errors import ModelError

Mode: TypeAlias = Literal["reference", "mean", "geomean", "tempered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """How K + 1 distributions become one; see `mixed`."""

    mode: Mode = "reference"
    alpha: float = 0.99  # weight of the adjusted distribution, 0 to 1; 0: nothing changes
    sharpness: float = 1000.0  # reference: lambda, for each unit of probability
    gamma: float = 1.0  # reference: how far a factor may be from 1, 0 to 1
    threshold: float = 0.0  # reference: a smaller difference of probabilities counts as none
    temperature: float = 1.0  # of the plain distribution that is mixed in
    normalized: bool = True  # reference: False as released, sums are then not 1

    def __post_init__(self) -> None:
        """Refuse numbers with which there would be no distribution."""
        sound = (
            0 <= self.alpha <= 1
            and 0 <= self.gamma <= 1
            and 0 <= self.sharpness < math.inf
            and self.threshold >= 0
            and 0 < self.temperature < math.inf
        )
        if not sound:
            raise ModelError(
                "mixing must have alpha and gamma in 0 to 1, sharpness and threshold >= 0 and "
                f"temperature > 0, got {asdict(self)}; correct them"
            )
        if self.mode == "reference" and self.alpha == 1 and self.gamma == 1:
            raise ModelError(
                "mixing by reference must have alpha below 1, else tokens have probability 0, got "
                f"{self.alpha}; lower it"
            )
        if self.mode != "reference" and not self.normalized:
            raise ModelError(
                f"mixing by {self.mode} is always normalized, got {self.normalized}; leave it out"
            )


def mixed(
    logprobs: Float[Tensor, "row place token"], mixing: Mixing
) -> Float[Tensor, "place token"]:
    """One log-distribution from that of the text (row 0) and of its counterfactuals.

    - `mean`: the mean of the probabilities; `geomean`: of their logarithms. Both are the same for
      every text of a counterfactual set, which is what the method is for.
    - `tempered`: P to the power 1 - alpha times the geometric mean to the power alpha.
    - `reference`: as released. With s_k = P - P_k each token is multiplied by
      1 + gamma tanh(-sharpness s_k), averaged over k with weights exp(|s_k|). The norm is taken at
      each place; in the released code over the whole text, so that later words changed the
      probability of earlier ones.

    All but `tempered` are mixed with the plain distribution, (1 - alpha) of it.
    """
    own = logprobs[0]
    if mixing.mode == "tempered":
        return _normal((1 - mixing.alpha) * own + mixing.alpha * logprobs.mean(0))
    if mixing.mode == "mean":
        changed = logprobs.logsumexp(0) - math.log(len(logprobs))
    elif mixing.mode == "geomean":
        changed = _normal(logprobs.mean(0))
    else:
        changed = own + _factor(logprobs, mixing).log()
    if mixing.alpha == 1:
        found = changed
    else:
        plain = own if mixing.temperature == 1 else _normal(own / mixing.temperature)
        kept = plain + math.log1p(-mixing.alpha)
        weight = math.log(mixing.alpha) if mixing.alpha else -math.inf
        found = torch.logaddexp(changed + weight, kept)
    return _normal(found) if mixing.normalized else found


def _factor(
    logprobs: Float[Tensor, "row place token"], mixing: Mixing
) -> Float[Tensor, "place token"]:
    gaps = logprobs[:1].exp() - logprobs[1:].exp()  # [other, place, token]
    gaps = gaps.masked_fill(gaps.abs() < mixing.threshold, 0.0)
    weights = gaps.norm(dim=-1, keepdim=True).softmax(0)
    factors = 1 + mixing.gamma * torch.tanh(-mixing.sharpness * gaps)
    found: Tensor = (weights * factors).sum(0)
    return found


def _normal(logprobs: Float[Tensor, "place token"]) -> Float[Tensor, "place token"]:
    return logprobs - logprobs.logsumexp(-1, keepdim=True)
