"""Two near-identical texts, scored on the tokens that they share or on those that differ."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.inference.engine import read
from equipoise.inference.queries import Plan
from equipoise.inference.rule_scoring import read_texts
from equipoise.inference.scoring import mask_token_id, the_prompt
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.start_token import start_token_id
from equipoise.models.tokenization import Marked, Tokens, encode
from equipoise.records import Scored, ScoredPair, TextPair

Positions: TypeAlias = tuple[int, ...]
Chosen: TypeAlias = Literal["unmodified", "modified", "unmodified_after"]


def score_pairs(model: LoadedModel, requests: Sequence[TextPair]) -> list[ScoredPair]:
    """Log-probabilities of the chosen tokens of both texts of each pair; see `records.TextPair`.

    Special tokens and the model's prompt are never scored. View "left" conditions every token on
    the start token and what stands before it (policy "bos"). View "both" masks the scored tokens
    one at a time; the masked copies, being of like length, go through the model side by side.
    Raises `RequestError` when the view is not one that the model's kind has.
    """
    _check_views(model, requests)
    opening = the_prompt(model)
    texts = [
        Marked(opening + text, len(opening), len(opening + text))
        for request in requests
        for text in (request.first, request.second)
    ]
    coded = _encoded(model, texts)
    kept = [
        positions
        for index, request in enumerate(requests)
        for positions in _chosen(model, coded[2 * index], coded[2 * index + 1], request.tokens)
    ]
    plans = [_plan(model, tokens, wanted) for tokens, wanted in zip(coded, kept, strict=True)]
    if model.kind == "masked":
        answers = read(model, plans, task="scoring pairs", texts_per_request=2)
    else:
        answers = read_texts(model, plans, coded, task="scoring pairs", texts_per_request=2)
    scored = [
        Scored(token_logprobs=tuple(answer), bytes=tokens.bytes_of(wanted))
        for answer, tokens, wanted in zip(answers, coded, kept, strict=True)
    ]
    return [
        ScoredPair(first=first, second=second)
        for first, second in zip(scored[::2], scored[1::2], strict=True)
    ]


def difference(first: Sequence[int], second: Sequence[int], chosen: Chosen) -> list[Positions]:
    """Positions of the chosen tokens, [in the first text, in the second].

    Equal tokens are those of `difflib`'s matching blocks over token ids, with its heuristic for
    frequent elements off; in both texts there are equally many, in the same order.
    "unmodified_after" are the equal tokens to the right of the texts' common beginning.
    Source: CrowS-Pairs' metric.py (metrics.md 2.1), which leaves the heuristic on; that changes
    texts of 200 tokens or more only.
    """
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    equal = [(block.a + index, block.b + index) for block in blocks for index in range(block.size)]
    sides = [{pair[side] for pair in equal} for side in (0, 1)]
    if chosen == "modified":
        return [
            tuple(index for index in range(len(ids)) if index not in side)
            for ids, side in zip((first, second), sides, strict=True)
        ]
    if chosen == "unmodified_after":
        pairs = zip(first, second, strict=False)
        same = next(
            (index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second))
        )
        equal = [pair for pair in equal if min(pair) >= same]
    return [tuple(pair[side] for pair in equal) for side in (0, 1)]


def _check_views(model: LoadedModel, requests: Sequence[TextPair]) -> None:
    view = "both" if model.kind == "masked" else "left"
    for number, request in enumerate(requests):
        if request.view != view:
            needed = "masked" if request.view == "both" else "causal"
            raise RequestError(
                number,
                f"needs a {needed} model, {model.identity} is a {model.kind} one; choose a score "
                f"for {model.kind} models",
            )


def _encoded(model: LoadedModel, texts: Sequence[Marked]) -> list[Tokens]:
    if model.kind == "masked":
        return encode(model.tokenizer, texts, specials=True)
    start = start_token_id(model.tokenizer)
    coded = encode(model.tokenizer, texts, specials=False)
    return [queries.without_start(one, start) for one in coded]


def _chosen(model: LoadedModel, first: Tokens, second: Tokens, chosen: Chosen) -> list[Positions]:
    """The positions to score in each text: of the text itself, and answerable in both."""
    sides = difference(first.ids, second.ids, chosen)
    allowed = [set(_answerable(model, tokens)) for tokens in (first, second)]
    if chosen == "modified":
        return [
            tuple(at for at in side if at in may) for side, may in zip(sides, allowed, strict=True)
        ]
    pairs = [(a, b) for a, b in zip(*sides, strict=True) if a in allowed[0] and b in allowed[1]]
    return [tuple(pair[side] for pair in pairs) for side in (0, 1)]


def _answerable(model: LoadedModel, tokens: Tokens) -> Positions:
    if model.kind == "masked":
        return tokens.marked
    return queries.scored(tokens.marked, "bos", start_token_id(model.tokenizer))


def _plan(model: LoadedModel, tokens: Tokens, wanted: Positions) -> Plan:
    if model.kind == "masked":
        return queries.masked(tokens.ids, wanted, mask_token_id(model, "a pair of texts"))
    return queries.causal(tokens.ids, wanted, "bos", start_token_id(model.tokenizer))
