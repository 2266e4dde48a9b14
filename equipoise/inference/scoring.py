"""Scoring: requests to queries (`queries`), answered all at once (`reading`), put back in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.errors import ModelError, RequestError
from equipoise.inference import queries
from equipoise.inference.engine import read
from equipoise.inference.rule_scoring import read_texts
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.start_token import settled, start_token_id
from equipoise.models.tokenization import Marked, Tokens, encode
from equipoise.records import Continuation, Infill, NextToken, NextTokenScored, Scored


def score(model: LoadedModel, requests: Sequence[Continuation]) -> list[Scored]:
    """Log-probabilities of continuations; see `records.Continuation`.

    Context and continuation are tokenized together; a token that straddles their boundary belongs
    to the continuation. Without a start token, or with the policy "none", the first token of a
    text that has no context is not scored.
    """
    opening = the_prompt(model)
    texts = [
        Marked(
            opening + request.context + request.continuation,
            len(opening + request.context),
            len(opening + request.context + request.continuation),
        )
        for request in requests
    ]
    if model.kind == "masked":
        return _score_masked(model, texts, requests)
    start = start_token_id(model.tokenizer)
    coded = [
        queries.without_start(one, start) for one in encode(model.tokenizer, texts, specials=False)
    ]
    rules = [
        settled(request.prefix, model.tokenizer, context=opening + request.context, start=start)
        for request in requests
    ]
    plans = [
        queries.causal(tokens.ids, tokens.marked, rule, start)
        for tokens, rule in zip(coded, rules, strict=True)
    ]
    answers = _read(model, plans, requests, coded)
    return [
        _scored(answer, tokens, request.continuation, queries.scored(tokens.marked, rule, start))
        for answer, tokens, request, rule in zip(answers, coded, requests, rules, strict=True)
    ]


def infill(model: LoadedModel, requests: Sequence[Infill]) -> list[Scored]:
    """Log-probabilities of spans told from left to right; see `queries.revealed`."""
    mask = mask_token_id(model, "infill")
    opening = the_prompt(model)
    texts = [
        Marked(opening + request.text, len(opening) + request.start, len(opening) + request.end)
        for request in requests
    ]
    coded = encode(model.tokenizer, texts, specials=True)
    plans = [queries.revealed(tokens.ids, tokens.marked, mask) for tokens in coded]
    answers = read(model, plans, task="filling in")
    return [
        _scored(_Answer(answer), tokens, request.text[request.start : request.end], tokens.marked)
        for answer, tokens, request in zip(answers, coded, requests, strict=True)
    ]


def next_token(model: LoadedModel, requests: Sequence[NextToken]) -> list[NextTokenScored]:
    """Log-probabilities of words after a context, from logits at one position a token.

    All words of a request share the context's forward pass; a word of several tokens is the
    product over its tokens.
    """
    if model.kind == "masked":
        raise ModelError(
            f"the next token can be asked of a causal model; {model.identity} is a masked one: "
            "use a benchmark that fills in blanks"
        )
    asked = [
        (number, Continuation(context=request.context, continuation=word))
        for number, request in enumerate(requests)
        for word in request.words
    ]
    try:
        answers = iter(score(model, [one for _, one in asked]))
    except RequestError as error:
        raise RequestError(asked[error.number][0], error.sentence) from None
    found = []
    for request in requests:
        words = [next(answers) for _ in request.words]
        found.append(
            NextTokenScored(
                logprobs=tuple(word.logprob for word in words),
                tokens=tuple(word.tokens for word in words),
            )
        )
    return found


def the_prompt(model: LoadedModel) -> str:
    """The text that this model puts before every context.

    Raises `ModelError` when the model stands for a family of prompts.
    """
    if len(model.prompts) != 1:
        raise ModelError(
            f"a model to be scored must have one prompt; {model.identity} has "
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


def _score_masked(
    model: LoadedModel, texts: Sequence[Marked], requests: Sequence[Continuation]
) -> list[Scored]:
    """Pseudo-log-likelihood: each token of the span masked in turn, all others visible."""
    mask = mask_token_id(model, "a pseudo-log-likelihood")
    coded = encode(model.tokenizer, texts, specials=True)
    plans = [queries.masked(tokens.ids, tokens.marked, mask) for tokens in coded]
    answers = _read(model, plans, requests)
    return [
        _scored(answer, tokens, text.text[text.start : text.end], tokens.marked)
        for answer, tokens, text in zip(answers, coded, texts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Log-probabilities of one request's tokens, and whether each is the likeliest, if asked."""

    logprobs: Sequence[float]
    greedy: bool | None = None


def _read(
    model: LoadedModel,
    plans: Sequence[queries.Plan],
    requests: Sequence[Continuation],
    coded: Sequence[Tokens] | None = None,
) -> list[_Answer]:
    """What the plans ask for, and the likeliest beside it where a request asks for that.

    `coded`: the texts, of a causal model, whose decoding rule then applies.
    """
    asked = [
        queries.with_likeliest(plan) if request.greedy else plan
        for plan, request in zip(plans, requests, strict=True)
    ]
    if coded is None:
        answers = read(model, asked, task="scoring")
    else:
        answers = read_texts(model, asked, coded, task="scoring")
    return [
        _judged(answer, plan) if request.greedy else _Answer(answer)
        for answer, plan, request in zip(answers, plans, requests, strict=True)
    ]


def _judged(answer: Sequence[float], plan: queries.Plan) -> _Answer:
    """Each query's own answers, compared with the likeliest that follow them."""
    logprobs: list[float] = []
    greedy, done = True, 0
    for query in plan:
        size = len(query.reads)
        own, likeliest = answer[done : done + size], answer[done + size : done + 2 * size]
        greedy &= all(one >= most for one, most in zip(own, likeliest, strict=True))
        logprobs += own
        done += 2 * size
    return _Answer(logprobs, greedy)


def _scored(answer: _Answer, tokens: Tokens, text: str, positions: Sequence[int]) -> Scored:
    """The response for a span; its bytes are those of the text unless a token was left out."""
    whole = len(positions) == len(tokens.marked)
    size = len(text.encode()) if whole else tokens.bytes_of(positions)
    return Scored(token_logprobs=tuple(answer.logprobs), bytes=size, greedy=answer.greedy)
