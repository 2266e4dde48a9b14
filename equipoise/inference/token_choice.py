"""The next token of a text: the likeliest, or one that a seed draws, under the request's rules.

Temperature 0 takes the likeliest. Otherwise a token is drawn from the `top_k` likeliest (Fan et al.
2018, section 5.4), of those from the smallest set whose probability reaches `top_p` (nucleus
sampling: Holtzman et al. 2020, section 3.1): in this order, as transformers does.

`min_tokens` bars end-of-text tokens until so many are written. `repetition_penalty` divides the
logits of tokens that have occurred, and multiplies those below 0: Keskar et al. 2019, section 4.1,
whose division would make tokens of negative logits likelier. The context counts as well as what is
written, as in transformers. With a decoding rule the penalty is on log-probabilities, all below 0.
"""

from collections.abc import Collection

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from equipoise.records import Generation

_HEADS = (512, 8192)  # likeliest tokens that are sorted before more are
_LATER = ("min_tokens", "top_k", "repetition_penalty")


def refusal(request: Generation) -> str | None:
    """What is out of range in a request's settings, as a sentence; None: nothing."""
    if request.temperature < 0 or not 0 < request.top_p <= 1 or request.max_tokens < 0:
        return (
            "must have temperature >= 0, 0 < top_p <= 1 and max_tokens >= 0, got "
            f"{request.temperature}, {request.top_p} and {request.max_tokens}; correct them"
        )
    if not 0 <= request.min_tokens <= request.max_tokens:
        return (
            f"must have 0 <= min_tokens <= max_tokens, got {request.min_tokens} and "
            f"{request.max_tokens}; ask for fewer, or for more at most"
        )
    if request.top_k < 0 or not 0 < request.repetition_penalty < float("inf"):
        return (
            "must have top_k >= 0 and a finite repetition_penalty > 0, got "
            f"{request.top_k} and {request.repetition_penalty}; correct them"
        )
    return None


def settings_beside(request: Generation) -> list[list[object]]:
    """Names and values of the settings that seeds did not know at first, where not at defaults."""
    defaults = {name: Generation.__dataclass_fields__[name].default for name in _LATER}
    return [
        [name, getattr(request, name)]
        for name, default in defaults.items()
        if getattr(request, name) != default
    ]


def restrict(
    logits: Float[Tensor, " token"],
    request: Generation,
    *,
    context: Collection[int],
    written: Collection[int],
    ends: Collection[int],
) -> None:
    """Change a text's logits in place: the penalty for repetition, and no end before its time."""
    if request.repetition_penalty != 1:
        seen = torch.tensor(sorted({*context, *written}), device=logits.device)
        scores, penalty = logits[seen], request.repetition_penalty
        logits[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)
    if len(written) < request.min_tokens and ends:
        logits[torch.tensor(sorted(ends), device=logits.device)] = -torch.inf


def draw(logits: Float[Tensor, " token"], request: Generation, generator: torch.Generator) -> int:
    """A token of the nucleus, by a uniform number from the request's own generator."""
    logits = logits.double()
    if 0 < request.top_k < len(logits):
        least = logits.topk(request.top_k).values[-1]  # equals of the last stay in
        logits = logits.masked_fill(logits < least, -torch.inf)
    # differences first: divided by the smallest temperatures, logits themselves overflow
    shares = ((logits - logits.max()) / request.temperature).softmax(0)
    number = torch.rand(1, generator=generator, dtype=torch.float64)
    for head in _HEADS:
        token = (
            _draw_likely(shares, number, request.top_p, head) if len(shares) > 2 * head else None
        )
        if token is not None:
            return token
    shares, order = shares.sort(descending=True, stable=True)
    before: Tensor = shares.cumsum(0) - shares
    nucleus: Bool[Tensor, " token"] = before < request.top_p  # the likeliest is always in it
    edges = (shares * nucleus).cumsum(0)
    place = int(torch.searchsorted(edges, number * edges[-1], right=True))
    # rounding may put the number on the last edge, behind which is no token of the nucleus
    return int(order[min(place, int(nucleus.sum()) - 1)])


def _draw_likely(
    shares: Float[Tensor, " token"], number: Float[Tensor, " 1"], top_p: float, count: int
) -> int | None:
    """What sorting all tokens would draw, from the likeliest few; None: it takes more to be sure.

    Sorting a vocabulary costs as much as a small model does.
    """
    head = shares.topk(count).indices.sort().values  # in their order, for equals
    likely, order = shares[head].sort(descending=True, stable=True)
    edges = likely.cumsum(0)
    inside = int((edges - likely < top_p).sum())
    if inside < count:  # the whole nucleus
        total = edges[inside - 1].repeat(2)
    elif top_p == 1.0:  # all tokens together have 1, but for rounding
        total = torch.tensor([1 - 1e-9, 1 + 1e-9], dtype=torch.float64)
    else:
        return None
    low, high = torch.searchsorted(edges[:inside], number * total, right=True).tolist()
    low, high = min(low, inside - 1), min(high, inside - 1)
    # behind equals of the last may stand others that are as likely
    return int(head[order[low]]) if low == high and likely[low] > likely[-1] else None
