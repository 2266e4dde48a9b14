"""Queries: token ids that are fed, and positions at which a token's log-probability is read.

Every kind of request becomes queries here, and the engine answers every query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import (
    Ids,
    Marked,
    Tokens,
    encode,
    without_start,
)
from equipoise.records import Prefix

Read: TypeAlias = tuple[int, int]  # position in the ids, token whose log-probability is wanted


@dataclass(frozen=True, slots=True)
class Query:
    """The ids of a text that is fed, and what is read from its logits."""

    ids: Ids
    reads: tuple[Read, ...]


Plan: TypeAlias = tuple[Query, ...]  # of a request; its answers follow one another

#: In place of a token: the greatest log-probability of any token there.
LIKELIEST = -1


def tokenize(model: LoadedModel, texts: Iterable[Marked]) -> list[Tokens]:
    """Texts as this model reads them: a masked model with its special tokens around them.

    A causal model's start token is left out, whoever put it in front: the prefix policy adds it,
    once.
    """
    masked = model.kind == "masked"
    encoded = encode(model.tokenizer, texts, specials=masked)
    if masked:
        return encoded
    start = model.start_token_id
    return [without_start(tokens, start) for tokens in encoded]


def causal(ids: Ids, wanted: Sequence[int], prefix: Prefix, start: int | None) -> Plan:
    """Queries for log p(ids[i] | everything before it), i in `wanted` (ascending).

    `start` is the start token; without it every prefix policy is "none", under which the first
    token has no condition and is left out (`scored`). Nothing after the last wanted token is fed.
    Source: metrics.md section 0.
    """
    if not wanted:
        return ()
    if prefix == "bos" and start is not None:
        reads = tuple([(position, ids[position]) for position in wanted])
        return (Query((start, *ids[: wanted[-1]]), reads),)
    first: Plan = ()
    if prefix == "ref_gpt2" and start is not None and wanted[0] == 0:
        # as StereoSet's released code: the first token after the start token, the others without it
        first = (Query((start,), ((0, ids[0]),)),)
    if wanted[-1] == 0:
        return first
    reads = tuple([(position - 1, ids[position]) for position in wanted if position > 0])
    return (*first, Query(ids[: wanted[-1]], reads))


def scored(wanted: Sequence[int], prefix: Prefix, start: int | None) -> Sequence[int]:
    """The wanted positions that `causal` answers: all, or all but the first token."""
    unconditional = prefix == "none" or start is None
    return wanted[1:] if unconditional and wanted and wanted[0] == 0 else wanted


def masked(ids: Ids, wanted: Sequence[int], mask: int) -> Plan:
    """Queries for log p(ids[i] | all other tokens), i in `wanted`: a masked copy for each."""
    return tuple(
        Query((*ids[:position], mask, *ids[position + 1 :]), ((position, ids[position]),))
        for position in wanted
    )


def revealed(ids: Ids, span: Sequence[int], mask: int) -> Plan:
    """Queries for a span that is revealed from left to right.

    For its token j the input is what stands before the span, the j tokens already revealed, a
    mask for token j, and what stands after the span; later tokens are absent, not masked.
    Source: StereoSet's published code (metrics.md 1.1), which does this on strings.
    """
    after = ids[span[-1] + 1 :] if span else ()
    return tuple(
        Query((*ids[:position], mask, *after), ((position, ids[position]),)) for position in span
    )


def with_likeliest(plan: Plan) -> Plan:
    """The plan, and after each query's answers the greatest at each position it reads."""
    return tuple(
        Query(query.ids, query.reads + tuple((position, LIKELIEST) for position, _ in query.reads))
        for query in plan
    )
