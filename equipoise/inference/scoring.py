"""Scoring: requests to queries, answered all at once by the engine, and put back in order."""

from collections.abc import Callable, Collection, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import Literal, TypeAlias

from equipoise.errors import ModelError, RequestError
from equipoise.inference import queries
from equipoise.inference.engine import read
from equipoise.inference.prompting import before_text, prompted
from equipoise.inference.rule_scoring import read_through_rule
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Ids, Marked, Tokens, adds_start
from equipoise.records import (
    Continuation,
    Infill,
    NextToken,
    NextTokenScored,
    Scored,
    ScoredPair,
    TextPair,
)


def score(model: LoadedModel, requests: Sequence[Continuation]) -> list[Scored]:
    """Log-probabilities of continuations; see `records.Continuation`.

    Context and continuation are tokenized together; a token that straddles their boundary belongs
    to the continuation. Without a start token, or with the policy "none", the first token of a
    text that has no context is not scored. A masked model gives the pseudo-log-likelihood: each
    token of the span masked in turn, all others visible.
    """
    prompt = the_prompt(model)
    whole = [(prompted(prompt, request.context), request.continuation) for request in requests]
    tokenized = queries.tokenize(
        model, (Marked(c + text, len(c), len(c) + len(text)) for c, text in whole)
    )
    plans: list[queries.Plan] = []
    positions: list[Sequence[int]] = []  # of each text, the tokens that are scored
    if model.kind == "masked":
        mask = mask_token_id(model, "a pseudo-log-likelihood")
        for tokens in tokenized:
            plans.append(queries.masked(tokens.ids, tokens.marked, mask))
            positions.append(tokens.marked)
    else:
        start = model.start_token_id
        uses_own = any(request.prefix == "own" for request in requests)
        added = uses_own and adds_start(model.tokenizer, start)
        for tokens, request in zip(tokenized, requests, strict=True):
            prefix = request.prefix
            if prefix == "own":
                # lm-evaluation-harness 0.4.13, `TemplateLM.loglikelihood`
                prefix = "bos" if added or not prompted(prompt, request.context) else "none"
            plans.append(queries.causal(tokens.ids, tokens.marked, prefix, start))
            positions.append(queries.scored(tokens.marked, prefix, start))
    plans_read = [
        queries.with_likeliest(plan) if request.greedy else plan
        for plan, request in zip(plans, requests, strict=True)
    ]
    rule = model.active_rule
    if rule is None:
        answers = read(model, plans_read, task="scoring")
    else:
        answers = read_through_rule(model, rule, plans_read, tokenized, task="scoring")
    scored: list[Scored] = []
    for request, plan, answer, tokens, places in zip(
        requests, plans, answers, tokenized, positions, strict=True
    ):
        logprobs, greedy = _split_likeliest(answer, plan) if request.greedy else (answer, None)
        scored.append(build_scored(logprobs, tokens, request.continuation, places, greedy=greedy))
    return scored


def infill(model: LoadedModel, requests: Sequence[Infill]) -> list[Scored]:
    """Log-probabilities of spans revealed from left to right; see `queries.revealed`."""
    mask = mask_token_id(model, "infill")
    prompt = before_text(the_prompt(model))
    size = len(prompt)
    tokenized = queries.tokenize(
        model,
        [
            Marked(prompt + request.text, size + request.start, size + request.end)
            for request in requests
        ],
    )
    plans = [queries.revealed(tokens.ids, tokens.marked, mask) for tokens in tokenized]
    answers = read(model, plans, task="filling in")
    return [
        build_scored(answer, tokens, request.text[request.start : request.end], tokens.marked)
        for answer, tokens, request in zip(answers, tokenized, requests, strict=True)
    ]


def next_token(model: LoadedModel, requests: Sequence[NextToken]) -> list[NextTokenScored]:
    """Log-probabilities of words after a context, from the logits at a position per token.

    All words of a request share the context's forward pass; a word of several tokens is the
    product over its tokens.
    """
    if model.kind == "masked":
        raise ModelError(
            f"the next token can be asked of a causal model; {model.identity} is masked: "
            "use a benchmark that fills in blanks"
        )
    return next_words(partial(score, model), requests)


def next_words(
    score: Callable[[Sequence[Continuation]], list[Scored]], requests: Sequence[NextToken]
) -> list[NextTokenScored]:
    """Log-probabilities of words, each scored as a continuation of its request's context."""
    owners = [index for index, request in enumerate(requests) for _ in request.words]
    continuations = [
        Continuation(context=request.context, continuation=word)
        for request in requests
        for word in request.words
    ]
    try:
        answers = iter(score(continuations))
    except RequestError as error:
        # it names a continuation, which the caller has not asked for
        raise RequestError(owners[error.number], error.sentence) from None
    scored: list[NextTokenScored] = []
    for request in requests:
        words = [next(answers) for _ in request.words]
        scored.append(
            NextTokenScored(
                logprobs=tuple(word.logprob for word in words),
                tokens=tuple(word.tokens for word in words),
            )
        )
    return scored


