"""Reading causal texts, through the model's decoding rule if it has one.

With a decoding rule every place needs K + 1 whole distributions at once. What goes into the output
layer is therefore kept for each context (a few hundred numbers in place of a vocabulary), all
contexts share rows as in plain reading, and the output layer is applied to a few places at a time.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.inference.engine import (
    Asked,
    at_full_speed,
    check_finite,
    check_lengths,
    read,
    run_texts,
)
from equipoise.inference.forward import hidden_at, logits_at
from equipoise.inference.queries import LIKELIEST, Plan, Query, Read, without_start
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.start_token import start_token_id
from equipoise.models.tokenization import Ids, Marked, Tokens, encode

#: Contexts whose distributions become one: the text's own first, start tokens included.
Family: TypeAlias = tuple[Ids, ...]

_KEPT = 2**26  # elements of what goes into the output layer, kept at a time
_LOGITS = 2**25  # elements of logits at a time, all contexts together
_CHUNK = 2**20  # of log-probabilities


def read_texts(
    model: LoadedModel,
    plans: Sequence[Plan],
    texts: Sequence[Tokens],
    *,
    task: str,
    texts_per_request: int = 1,
) -> list[list[float]]:
    """Log-probabilities (nats) that each plan asks for of its text, through the decoding rule.

    Each plan is `queries.causal`'s of the text of the same number, which has no start token.
    Texts of which nothing is adjusted are answered as without a decoding rule.
    Raises `ModelError` as `reading.read` does, with the longest of all contexts.
    """
    decoding_rule = model.decoding_rule
    if decoding_rule is None or decoding_rule.neutral:
        return read(model, plans, task=task, texts_per_request=texts_per_request)
    plain: list[Plan] = list(plans)
    works: list[_Work] = []
    for number, (plan, tokens) in enumerate(zip(plans, texts, strict=True)):
        families = _families(model, decoding_rule, plan, tokens)
        if any(others for _, others in families):
            works.append(_Work(number, plan, families))
            plain[number] = ()
    _check_all_lengths(model, works, len(plans), texts_per_request)
    found = read(model, plain, task=task, texts_per_request=texts_per_request)
    for part in _parts(works, _width(model)):
        answers = _answered(model, decoding_rule, part, task=task, together=True)
        for work, values in zip(part, answers, strict=True):
            if not all(map(math.isfinite, values)):
                # as in `reading.read`: a nan passes into other texts of the same row
                (values,) = _answered(model, decoding_rule, [work], task=task, together=False)
                check_finite(values, work.number // texts_per_request)
            found[work.number] = values
    return found


def next_distributions(
    model: LoadedModel, contexts: Sequence[str]
) -> Float[Tensor, "context token"]:
    """Log-probabilities (nats) of every token directly after each context, in float32.

    What `score` reads from, whole; the start token stands before each context.
    """
    start = start_token_id(model.tokenizer)
    front: Ids = () if start is None else (start,)
    rows: list[Tensor] = []
    marks = [Marked(context, 0, 0) for context in contexts]
    for coded in encode(model.tokenizer, marks, specials=False):
        tokens = without_start(coded, start)
        mixed: tuple[Context, ...] = ()
        if model.decoding_rule is not None and not model.decoding_rule.neutral:
            (mixed,) = model.decoding_rule.contexts(model.tokenizer, tokens, [len(tokens.ids)])
        family = tuple(front + ids[:count] for ids, count in mixed) or (front + tokens.ids,)
        with at_full_speed(model.module):
            slots = {fromkey: index for index, fromkey in enumerate(dict.fromkeys(family))}
            states = _states(model, slots, list(slots), task="reading", together=True)
            chosen = torch.tensor([[slots[one]] for one in family])
            logits = states.logits(model.module, chosen.flatten())
            rows.append(adjusted_rows(model.decoding_rule, logits[:, None])[0])
    return torch.stack(rows)


def adjusted_rows(
    decoding_rule: DecodingRule | None, logits: Float[Tensor, "row place token"]
) -> Float[Tensor, "place token"]:
    """Log-probabilities from the logits of all rows; of row 0 alone where there is no other."""
    logprobs = (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)
    if decoding_rule is None or len(logprobs) == 1:
        return logprobs[0]
    return decoding_rule.adjusted(logprobs)


@dataclass(frozen=True, slots=True)
class _Work:
    """One text of which something is adjusted."""

    number: int
    plan: Plan
    families: list[tuple[Context, tuple[Context, ...]]]  # of each read: own context, the others

    @property
    def reads(self) -> Iterator[tuple[int, Family]]:
        """Each token asked for and the contexts it is read after."""
        tokens = (token for query in self.plan for _, token in query.reads)
        for token, (own, others) in zip(tokens, self.families, strict=True):
            yield token, tuple(ids[:count] for ids, count in (own, *others))

    @property
    def contexts(self) -> int:
        """How many contexts it reads after, at most."""
        return sum(1 + len(others) for _, others in self.families)


def _families(
    model: LoadedModel, decoding_rule: DecodingRule, plan: Plan, tokens: Tokens
) -> list[tuple[Context, tuple[Context, ...]]]:
    """For each read of a plan its own context and the others, start tokens included."""
    start = start_token_id(model.tokenizer)
    found: list[tuple[Context, tuple[Context, ...]]] = []
    for query in plan:
        led = query.ids[:1] == (start,) and query.ids != tokens.ids[: len(query.ids)]
        front = query.ids[:1] if led else ()
        counts = [at + 1 - len(front) for at, _ in query.reads]
        for (at, _), mixed in zip(
            query.reads, _in_order(model, decoding_rule, tokens, counts), strict=True
        ):
            led_in = [(front + ids, len(front) + count) for ids, count in mixed]
            own, *others = led_in or [(query.ids, at + 1)]
            found.append((own, tuple(others)))
    return found


def _in_order(
    model: LoadedModel, decoding_rule: DecodingRule, tokens: Tokens, counts: Sequence[int]
) -> list[tuple[Context, ...]]:
    """The contexts after counts in any order, each asked for once."""
    distinct = sorted(set(counts))
    found = decoding_rule.contexts(model.tokenizer, tokens, distinct)
    by_count = dict(zip(distinct, found, strict=True))
    return [by_count[count] for count in counts]


def _check_all_lengths(
    model: LoadedModel, works: Sequence[_Work], texts: int, per_request: int
) -> None:
    plans: list[Plan] = [()] * texts
    for work in works:
        contexts = (one for own, others in work.families for one in (own, *others))
        longest = max(contexts, key=lambda one: one[1])
        plans[work.number] = (Query(longest[0][: longest[1]], ()),)
    check_lengths(model, plans, per_request)


def _parts(works: Sequence[_Work], width: int) -> Iterator[list[_Work]]:
    """Texts whose states are kept together: as many as fit, at least one."""
    part: list[_Work] = []
    size = 0
    for work in works:
        needed = work.contexts * width
        if part and size + needed > _KEPT:
            yield part
            part, size = [], 0
        part.append(work)
        size += needed
    if part:
        yield part


def _width(model: LoadedModel) -> int:
    return int(model.module.config.get_text_config().hidden_size)


def _answered(
    model: LoadedModel,
    decoding_rule: DecodingRule,
    works: Sequence[_Work],
    *,
    task: str,
    together: bool,
) -> list[list[float]]:
    """The answers of each text; equal contexts are computed once."""
    wanted: dict[Family, dict[int, int]] = {}  # contexts to tokens, and the slot of each answer
    slots: list[list[int]] = []
    count = 0
    for work in works:
        own: list[int] = []
        for token, family in work.reads:
            known = wanted.setdefault(family, {})
            if token not in known:
                known[token] = count
                count += 1
            own.append(known[token])
        slots.append(own)
    places = {
        fromkey: index for index, fromkey in enumerate(dict.fromkeys(c for f in wanted for c in f))
    }
    texts = _longest(works)
    answers = torch.full((count,), math.nan, dtype=torch.float64)
    with at_full_speed(model.module):
        states = _states(model, places, texts, task=task, together=together)
        for size in sorted({len(one) for one in wanted}):
            some = {one: tokens for one, tokens in wanted.items() if len(one) == size}
            _combine(model, decoding_rule, states, places, some, answers)
    values = answers.tolist()
    return [[values[slot] for slot in own] for own in slots]


def _longest(works: Sequence[_Work]) -> list[Ids]:
    """Every row that is run: each row's contexts are beginnings of it."""
    lengths: dict[Ids, int] = {}
    for work in works:
        for own, others in work.families:
            for ids, count in (own, *others):
                lengths[ids] = max(lengths.get(ids, 0), count)
    return list(dict.fromkeys(ids[:count] for ids, count in lengths.items()))


