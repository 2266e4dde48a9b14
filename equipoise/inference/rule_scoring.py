"""Reading causal texts through the model's decoding rule.

With a rule every position needs K + 1 whole distributions at once. What goes into the output layer
is therefore kept for each context (a few hundred numbers instead of a vocabulary), all contexts
share rows as in plain reading, and the output layer is applied to a few positions at a time.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.inference.engine import check_finite, check_lengths, forward_passes, read
from equipoise.inference.forward import at_full_speed, hidden_at, logits_at
from equipoise.inference.queries import LIKELIEST, Plan, Query, Read
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Ids, Tokens
from equipoise.processes.together import merge, own_share

#: Contexts whose distributions are combined: the text's own first, start tokens included.
Family: TypeAlias = tuple[Ids, ...]

_STATES = 2**26  # elements of what goes into the output layer, kept at a time
_LOGITS = 2**25  # elements of logits at a time, all contexts together
_CHUNK = 2**20  # of log-probabilities


def read_through_rule(
    model: LoadedModel,
    rule: DecodingRule,
    plans: Sequence[Plan],
    texts: Sequence[Tokens],
    *,
    task: str,
    texts_per_request: int = 1,
) -> list[list[float]]:
    """Log-probabilities (nats) that each plan asks for of its text, through the rule.

    Each plan is that of `queries.causal` for the text at the same index, which has no start token.
    Texts to which the rule does not apply are answered as without it.
    Raises `ModelError` as `engine.read` does, with the longest of all contexts.
    """
    plain: list[Plan] = list(plans)
    start = model.start_token_id
    works: list[_Work] = []
    for index, (plan, tokens) in enumerate(zip(plans, texts, strict=True)):
        families = _families(model, rule, plan, tokens, start=start)
        if families and (rule.reweights or any(others for _, others in families)):
            works.append(_Work(index, plan, families))
            plain[index] = ()
    longest: list[Plan] = [()] * len(plans)
    for work in works:
        ids, count = max(work.contexts, key=lambda context: context[1])
        longest[work.index] = (Query(ids[:count], ()),)
    check_lengths(model, longest, texts_per_request)
    answers = read(model, plain, task=task, texts_per_request=texts_per_request)
    if model.rehearsing:
        works = []
        answers = [[0.0 for query in plan for _ in query.reads] for plan in plans]
    read_here: dict[int, list[float]] = {}
    works = [works[index] for index in own_share([len(work.contexts) for work in works])]
    for part in _split_works(works, model.module.config.get_text_config().hidden_size):
        part_answers = _answer(model, rule, part, task=task, share_rows=True)
        for work, values in zip(part, part_answers, strict=True):
            if not all(map(math.isfinite, values)):
                # as in `engine.read`: a nan passes into other texts of the same row
                (values,) = _answer(model, rule, [work], task=task, share_rows=False)
                check_finite(values, work.index // texts_per_request)
            read_here[work.index] = values
    for index, values in merge(read_here).items():
        answers[index] = values
    return answers


def combine_rows(
    model: LoadedModel,
    rule: DecodingRule | None,
    logits: Float[Tensor, "row place token"],
    contexts: Sequence[Ids],
) -> Float[Tensor, "place token"]:
    """Log-probabilities from the logits of all rows; of row 0 alone where there is no other.

    `contexts`: the text's own, of each place.
    """
    logprobs = (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)
    if rule is None:
        return logprobs[0]
    combined = logprobs[0] if len(logprobs) == 1 else rule.adjusted(logprobs)
    return rule.reweighted(combined, model.tokenizer, contexts) if rule.reweights else combined


@dataclass(frozen=True, slots=True)
class _Work:
    """A text to which the rule applies somewhere."""

    index: int
    plan: Plan
    families: list[tuple[Context, tuple[Context, ...]]]  # of each read: own context, the others

    @property
    def reads(self) -> Iterator[tuple[int, Family]]:
        """Each token that is read, and the contexts it is read after."""
        tokens = (token for query in self.plan for _, token in query.reads)
        for token, (first, others) in zip(tokens, self.families, strict=True):
            yield token, tuple(ids[:count] for ids, count in (first, *others))

    @property
    def contexts(self) -> list[Context]:
        """All contexts that it reads after."""
        return [context for first, others in self.families for context in (first, *others)]


def _families(
    model: LoadedModel, rule: DecodingRule, plan: Plan, tokens: Tokens, *, start: int | None
) -> list[tuple[Context, tuple[Context, ...]]]:
    """For each read of a plan its own context and the others, start tokens included."""
    families: list[tuple[Context, tuple[Context, ...]]] = []
    for query in plan:
        # the first token alone does not tell: a text may begin with the start token itself
        led = query.ids[:1] == (start,) and query.ids != tokens.ids[: len(query.ids)]
        front = query.ids[:1] if led else ()
        counts = [position + 1 - len(front) for position, _ in query.reads]
        distinct = sorted(set(counts))
        contexts = rule.contexts(model.tokenizer, tokens, distinct)
        by_count = dict(zip(distinct, contexts, strict=True))
        for (position, _), count in zip(query.reads, counts, strict=True):
            first, *others = [
                (front + ids, len(front) + size) for ids, size in by_count[count]
            ] or [(query.ids, position + 1)]
            families.append((first, tuple(others)))
    return families


def _split_works(works: Sequence[_Work], width: int) -> Iterator[list[_Work]]:
    """Texts whose states are kept together: as many as fit, never none."""
    part: list[_Work] = []
    size = 0
    for work in works:
        needed = len(work.contexts) * width
        if part and size + needed > _STATES:
            yield part
            part, size = [], 0
        part.append(work)
        size += needed
    if part:
        yield part


def _answer(
    model: LoadedModel, rule: DecodingRule, works: Sequence[_Work], *, task: str, share_rows: bool
) -> list[list[float]]:
    """The answers of each text; equal contexts are computed once."""
    wanted: dict[Family, dict[int, int]] = {}  # contexts to tokens, and the slot of each answer
    slots: list[list[int]] = []
    count = 0
    for work in works:
        work_slots: list[int] = []
        for token, family in work.reads:
            known = wanted.setdefault(family, {})
            if token not in known:
                known[token] = count
                count += 1
            work_slots.append(known[token])
        slots.append(work_slots)
    answers = torch.full((count,), math.nan, dtype=torch.float64)
    with at_full_speed(model.module):
        states = _states(model, wanted, works, task=task, share_rows=share_rows)
        for size in sorted(set(map(len, wanted))):
            families = {f: tokens for f, tokens in wanted.items() if len(f) == size}
            _combine(model, rule, states, families, answers)
    values = answers.tolist()
    return [[values[slot] for slot in work_slots] for work_slots in slots]


@dataclass(slots=True)
class _States:
    """What goes into the output layer after each context, filled pass by pass.

    Of a module whose output layer cannot be run by itself: the logits.
    """

    indices: dict[Ids, int]  # of each context
    values: Float[Tensor, "context width"] | None = None
    are_logits: bool = False

    def logits(
        self, module: PreTrainedModel, contexts: Sequence[Ids]
    ) -> Float[Tensor, "row token"]:
        """Logits after the contexts, by the module's own code (soft caps, scales)."""
        if self.values is None:
            raise TypeError(f"states must be computed before they are read, got {self.values}")
        rows = self.values[[self.indices[context] for context in contexts]]
        return rows if self.are_logits else _output_logits(module, rows)