def the_prompt(model: LoadedModel) -> str:
    """The text that this model puts before, or around, every context (`prompting`).

    Raises `ModelError` when the model stands for a family of prompts.
    """
    if len(model.prompts) != 1:
        raise ModelError(
            f"a model to be scored must have a single prompt; {model.identity} has "
            f"{len(model.prompts)}: measure each of its variants()"
        )
    return model.prompts[0]


def mask_token_id(model: LoadedModel, what: str) -> int:
    """The mask token of a masked model; `ModelError` when the model has none."""
    mask = model.tokenizer.mask_token_id
    if model.kind != "masked" or mask is None:
        raise ModelError(
            f"{what} needs a masked model with a mask token; {model.identity} is {model.kind} "
            f"and its mask token is {mask}: use score, or a masked model"
        )
    return int(mask)


def _split_likeliest(answer: Sequence[float], plan: queries.Plan) -> tuple[list[float], bool]:
    """Each query's log-probabilities, and whether each is the greatest in its place."""
    logprobs: list[float] = []
    greedy, done = True, 0
    for query in plan:
        size = len(query.reads)
        values, likeliest = answer[done : done + size], answer[done + size : done + 2 * size]
        greedy &= all(value >= most for value, most in zip(values, likeliest, strict=True))
        logprobs += values
        done += 2 * size
    return logprobs, greedy


def build_scored(
    logprobs: Sequence[float],
    tokens: Tokens,
    text: str,
    positions: Sequence[int],
    *,
    greedy: bool | None = None,
) -> Scored:
    """The response for a span; its bytes are those of the text unless a token was left out."""
    whole = len(positions) == len(tokens.marked)
    size = len(text.encode()) if whole else tokens.bytes_of(positions)
    return Scored(token_logprobs=tuple(logprobs), bytes=size, greedy=greedy)


Positions: TypeAlias = tuple[int, ...]
Choice: TypeAlias = Literal["unmodified", "modified", "unmodified_after"]


def score_pairs(model: LoadedModel, requests: Sequence[TextPair]) -> list[ScoredPair]:
    """Log-probabilities of the chosen tokens of both texts of each pair; see `records.TextPair`.

    Special tokens and the model's prompt are never scored. View "left" conditions every token on
    the start token and what stands before it (policy "bos"). View "both" masks the scored tokens
    one at a time; the masked copies, being of like length, share batches.
    Raises `RequestError` when the view is not that of the model's kind.
    """
    masked = model.kind == "masked"
    _check_views(model, requests)
    prompt = before_text(the_prompt(model))
    texts = [
        Marked(prompt + text, len(prompt), len(prompt + text))
        for request in requests
        for text in (request.first, request.second)
    ]
    tokenized = queries.tokenize(model, texts)
    start = None if masked else model.start_token_id
    mask = mask_token_id(model, "a pair of texts") if masked else 0
    # special tokens cannot be scored, and without a start token neither can a first token
    scorable = [
        set(tokens.marked if masked else queries.scored(tokens.marked, "bos", start))
        for tokens in tokenized
    ]
    positions: list[Positions] = []
    for index, request in enumerate(requests):
        first, second = 2 * index, 2 * index + 1
        positions += scorable_difference(
            (tokenized[first].ids, tokenized[second].ids),
            request.tokens,
            (scorable[first], scorable[second]),
        )
    plans = [
        queries.masked(tokens.ids, wanted, mask)
        if masked
        else queries.causal(tokens.ids, wanted, "bos", start)
        for tokens, wanted in zip(tokenized, positions, strict=True)
    ]
    rule, task = model.active_rule, "scoring pairs"
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


def scorable_difference(
    ids: tuple[Ids, Ids], choice: Choice, scorable: tuple[Collection[int], Collection[int]]
) -> list[Positions]:
    """`difference` without the positions that cannot be scored.

    A shared token is left out of both texts where it cannot be scored in either.
    """
    sides = difference(*ids, choice)
    if choice == "modified":
        return [
            tuple(position for position in side if position in able)
            for side, able in zip(sides, scorable, strict=True)
        ]
    pairs = [
        pair
        for pair in zip(*sides, strict=True)
        if pair[0] in scorable[0] and pair[1] in scorable[1]
    ]
    return [tuple(pair[side] for pair in pairs) for side in (0, 1)]


def _check_views(model: LoadedModel, requests: Sequence[TextPair]) -> None:
    view = "both" if model.kind == "masked" else "left"
    for index, request in enumerate(requests):
        if request.view != view:
            needed = "masked" if request.view == "both" else "causal"
            raise RequestError(
                index,
                f"needs a {needed} model, {model.identity} is {model.kind}; choose a score "
                f"for {model.kind} models",
            )
