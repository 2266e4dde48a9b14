"""Two near-identical texts, scored on the tokens that they share or on those that differ."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.inference.engine import read
from equipoise.inference.rule_scoring import read_through_rule
from equipoise.inference.scoring import mask_token_id, the_prompt
from equipoise.models.loaded_model import LoadedModel, active_rule
from equipoise.models.start_token import start_token_id
from equipoise.models.tokenization import Ids, Marked
from equipoise.records import Scored, ScoredPair, TextPair

Positions: TypeAlias = tuple[int, ...]
Choice: TypeAlias = Literal["unmodified", "modified", "unmodified_after"]


def score_pairs(model: LoadedModel, requests: Sequence[TextPair]) -> list[ScoredPair]:
    """Log-probabilities of the chosen tokens of both texts of each pair; see `records.TextPair`.

    Special tokens and the model's prompt are never scored. View "left" conditions every token on
    the start token and what stands before it (policy "bos"). View "both" masks the scored tokens
    one at a time; the masked copies, being of like length, share batches.
    Raises `RequestError` when the view is not one that the model's kind has.
    """
    masked = model.kind == "masked"
    _check_views(model, requests)
    prompt = the_prompt(model)
    texts = [
        Marked(prompt + text, len(prompt), len(prompt + text))
        for request in requests
        for text in (request.first, request.second)
    ]
    tokenized = queries.tokenize(model, texts)
    start = None if masked else start_token_id(model.tokenizer)
    mask = mask_token_id(model, "a pair of texts") if masked else 0
    # special tokens cannot be scored, and without a start token neither can a first token
    scorable = [
        set(tokens.marked if masked else queries.scored(tokens.marked, "bos", start))
        for tokens in tokenized
    ]
    positions: list[Positions] = []
    for index, request in enumerate(requests):
        first, second = 2 * index, 2 * index + 1
        sides = difference(tokenized[first].ids, tokenized[second].ids, request.tokens)
        if request.tokens == "modified":
            positions += [
                tuple(position for position in side if position in scorable[text])
                for side, text in zip(sides, (first, second), strict=True)
            ]
        else:
            pairs = [
                (left, right)
                for left, right in zip(*sides, strict=True)
                if left in scorable[first] and right in scorable[second]
            ]
            positions += [tuple(pair[side] for pair in pairs) for side in (0, 1)]
    plans = [
        queries.masked(tokens.ids, wanted, mask)
        if masked
        else queries.causal(tokens.ids, wanted, "bos", start)
        for tokens, wanted in zip(tokenized, positions, strict=True)
    ]
    rule, task = active_rule(model), "scoring pairs"
    if rule is None:
        answers = read(model, plans, task=task, texts_per_request=2)
    else:
        answers = read_through_rule(model, rule, plans, tokenized, task=task, texts_per_request=2)
    scored = [
        Scored(token_logprobs=tuple(answer), bytes=tokens.bytes_of(wanted))
        for answer, tokens, wanted in zip(answers, tokenized, positions, strict=True)
    ]
    return [
        ScoredPair(first=first, second=second)
        for first, second in zip(scored[::2], scored[1::2], strict=True)
    ]


def difference(first: Ids, second: Ids, choice: Choice) -> list[Positions]:
    """Positions of the chosen tokens, [in the first text, in the second].

    Equal tokens are those of `difflib`'s matching blocks over token ids, with its heuristic for
    frequent elements off; in both texts there are equally many, in the same order.
    "unmodified_after" are the equal tokens to the right of the texts' common prefix.
    Source: CrowS-Pairs' metric.py (metrics.md 2.1), which leaves the heuristic on; that changes
    texts of 200 tokens or more only.
    """
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    equal = [(block.a + index, block.b + index) for block in blocks for index in range(block.size)]
    if choice == "modified":
        sides = [{pair[side] for pair in equal} for side in (0, 1)]
        return [
            tuple(index for index in range(len(ids)) if index not in side)
            for ids, side in zip((first, second), sides, strict=True)
        ]
    if choice == "unmodified_after":
        pairs = zip(first, second, strict=False)
        shared = next(
            (index for index, (left, right) in enumerate(pairs) if left != right),
            min(len(first), len(second)),
        )
        equal = [pair for pair in equal if min(pair) >= shared]
    return [tuple(pair[side] for pair in equal) for side in (0, 1)]


def _check_views(model: LoadedModel, requests: Sequence[TextPair]) -> None:
    view = "both" if model.kind == "masked" else "left"
    for index, request in enumerate(requests):
        if request.view != view:
            needed = "masked" if request.view == "both" else "causal"
            raise RequestError(
                index,
                f"needs a {needed} model, {model.identity} is a {model.kind} one; choose a score "
                f"for {model.kind} models",
            )
