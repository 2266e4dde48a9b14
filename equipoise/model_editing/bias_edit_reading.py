"""Contrasts as tokens, and what a model says of them with gradients on.

Texts stand in rows of their own, padded on the right, where a causal model does not look: a row of
(input, gradient) belongs to one text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.batching import evaluating
from equipoise.inference.forward import logits_at
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.layout import probe_layout
from equipoise.inference.prefix_sharing import single
from equipoise.inference.queries import Query, causal, without_start
from equipoise.inference.scoring import the_prompt
from equipoise.model_editing.bias_edit_losses import Scores, scores
from equipoise.models.context import context_length
from equipoise.models.hooks import frozen
from equipoise.models.start_token import start_token_id
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Contrast


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A stereotype and its anti-stereotype, and what of each is read."""

    stereotype: Query
    antistereotype: Query


def pairs_of(
    model: LanguageModel, contrasts: Sequence[Contrast], *, whole: bool
) -> tuple[Pair, ...]:
    """The two texts of each contrast, read from their first difference on.

    `whole`: all of both is read, as the released code does. Where one text begins the other there
    is no such difference in both, and all is read.
    Raises `RecipeError` naming a contrast that is too long or of equal texts.
    """
    for contrast in contrasts:
        if contrast.stereotype == contrast.antistereotype:
            raise RecipeError(
                f"contrast '{contrast.id}' must have two different texts, "
                f"got {contrast.stereotype!r} twice; leave it out"
            )
    found = []
    for one, first, second in zip(
        contrasts,
        queries_of(
            model, contrasts, [contrast.context + contrast.stereotype for contrast in contrasts]
        ),
        queries_of(
            model, contrasts, [contrast.context + contrast.antistereotype for contrast in contrasts]
        ),
        strict=True,
    ):
        if first is None or second is None:
            raise RecipeError(
                f"contrast '{one.id}' must have two tokens in each text to be predicted, got "
                f"{one.stereotype!r} and {one.antistereotype!r}; leave it out"
            )
        pair = Pair(stereotype=first, antistereotype=second)
        found.append(pair if whole else _from_difference(pair))
    return tuple(found)


def queries_of(
    model: LanguageModel, owners: Sequence[Contrast | str], texts: Sequence[str]
) -> list[Query | None]:
    """Whole texts with every token read; None for a text of which nothing can be predicted.

    `owners`: whose text each is, for an error: a contrast, or the name of a kind of text.
    Raises `RecipeError` naming the owner of a text that is longer than the model's context.
    """
    opening, start = the_prompt(model), start_token_id(model.tokenizer)
    marked = [Marked(opening + text, 0, len(opening + text)) for text in texts]
    limit = context_length(model.module)
    found: list[Query | None] = []
    for owner, coded in zip(owners, encode(model.tokenizer, marked, specials=False), strict=True):
        ids = without_start(coded, start).ids
        plan = causal(ids, range(len(ids)), "bos", start)
        if plan and limit is not None and len(plan[0].ids) > limit:
            name = owner if isinstance(owner, str) else f"contrast '{owner.id}'"
            raise RecipeError(
                f"{name} must fit the context of {model.identity}, {limit} tokens, got "
                f"{len(plan[0].ids)}; shorten it or leave it out"
            )
        found.append(plan[0] if plan else None)
    return found


def _from_difference(pair: Pair) -> Pair:
    one, other = pair.stereotype.reads, pair.antistereotype.reads
    same = 0
    while same < min(len(one), len(other)) and one[same][1] == other[same][1]:
        same += 1
    if same == min(len(one), len(other)):
        return pair
    return Pair(
        stereotype=Query(pair.stereotype.ids, one[same:]),
        antistereotype=Query(pair.antistereotype.ids, other[same:]),
    )


@contextmanager
def readable(model: LanguageModel) -> Iterator[None]:
    """No dropout and no gradients of the model's own parameters while this holds.

    Raises `ModelError` for a masked model.
    """
    if model.kind != "causal":
        raise ModelError(
            f"the model must be causal, got {model.identity}, a {model.kind} one; use another "
            "method for it"
        )
    with evaluating(model.module), frozen(model.module):
        yield


def places(queries: Sequence[Query]) -> Int[Tensor, " read"]:
    """Where in the padded batch each token that is read is predicted: text * longest + place."""
    longest = max(len(query.ids) for query in queries)
    return torch.tensor(
        [number * longest + at for number, query in enumerate(queries) for at, _ in query.reads]
    )


def logprobs(model: LanguageModel, queries: Sequence[Query]) -> Float[Tensor, "read vocabulary"]:
    """Next-token log-probabilities at all places that are read, text after text, in float32."""
    layout = replace(probe_layout(model.module), pack=False)
    rows = single([query.ids for query in queries], range(len(queries)))
    flat = places(queries).to(model.module.device)
    return logits_at(model.module, rows, flat, layout).float().log_softmax(-1)


def scores_of(model: LanguageModel, queries: Sequence[Query]) -> Scores:
    """What the model says of each text, over the tokens that are read."""
    return reduced(queries, logprobs(model, queries))


def reduced(queries: Sequence[Query], found: Float[Tensor, "read vocabulary"]) -> Scores:
    """Scores of texts from the distributions at their places."""
    tokens = torch.tensor([token for query in queries for _, token in query.reads])
    owners = torch.tensor([number for number, query in enumerate(queries) for _ in query.reads])
    told = found.gather(-1, tokens.to(found.device)[:, None])[:, 0]
    return scores(told, owners.to(found.device), items=len(queries))
