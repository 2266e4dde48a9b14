"""What BiasEdit's editor minimizes: the released code's losses, and losses that aim at parity.

Paper: Xu et al. 2025, "BiasEdit: Debiasing Stereotyped Language Models via Model Editing". It
states a symmetric KL divergence between a stereotype and its anti-stereotype, and a KL divergence
on the unrelated text of the same context. Its code (`editor/base.py`) takes the mean probability
of a text's tokens for a distribution, which it is not; `reference_debias` and
`reference_retention` are that code, kept for comparison, and each says what is wrong with it.

All values are for one item or one token, in nats unless said otherwise; whoever calls takes means.
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

Items: TypeAlias = Float[Tensor, " item"]
Distributions: TypeAlias = Float[Tensor, "token vocabulary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a model says of some texts: of each, over its tokens that are read."""

    total: Tensor  # [item], the sum of the log-probabilities
    mean: Tensor  # [item], their mean
    mean_probability: Tensor  # [item], the mean of the probabilities, in [0, 1]

    def halves(self) -> tuple["Scores", "Scores"]:
        """Of the first half of the texts, and of the second."""
        middle = len(self.total) // 2
        first, second = (
            Scores(
                total=self.total[part],
                mean=self.mean[part],
                mean_probability=self.mean_probability[part],
            )
            for part in (slice(0, middle), slice(middle, None))
        )
        return first, second


def scores(
    logprobs: Float[Tensor, " token"], owners: Int[Tensor, " token"], *, items: int
) -> Scores:
    """Scores of `items` texts from the log-probabilities of their tokens.

    `owners`: of each token, the number of its text; every text has a token.
    """
    none = torch.zeros(items, dtype=logprobs.dtype, device=logprobs.device)
    count = none.index_add(0, owners, torch.ones_like(logprobs))
    total = none.index_add(0, owners, logprobs)
    mass = none.index_add(0, owners, logprobs.exp())
    return Scores(total=total, mean=total / count, mean_probability=mass / count)


def squared_margin(stereotype: Scores, antistereotype: Scores) -> Items:
    """(log p(stereotype) - log p(antistereotype))^2, in nats^2; 0 exactly at parity.

    Tokens before the first difference cancel, so it does not depend on how much the texts share.
    Source: our own repair of `reference_debias`.
    """
    return (stereotype.total - antistereotype.total).square()


def divergence(before: Distributions, after: Distributions) -> Float[Tensor, " token"]:
    """KL(before || after) of the next token's distribution, from log-probabilities; 0 when equal.

    Source: our own repair of `reference_retention`.
    """
    return (before.exp() * (before - after)).sum(-1)


def reference_debias(stereotype: Scores, antistereotype: Scores) -> Items:
    """m(s) (log m(s) - l(a)) + m(a) (log m(a) - l(s)), as the released code has it.

    m is the mean probability of a text's tokens, l the mean log-probability, s and a the two
    texts. No divergence: it is above 0 for equal texts (log m >= l by Jensen), it shrinks in
    proportion when every token of both texts becomes less likely, and tokens that the two texts
    share weigh as much as those that differ.
    """
    s, a = stereotype, antistereotype
    one = s.mean_probability * (s.mean_probability.log() - a.mean)
    other = a.mean_probability * (a.mean_probability.log() - s.mean)
    return one + other


def reference_retention(before: Scores, after: Scores) -> Items:
    """m(before) (log m(before) - l(after)) of an unrelated text, as the released code has it.

    No divergence: without an edit it is above 0, and it falls without bound as the meaningless
    text becomes likelier, which is what a language-modeling score counts as an error.
    """
    return before.mean_probability * (before.mean_probability.log() - after.mean)
