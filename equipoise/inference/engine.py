"""The engine: answers queries in few, full forward passes, whatever their order and company.

Identical queries are answered once; shared prefixes are computed once where the architecture
allows (`prefix_sharing`); rows of like length share batches of a fixed number of tokens; logits
are computed at the positions that are read and nowhere else.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import RequestError
from equipoise.inference.batches import Batches
from equipoise.inference.forward import (
    Layout,
    at_full_speed,
    layout_of,
    logits_at,
)
from equipoise.inference.prefix_sharing import PackedRow, pack, single
from equipoise.inference.queries import LIKELIEST, Plan, Read
from equipoise.models.device_copy import copy_to
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Ids
from equipoise.processes.torch_group import join_rows

_CPU_TOKENS = 1_024  # per batch: on a processor more is no faster, and leaves its caches
_CPU_LOGITS = 2**27  # elements per batch, at most
_DEVICE_LOGITS = 2**29
_CHUNK = 2**20  # elements of logits in float32 at a time


def read(
    model: LoadedModel,
    plans: Sequence[Plan],
    *,
    task: str,
    texts_per_request: int = 1,
    share_rows: bool = True,
) -> list[list[float]]:
    """Log-probabilities (nats) that each plan asks for, in its order.

    Computed from float32 logits; they do not depend on the other plans (float32: 1e-5 nats).
    `task` is shown by the progress bar; a request has `texts_per_request` plans. Without
    `share_rows` each text has a row of its own, and what is not finite is returned.
    Raises `ModelError` naming the request that is longer than the model's context or whose answer
    is not finite.
    """
    if model.unigram is not None:
        return [
            [_of_unigram(model.unigram, token) for q in plan for _, token in q.reads]
            for plan in plans
        ]
    check_lengths(model, plans, texts_per_request)
    if model.rehearsing:
        return [[0.0 for query in plan for _ in query.reads] for plan in plans]
    texts, reads = _distinct(plans)
    logprobs = np.full(sum(map(len, reads)), math.nan)
    on_cpu = model.module.device.type == "cpu"
    most_logits = _CPU_LOGITS if on_cpu else _DEVICE_LOGITS
    # of each pass: where its answers go, and on the device what they are the differences of; they
    # are fetched at the end, so that the device computes while further passes are put together
    answered: list[tuple[list[int], Tensor]] = []
    with at_full_speed(model.module):
        for forward in forward_passes(
            model,
            list(texts),
            reads,
            task=task,
            share_rows=share_rows,
            share=True,
            most_places=most_logits // model.module.config.get_text_config().vocab_size,
        ):
            with forward.batches.retry_smaller():
                read_and_total = _logits_and_totals(
                    logits_at(model.module, forward.rows, forward.places, forward.layout),
                    torch.tensor(forward.chosen),
                    torch.tensor(forward.tokens),
                )
                answered.append((forward.slots, read_and_total))
    filled = [slot for slots, _ in answered for slot in slots]
    if answered:
        # a single transfer; not every device has float64
        pairs = torch.cat([of_pass for _, of_pass in answered], dim=1)
        values, totals = pairs.cpu().double()
        logprobs[filled] = (values - totals).numpy()
    join_rows(logprobs, filled)
    answers = _by_plan(plans, texts, reads, logprobs)
    if not share_rows or np.isfinite(logprobs).all():
        return answers
    for index, answer in enumerate(answers):
        if not all(map(math.isfinite, answer)):
            # a nan passes through any mask into texts of the same row: is it this text's own?
            (answers[index],) = read(model, plans[index : index + 1], task=task, share_rows=False)
            check_finite(answers[index], index // texts_per_request)
    return answers


def _by_plan(
    plans: Sequence[Plan],
    texts: Mapping[Ids, int],
    reads: Sequence[tuple[Read, ...]],
    logprobs: NDArray[np.float64],
) -> list[list[float]]:
    """What each plan asks for, from what was read of each distinct text."""
    starts = np.cumsum([0, *map(len, reads)]).tolist()
    answers: list[list[float]] = []
    for plan in plans:
        answer: list[float] = []
        for query in plan:
            text = texts[query.ids]
            start, known = starts[text], reads[text]
            if known == query.reads:
                answer += logprobs[start : starts[text + 1]].tolist()
            else:
                # other queries read more of the same text
                answer += [float(logprobs[start + known.index(item)]) for item in query.reads]
        answers.append(answer)
    return answers


def _of_unigram(logprobs: NDArray[np.float64], token: int) -> float:
    return float(logprobs.max() if token == LIKELIEST else logprobs[token])


def _distinct(plans: Sequence[Plan]) -> tuple[dict[Ids, int], list[tuple[Read, ...]]]:
    """Index of each distinct text, and everything that is read of it, each once."""
    texts: dict[Ids, int] = {}
    reads: list[tuple[Read, ...]] = []
    for plan in plans:
        for query in plan:
            text = texts.setdefault(query.ids, len(reads))
            if text == len(reads):
                reads.append(query.reads)
            elif reads[text] != query.reads:
                reads[text] = tuple(dict.fromkeys(reads[text] + query.reads))
    return texts, reads


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPass:
    """Rows that go through the model together, and what is read of their outputs."""

    rows: list[PackedRow]
    layout: Layout
    places: Int[Tensor, " place"]  # distinct, as `forward.logits_at` takes them
    chosen: list[int]  # of each read: which of the places
    tokens: list[int]  # of each read: the token whose log-probability is wanted
    slots: list[int]  # of each read: where its answer goes
    batches: Batches  # run the pass inside `batches.retry_smaller()`


def forward_passes(
    model: LoadedModel,
    texts: Sequence[Ids],
    reads: Sequence[Sequence[Read]],
    *,
    task: str,
    share_rows: bool,
    share: bool = False,
    most_places: int | None = None,
) -> Iterator[ForwardPass]:
    """The passes that read distinct texts; as few as memory allows, longest rows first.

    `reads`: what is read of each text; answers have their slots in this order, text after text.
    `share`: among processes that work together, who then hand each other the slots they have.
    `most_places`: positions read per pass; None: no limit. A pass that runs out of memory comes
    again as smaller passes.
    """
    starts = np.cumsum([0, *map(len, reads)]).tolist()
    layout = layout_of(model)
    # prompts whose end alone is read have most in common: answers listed in another order
    ends_only = all(len({position for position, _ in of_text}) == 1 for of_text in reads)
    packed: list[int] = []
    alone: list[int] = []
    for text, ids in enumerate(texts):
        (packed if share_rows and layout.packs(len(ids)) else alone).append(text)
    for way, rows in (
        (layout, pack(texts, packed, breadth=4 if ends_only else 2)),
        (replace(layout, pack=False), single(texts, alone)),
    ):
        places = [
            {path[position] for text, path in row.paths.items() for position, _ in reads[text]}
            for row in rows
        ]
        batches = Batches(
            model,
            [len(row) for row in rows],
            most_cpu_tokens=_CPU_TOKENS,
            reads=[len(distinct) for distinct in places],
            most_reads=most_places,
            company=[way.company(len(row)) for row in rows],
            share=share,
            task=f"{model.identity}: {task}",
        )
        for batch in batches:
            members = [rows[row] for row in batch]
            yield _forward_pass(members, reads, starts, way, batches, model.module.device)


def _forward_pass(
    rows: list[PackedRow],
    reads: Sequence[Sequence[Read]],
    starts: Sequence[int],
    layout: Layout,
    batches: Batches,
    device: torch.device,
) -> ForwardPass:
    width = max(map(len, rows))
    index_of: dict[int, int] = {}  # place in the padded batch to its index among the places read
    chosen: list[int] = []
    tokens: list[int] = []
    slots: list[int] = []
    for index, row in enumerate(rows):
        for text, path in row.paths.items():
            for position, token in reads[text]:
                place = index * width + path[position]
                chosen.append(index_of.setdefault(place, len(index_of)))
                tokens.append(token)
            slots += range(starts[text], starts[text] + len(reads[text]))
    return ForwardPass(
        rows=rows,
        layout=layout,
        places=copy_to(torch.tensor(list(index_of)), device),
        chosen=chosen,
        tokens=tokens,
        slots=slots,
        batches=batches,
    )


def _logits_and_totals(
    logits: Float[Tensor, "place vocabulary"],
    chosen: Int[Tensor, " read"],
    tokens: Int[Tensor, " read"],
) -> Float[Tensor, "2 read"]:
    """The logits at (chosen, token), and the logarithm of the sum of all there, in float32.

    Their difference is the log-probability. `LIKELIEST` in place of a token is answered with the
    greatest logit at its place. `chosen` and `tokens` are on the processor; the result is where the
    logits are, and nothing here waits for it.
    """
    step, device = max(1, _CHUNK // logits.shape[1]), logits.device
    total = torch.cat([part.float().logsumexp(-1) for part in torch.split(logits, step)])
    likeliest = (tokens == LIKELIEST).nonzero()[:, 0]
    parts = [copy_to(part, device) for part in torch.split(chosen[likeliest], step)]
    chosen, tokens = copy_to(chosen, device), copy_to(tokens, device)
    read = logits[chosen, tokens].float()  # LIKELIEST reads the last column here, and is replaced
    if len(likeliest):
        greatest = torch.cat([logits[part].amax(-1) for part in parts]).float()
        read[copy_to(likeliest, device)] = greatest
    return torch.stack([read, total[chosen]])


def check_lengths(model: LoadedModel, plans: Sequence[Plan], texts_per_request: int) -> None:
    """Refuse the first request with a text that is longer than the model's context."""
    limit = model.context_length
    if limit is None:
        return
    for index, plan in enumerate(plans):
        for query in plan:
            if len(query.ids) > limit:
                longest = max(len(query.ids) for query in plan)
                raise RequestError(
                    index // texts_per_request,
                    f"must fit the context of {model.identity}, {limit} tokens, got {longest}; "
                    "shorten it or take a model with a longer context",
                )


def check_finite(values: Sequence[float], request: int) -> None:
    """Refuse a request with an answer that is not finite."""
    for value in values:
        if not math.isfinite(value):
            raise RequestError(
                request,
                f"must have finite log-probabilities, got {value}; check the model's weights and "
                "its number format",
            )