def _states(
    model: LoadedModel,
    places: Mapping[Ids, int],
    texts: Sequence[Ids],
    *,
    task: str,
    together: bool,
) -> "_States":
    """The model's state after each context; each context is a beginning of some text."""
    missing = dict(places)
    kept: list[Ids] = []
    reads: list[dict[Read, int]] = []
    for ids in texts:
        own: dict[Read, int] = {}
        for length in range(1, len(ids) + 1):
            slot = missing.pop(ids[:length], None)
            if slot is not None:
                own[length - 1, 0] = slot
        if own:
            kept.append(ids)
            reads.append(own)
    states = _States()

    def take(asked: Asked) -> None:
        states.are_logits = not asked.layout.gather
        of = logits_at if states.are_logits else hidden_at
        found = of(model.module, asked.rows, asked.places, asked.layout)
        if states.values is None:
            states.values = found.new_empty(len(places), found.shape[1])
        slots, chosen = (
            torch.tensor(one, device=found.device) for one in (asked.slots, asked.chosen)
        )
        states.values[slots] = found[chosen]

    run_texts(model, kept, reads, take=take, task=task, together=together)
    return states


@dataclass(slots=True)
class _States:
    """What goes into the output layer after each context, filled pass by pass.

    Of a module whose output layer cannot be asked by itself: the logits.
    """

    values: Float[Tensor, "context width"] | None = None
    are_logits: bool = False

    def logits(
        self, module: PreTrainedModel, chosen: Int[Tensor, " row"]
    ) -> Float[Tensor, "row token"]:
        """Logits after the chosen contexts, by the module's own code (soft caps, scales)."""
        if self.values is None:
            raise TypeError(f"states must have been run before they are read, got {self.values}")
        rows = self.values[chosen.to(self.values.device)]
        return rows if self.are_logits else _head(module, rows)


