"""What training on prompts aims at: losses on the probabilities of a few words after a context.

Paper: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"). It prints
L = P(he|p) + P(she|p), minimized, which cannot give its results: both probabilities would go to 0.
Only cross-entropy with both targets can (`CeBoth`), so that is the default, and the other readings
are here for the ablation. Each loss is a mean over examples and, within an example, the sum of
terms as printed; half of it would be half the learning rate.

Shapes: word log-probabilities are [example, word], in nats, natural logarithm. Distributions over
the next token are [example, vocabulary], as log-probabilities.
"""

from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.records import OPTIONS

Words = Float[Tensor, "example word"]
Distribution = Float[Tensor, "*context vocabulary"]
Merged = Float[Tensor, "*context symbol"]  # some tokens merged
Scalar = Float[Tensor, ""]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CeBoth:
    """Cross-entropy with every word as a target: -sum over words of log p (reading C).

    Minimal where the words share all the mass, equally; with a `target` q: -n sum of q log p. For
    two words the gradient on the logits is 2p - 1 at each word and 2p elsewhere, so that it removes
    the gap, but also drives every other token to 0.
    """

    name: Literal["ce_both"] = "ce_both"
    terms: Literal["both", "he", "she"] = "both"  # "he", "she": one term alone, an ablation
    target: tuple[float, ...] | None = None  # probability of each word; None: all equal

    def loss(self, words: Words) -> Scalar:
        """In nats, from 0."""
        terms = {"both": words, "he": words[:, :1], "she": words[:, 1:]}[self.terms]
        if self.target is None:
            return -terms.sum(-1).mean()
        weights = torch.tensor(self.target, dtype=words.dtype, device=words.device)
        return -(words * (weights * words.shape[-1])).sum(-1).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MinimizeMass:
    """Sum of the words' probabilities (reading A, as printed).

    Minimal where none of the words is ever said: the gap is then 0 without any debiasing.
    """

    name: Literal["minimize_mass"] = "minimize_mass"

    def loss(self, words: Words) -> Scalar:
        """In [0, 1]."""
        return words.exp().sum(-1).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MaximizeMass:
    """Minus the sum of the words' probabilities (reading B).

    Minimal where the words hold all the mass; the word that is ahead gains more, so the gap grows.
    """

    name: Literal["maximize_mass"] = "maximize_mass"

    def loss(self, words: Words) -> Scalar:
        """In [-1, 0]."""
        return -words.exp().sum(-1).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AbsoluteGap:
    """|p_a - p_b| summed over pairs of words (reading D).

    The gradient on another token's logit is -gap * p, so the words lose mass while a gap lasts.
    """

    name: Literal["absolute_gap"] = "absolute_gap"

    def loss(self, words: Words) -> Scalar:
        """0 where all words are equal."""
        first, second = _pairs(words.exp())
        return (first - second).abs().sum(-1).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class SquaredLogOdds:
    """(log p_a - log p_b)^2 summed over pairs of words (reading D).

    The gradient on the logits touches the words alone, so their common mass moves only indirectly.
    """

    name: Literal["squared_log_odds"] = "squared_log_odds"

    def loss(self, words: Words) -> Scalar:
        """0 where all words are equal."""
        first, second = _pairs(words)
        return (first - second).square().sum(-1).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Parity:
    """Equal words inside the mass the reference gave them, everything else where it was.

    Source: our own repair of LFTF's objective, which does not hold the mass.
    """

    name: Literal["parity"] = "parity"
    #: of the KL to the model before, he and she merged
    mass_weight: Annotated[float, Field(ge=0)] = 1.0

    def loss(self, words: Words, merged: Merged, reference: Merged) -> Scalar:
        """Squared log-odds + `mass_weight` * KL(reference || model), both as `WordTree.merged`.

        0 exactly when the words are equally likely and nothing else has changed.
        """
        return SquaredLogOdds().loss(words) + self.mass_weight * divergence(reference, merged)


Objective: TypeAlias = CeBoth | Parity | MinimizeMass | MaximizeMass | AbsoluteGap | SquaredLogOdds


def divergence(reference: Distribution, model: Distribution) -> Scalar:
    """KL(reference || model) in nats, a mean over all contexts; 0 when they are equal."""
    return (reference.exp() * (reference - model)).sum(-1).mean()


def _pairs(values: Words) -> tuple[Tensor, Tensor]:
    number = values.shape[-1]
    first, second = torch.triu_indices(number, number, offset=1)
    return values[:, first], values[:, second]
