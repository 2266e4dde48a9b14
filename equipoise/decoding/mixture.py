"""How CAFIE combines several next-token distributions: the choices of its option `mixture`.

Banerjee et al. 2024, and its released code (utils/cafie_model.py). Each choice has a function
`mix` of log-probabilities (nats), row 0 of which is the text's own and the others are those of its
counterfactuals.
"""

import math
from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.records import OPTIONS


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Reference:
    """As released: lower what the text makes likelier than its counterfactuals, raise the rest.

    With s_k = P - P_k each token is multiplied by 1 + gamma tanh(-sharpness s_k), averaged over k
    with weights exp(|s_k|), and mixed with the plain distribution. The norm is taken at each place;
    in the released code over the whole text, so that later words changed the probability of
    earlier words.
    """

    name: Literal["reference"] = "reference"
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99  # weight of the mixture; 1 leaves zeros
    sharpness: Annotated[float, Field(gt=0)] = 1000.0  # lambda, per unit of probability
    gamma: Annotated[float, Field(gt=0, le=1)] = 1.0  # how far a factor may be from 1
    threshold: Annotated[float, Field(ge=0)] = 0.0  # smaller differences of probability are none
    temperature: Annotated[float, Field(gt=0)] = 1.0  # of the plain distribution that is mixed in
    normalized: bool = True  # False as released, sums are then not 1

    @property
    def neutral(self) -> bool:
        """Whether it gives the plain distribution whatever the counterfactuals say."""
        return self.alpha == 0 and self.temperature == 1

    def mix(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities; they sum to 1 if `normalized`."""
        gaps = logprobs[:1].exp() - logprobs[1:].exp()  # [counterfactual, place, token]
        gaps = gaps.masked_fill(gaps.abs() < self.threshold, 0.0)
        weights = gaps.norm(dim=-1, keepdim=True).softmax(0)
        factors = 1 + self.gamma * torch.tanh(-self.sharpness * gaps)
        changed = logprobs[0] + (weights * factors).sum(0).log()
        plain = logprobs[0]
        if self.temperature != 1:
            plain = _normalize(plain / self.temperature)
        mixed = _interpolate(changed, plain, self.alpha)
        return _normalize(mixed) if self.normalized else mixed


class _Alpha:
    """A mixture that alpha 0 switches off."""

    alpha: float

    @property
    def neutral(self) -> bool:
        """Whether it gives the plain distribution whatever the counterfactuals say."""
        return self.alpha == 0


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Mean(_Alpha):
    """The mean of the probabilities, mixed with the plain distribution.

    At alpha 1 the same for every text of a counterfactual set, which is what the method is for.
    """

    name: Literal["mean"] = "mean"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.99  # weight of the mean

    def mix(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities, which sum to 1."""
        changed = logprobs.logsumexp(0) - math.log(len(logprobs))
        return _normalize(_interpolate(changed, logprobs[0], self.alpha))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GeometricMean(_Alpha):
    """The normalized mean of the log-probabilities, mixed with the plain distribution.

    At alpha 1 the same for every text of a counterfactual set.
    """

    name: Literal["geomean"] = "geomean"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.99  # weight of the geometric mean

    def mix(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities, which sum to 1."""
        changed = _normalize(logprobs.mean(0))
        return _normalize(_interpolate(changed, logprobs[0], self.alpha))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Tempered(_Alpha):
    """P to the power 1 - alpha times the geometric mean to the power alpha, normalized."""

    name: Literal["tempered"] = "tempered"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.99  # exponent of the geometric mean

    def mix(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities, which sum to 1."""
        return _normalize((1 - self.alpha) * logprobs[0] + self.alpha * logprobs.mean(0))


Mixture: TypeAlias = Reference | Mean | GeometricMean | Tempered


def _interpolate(
    changed: Float[Tensor, "place token"], plain: Float[Tensor, "place token"], alpha: float
) -> Float[Tensor, "place token"]:
    """Alpha of `changed` and 1 - alpha of `plain`, in logarithms."""
    # `math.log1p(-1)` is an error
    if alpha == 1:
        return changed
    weight = math.log(alpha) if alpha else -math.inf
    return torch.logaddexp(changed + weight, plain + math.log1p(-alpha))


def _normalize(logprobs: Float[Tensor, "place token"]) -> Float[Tensor, "place token"]:
    return logprobs - logprobs.logsumexp(-1, keepdim=True)