def _head(
    module: PreTrainedModel, states: Float[Tensor, "row width"]
) -> Float[Tensor, "row token"]:
    """The module run on one token, its output layer on these states in place of that token's."""

    def put(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (states[None].to(inputs[0].device), *inputs[1:])

    handle = module.get_output_embeddings().register_forward_pre_hook(put)
    try:
        token = torch.zeros(1, 1, dtype=torch.long, device=module.device)
        found: Tensor = module(input_ids=token, use_cache=False).logits  # [1, row, token]
    finally:
        handle.remove()
    return found[0]


def _combine(
    model: LoadedModel,
    decoding_rule: DecodingRule,
    states: _States,
    places: Mapping[Ids, int],
    wanted: Mapping[Family, Mapping[int, int]],
    answers: Float[Tensor, " answer"],
) -> None:
    """Answers of the families of one size, a few at a time, written to their slots."""
    families = list(wanted)
    rows = len(families[0])
    vocabulary = int(model.module.config.get_text_config().vocab_size)
    for some in _split(families, max(1, _LOGITS // (vocabulary * rows))):
        chosen = torch.tensor([[places[one] for one in family] for family in some])
        logits = states.logits(model.module, chosen.T.flatten())
        by_row = logits.view(rows, len(some), -1)
        step = max(1, _CHUNK // (vocabulary * rows))
        for part, few in zip(torch.split(by_row, step, dim=1), _split(some, step), strict=True):
            _look_up(adjusted_rows(decoding_rule, part), [wanted[one] for one in few], answers)


def _look_up(
    logprobs: Float[Tensor, "place token"],
    wanted: Sequence[Mapping[int, int]],
    answers: Float[Tensor, " answer"],
) -> None:
    asked = [
        (index, token, slot) for index, one in enumerate(wanted) for token, slot in one.items()
    ]
    at, tokens, slots = (torch.tensor(one) for one in zip(*asked, strict=True))
    at, tokens = at.to(logprobs.device), tokens.to(logprobs.device)
    # LIKELIEST reads the last column at first
    found = torch.where(tokens == LIKELIEST, logprobs.amax(-1)[at], logprobs[at, tokens])
    answers[slots] = found.cpu().double()


def _split(families: Sequence[Family], size: int) -> Iterable[Sequence[Family]]:
    return (families[index : index + size] for index in range(0, len(families), size))