def _states(
    model: LoadedModel,
    families: Iterable[Family],
    works: Sequence[_Work],
    *,
    task: str,
    share_rows: bool,
) -> _States:
    """The model's state after each context of the families."""
    lengths: dict[Ids, int] = {}  # of each row that is run: contexts are prefixes of it
    for work in works:
        for ids, count in work.contexts:
            lengths[ids] = max(lengths.get(ids, 0), count)
    missing = {context for family in families for context in family}
    states = _States({})
    texts: list[Ids] = []
    reads: list[list[Read]] = []
    # a context that begins several rows is read in the first of them alone
    for ids in dict.fromkeys(ids[:count] for ids, count in lengths.items()):
        new = [n for n in range(1, len(ids) + 1) if ids[:n] in missing]
        if new:
            missing.difference_update(ids[:n] for n in new)
            states.indices |= {ids[:n]: len(states.indices) + k for k, n in enumerate(new)}
            texts.append(ids)
            # states are read, so that any token will do
            reads.append([(n - 1, 0) for n in new])
    for forward in forward_passes(model, texts, reads, task=task, share_rows=share_rows):
        with forward.batches.retry_smaller():
            states.are_logits = not forward.layout.gather
            run = logits_at if states.are_logits else hidden_at
            read_states = run(model.module, forward.rows, forward.places, forward.layout)
            if states.values is None:
                states.values = read_states.new_empty(len(states.indices), read_states.shape[1])
            states.values[forward.slots] = read_states[forward.chosen]
    return states


def _output_logits(
    module: PreTrainedModel, states: Float[Tensor, "row width"]
) -> Float[Tensor, "row token"]:
    """The module run on a token, its output layer on these states instead of that token's."""

    def substitute(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (states[None].to(inputs[0].device), *inputs[1:])

    handle = module.get_output_embeddings().register_forward_pre_hook(substitute)
    try:
        token = torch.zeros(1, 1, dtype=torch.long, device=module.device)
        logits: Tensor = module(input_ids=token, use_cache=False).logits  # [1, row, token]
    finally:
        handle.remove()
    return logits[0]


def _combine(
    model: LoadedModel,
    rule: DecodingRule,
    states: _States,
    wanted: Mapping[Family, Mapping[int, int]],
    answers: Float[Tensor, " answer"],
) -> None:
    """Answers of families of equal size, a few at a time, written to their slots."""
    families = list(wanted)
    rows = len(families[0])
    vocabulary = int(model.module.config.get_text_config().vocab_size)
    step = max(1, _LOGITS // (vocabulary * rows))
    chunk = max(1, _CHUNK // (vocabulary * rows))
    for start in range(0, len(families), step):
        part = families[start : start + step]
        asked = [family[row] for row in range(rows) for family in part]
        logits = states.logits(model.module, asked).view(rows, len(part), -1)
        for first in range(0, len(part), chunk):
            places = part[first : first + chunk]
            contexts = [family[0] for family in places]
            combined = combine_rows(model, rule, logits[:, first : first + chunk], contexts)
            _look_up(combined, [wanted[family] for family in places], answers)


def _look_up(
    logprobs: Float[Tensor, "place token"],
    wanted: Sequence[Mapping[int, int]],
    answers: Float[Tensor, " answer"],
) -> None:
    """Write each place's wanted tokens (token to slot) to their slots."""
    triples = [
        (place, token, slot)
        for place, tokens in enumerate(wanted)
        for token, slot in tokens.items()
    ]
    places, tokens, slots = (torch.tensor(column) for column in zip(*triples, strict=True))
    places, tokens = places.to(logprobs.device), tokens.to(logprobs.device)
    # LIKELIEST reads the last column at first
    values = torch.where(tokens == LIKELIEST, logprobs.amax(-1)[places], logprobs[places, tokens])
    answers[slots] = values.cpu().double()
