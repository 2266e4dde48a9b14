"""What is asked of the network: token ids in, and positions at which a token's probability is read.

Every kind of request becomes queries here, and every query is answered by `reading.read`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from equipoise.models.tokenization import Tokens
from equipoise.records import Prefix

Read: TypeAlias = tuple[int, int]  # position in the ids, token whose log-probability is wanted


@dataclass(frozen=True, slots=True)
class Query:
    """One forward pass: the ids that are fed and what is read from its logits."""

    ids: tuple[int, ...]
    reads: tuple[Read, ...]


Plan: TypeAlias = tuple[Query, ...]  # of one request; its answers follow one another

#: In place of a token: the greatest log-probability of any token there.
LIKELIEST = -1


def causal(tokens: Sequence[int], wanted: Sequence[int], prefix: Prefix, start: int | None) -> Plan:
    """Queries for log p(tokens[i] | everything before it), i in `wanted` (ascending).

    `start` is the start token; without one every prefix policy is "none", under which the first
    token has no condition and is left out (`scored`). Nothing after the last wanted token is fed.
    Source: metrics.md section 0.
    """
    if prefix == "bos" and start is not None:
        return _query((start, *tokens), [(at, tokens[at]) for at in wanted])
    first: Plan = ()
    if prefix == "ref_gpt2" and start is not None and 0 in wanted:
        first = (Query((start,), ((0, tokens[0]),)),)
    return first + _query(tuple(tokens), [(at - 1, tokens[at]) for at in wanted if at > 0])


def scored(wanted: Sequence[int], prefix: Prefix, start: int | None) -> tuple[int, ...]:
    """Those of the wanted positions that `causal` answers: all, or all but the first token."""
    unconditional = prefix == "none" or start is None
    return tuple(at for at in wanted if at > 0 or not unconditional)


def masked(tokens: Sequence[int], wanted: Sequence[int], mask: int) -> Plan:
    """Queries for log p(tokens[i] | all other tokens), i in `wanted`: one masked copy for each."""
    return tuple(
        Query((*tokens[:at], mask, *tokens[at + 1 :]), ((at, tokens[at]),)) for at in wanted
    )


def revealed(tokens: Sequence[int], span: Sequence[int], mask: int) -> Plan:
    """Queries for a span told from left to right.

    For its token j the input is what stands before the span, the j tokens already told, one mask
    for token j, and what stands after the span; the tokens still to come are not there, not even
    as masks.
    Source: StereoSet's published code (metrics.md 1.1), which does this on strings.
    """
    if not span:
        return ()
    after = tuple(tokens[span[-1] + 1 :])
    return tuple(Query((*tokens[:at], mask, *after), ((at, tokens[at]),)) for at in span)


def with_likeliest(plan: Plan) -> Plan:
    """The plan, and after each of its queries' answers the greatest one at each place read."""
    return tuple(
        Query(one.ids, one.reads + tuple((at, LIKELIEST) for at, _ in one.reads)) for one in plan
    )


def without_start(tokens: Tokens, start: int | None) -> Tokens:
    """The tokens without a start token that the tokenizer put in front: it is never twice."""
    if start is None or not tokens.ids or tokens.ids[0] != start:
        return tokens
    return Tokens(tokens.text, tokens.ids[1:], tokens.spans[1:], tokens.inside[1:])


def _query(ids: tuple[int, ...], reads: list[Read]) -> Plan:
    if not reads:
        return ()
    return (Query(ids[: reads[-1][0] + 1], tuple(reads)),)
