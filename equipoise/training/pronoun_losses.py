"""Losses on the probabilities of a few words directly after a context.

Paper: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"). It prints
L = P(he|p) + P(she|p), minimized, which cannot give its results: both probabilities would go to 0.
Only cross-entropy with both targets can (`ce_both`), so that is the default, and the other
readings are here for the ablation. Each loss is a mean over examples and, within an example, the
sum of terms as printed; half of it would be half the learning rate.

Shapes: word log-probabilities are [example, word], in nats, natural logarithm. Distributions over
the next token are [example, vocabulary], as log-probabilities.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Words = Float[Tensor, "example word"]
Distribution = Float[Tensor, "*context vocabulary"]
Merged = Float[Tensor, "*context symbol"]  # some tokens merged
Scalar = Float[Tensor, ""]


def ce_both(words: Words, target: Sequence[float] | None = None) -> Scalar:
    """Cross-entropy with every word as a target: -sum over words of log p (reading C).

    Minimal where the words share all the mass, equally; `target` (sums to 1) replaces equally:
    -n sum over words of q log p. For two words the gradient on the logits is 2p - 1 at each word
    and 2p elsewhere. Hence it removes the gap, but also drives every other token to 0.
    Source: LFTF section 4, as its results must be read.
    """
    if target is None:
        return -words.sum(-1).mean()
    weights = torch.tensor(target, dtype=words.dtype, device=words.device) * words.shape[-1]
    return -(words * weights).sum(-1).mean()


def minimize_mass(words: Words) -> Scalar:
    """Sum of the words' probabilities, in [0, 1] (reading A, as printed).

    Minimal where none of the words is ever said: the gap is then 0 without any debiasing.
    """
    return words.exp().sum(-1).mean()


def maximize_mass(words: Words) -> Scalar:
    """Minus the sum of the words' probabilities, in [-1, 0] (reading B).

    Minimal where the words hold all the mass; the word that is ahead gains more, so the gap grows.
    """
    return -words.exp().sum(-1).mean()


def absolute_gap(words: Words) -> Scalar:
    """|p_a - p_b| summed over pairs of words (reading D); 0 where all are equal.

    The gradient on another token's logit is -gap * p, so the words lose mass while a gap lasts.
    """
    first, second = _pairs(words.exp())
    return (first - second).abs().sum(-1).mean()


def squared_log_odds(words: Words) -> Scalar:
    """(log p_a - log p_b)^2 summed over pairs of words (reading D); 0 where all are equal.

    The gradient on the logits touches the words alone, so their common mass moves only indirectly.
    """
    first, second = _pairs(words)
    return (first - second).square().sum(-1).mean()


def parity(words: Words, merged: Merged, reference: Merged, *, mass_weight: float) -> Scalar:
    """Equal words inside the mass the reference gave them, everything else where it was.

    Squared log-odds + `mass_weight` * KL(reference || model), both as `merged` distributions.
    0 exactly when the words are equally likely and nothing else has changed.
    Source: our own repair of LFTF's objective, which does not hold the mass.
    """
    return squared_log_odds(words) + mass_weight * divergence(reference, merged)


def divergence(reference: Distribution, model: Distribution) -> Scalar:
    """KL(reference || model) in nats, a mean over all contexts; 0 when they are equal."""
    return (reference.exp() * (reference - model)).sum(-1).mean()


def merged(
    logprobs: Distribution, words: Words, first_tokens: Sequence[int], *, whole: bool
) -> Merged:
    """The next-token distribution with the words merged into one symbol of their common mass.

    The words' first tokens are taken out, and the mass of the words is put in as the last entry.
    When the words are longer than those tokens (`whole` is False), the rest of the tokens' mass
    follows in an entry of its own. Log-probabilities: [example, vocabulary - words + 1 (or + 2)].
    """
    taken = torch.zeros(logprobs.shape[-1], dtype=torch.bool, device=logprobs.device)
    taken[list(first_tokens)] = True
    mass = words.logsumexp(-1, keepdim=True)  # [example, 1]
    parts = [logprobs[:, ~taken], mass]
    if not whole:
        tokens = logprobs[:, taken].logsumexp(-1, keepdim=True)
        smallest = torch.finfo(logprobs.dtype).tiny
        parts.append((tokens.exp() - mass.exp()).clamp_min(smallest).log())
    return torch.cat(parts, dim=-1)


def _pairs(values: Words) -> tuple[Tensor, Tensor]:
    number = values.shape[-1]
    first, second = torch.triu_indices(number, number, offset=1)
    return values[:, first], values[:, second]
