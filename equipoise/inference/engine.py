"""The engine: answers queries in few, full forward passes, whatever their order and company.

Identical queries are answered once; shared prefixes are computed once where the architecture
allows (`packing`); rows of like length go together in batches of so many tokens; logits are
computed at the positions that are read and nowhere else.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from equipoise.errors import ModelError, RequestError
from equipoise.inference.batching import evaluating, out_of_memory
from equipoise.inference.forward import Layout, has_output_layer, logits_at
from equipoise.inference.layout import causal_layout
from equipoise.inference.prefix_sharing import Row, pack, single
from equipoise.inference.queries import LIKELIEST, Plan, Read
from equipoise.models.context import attention_window, context_length
from equipoise.models.kernels import fast_matmul, fused_gelu
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.start_token import pad_token_id
from equipoise.models.tokenization import Ids

_CPU_TOKENS = 1_024  # in a batch: on a processor more is no faster, and leaves its caches
_CPU_LOGITS = 2**27  # elements in a batch, at most
_DEVICE_LOGITS = 2**29
_CHUNK = 2**20  # elements of logits in float32 at a time


def read(
    model: LoadedModel, plans: Sequence[Plan], *, task: str, texts_per_request: int = 1
) -> list[list[float]]:
    """Log-probabilities (nats) that each plan asks for, in its order.

    Computed from float32 logits; they do not depend on the other plans (float32: 1e-5 nats).
    `task` is what the progress bar says; a request has `texts_per_request` plans.
    Raises `ModelError` naming the request that is longer than the model's context or whose answer
    is not finite.
    """
    check_lengths(model, plans, texts_per_request)
    found = _found(model, plans, task=task, together=True)
    for index, values in enumerate(found):
        if not all(map(math.isfinite, values)):
            # A nan passes through any mask into texts of the same row: who is it really?
            (found[index],) = _found(model, plans[index : index + 1], task=task, together=False)
            check_finite(found[index], index // texts_per_request)
    return found


def _found(
    model: LoadedModel, plans: Sequence[Plan], *, task: str, together: bool
) -> list[list[float]]:
    """What the plans ask for; equal queries are one. Texts share rows only if `together`."""
    slots: dict[Ids, dict[Read, int]] = {}
    count = 0
    for query in chain.from_iterable(plans):
        known = slots.setdefault(query.ids, {})
        for one in query.reads:
            if one not in known:
                known[one] = count
                count += 1
    answers = np.full(count, math.nan)
    if count:

        def take(asked: Asked) -> None:
            logits = logits_at(model.module, asked.rows, asked.places, asked.layout)
            answers[asked.slots] = _logprobs(
                logits, torch.tensor(asked.chosen), torch.tensor(asked.tokens)
            )

        most = _CPU_LOGITS if model.module.device.type == "cpu" else _DEVICE_LOGITS
        run_texts(
            model,
            list(slots),
            list(slots.values()),
            take=take,
            task=task,
            together=together,
            most_reads=most // model.module.config.get_text_config().vocab_size,
        )
    return [
        [float(answers[slots[query.ids][one]]) for query in plan for one in query.reads]
        for plan in plans
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One forward pass, and what is read of it."""

    rows: list[Row]
    layout: Layout
    places: Int[Tensor, " read"]  # in the padded batch, as `forward.logits_at` takes them
    chosen: list[int]  # of each answer: which of the places
    tokens: list[int]  # of each answer: the token that is asked for
    slots: list[int]  # of each answer: where it goes


def run_texts(
    model: LoadedModel,
    texts: list[Ids],
    reads: list[dict[Read, int]],
    *,
    take: Callable[[Asked], None],
    task: str,
    together: bool,
    most_reads: int | None = None,
) -> None:
    """Put distinct texts to the model in as few passes as memory allows; `take` makes each pass.

    `reads`: what is read of each text, and the slot of the answer. `together`: texts may share
    rows. `most_reads`: places read in one pass; None: as many as there are. A pass that runs out
    of memory is tried again on fewer rows, so `take` must bear being called twice.
    Raises `ModelError` when one row alone does not fit.
    """
    job = _Job(model, texts, reads, take, together, most_reads)
    _answer_all(job, f"{model.identity}: {task}")


def check_lengths(model: LoadedModel, plans: Sequence[Plan], per_request: int) -> None:
    """Refuse the first request with a text that is longer than the model's context."""
    limit = context_length(model.module)
    for index, plan in enumerate(plans):
        longest = max((len(query.ids) for query in plan), default=0)
        if limit is not None and longest > limit:
            raise RequestError(
                index // per_request,
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


@dataclass(frozen=True, slots=True)
class _Job:
    """One call of `run_texts`."""

    model: LoadedModel
    texts: list[Ids]
    reads: list[dict[Read, int]]
    take: Callable[[Asked], None]
    together: bool
    most_reads: int | None

    @property
    def module(self) -> PreTrainedModel:
        return self.model.module

    def layout(self) -> Layout:
        pad = pad_token_id(self.model.tokenizer)
        if self.model.kind == "masked":
            gather = has_output_layer(self.module)
            return Layout(pack=False, gather=gather, two_sided=True, pad=pad)
        layout = causal_layout(self.module)
        return layout if self.together else _apart(layout)


def _answer_all(job: _Job, task: str) -> None:
    """Answer everything, in batches as large as memory allows."""
    bar = tqdm(total=len(job.texts), desc=task, disable=None, leave=False)
    with bar, at_full_speed(job.module):
        for layout, rows in _rows(job):
            budget, done = _budget(job), 0
            while done < len(rows):
                batch = rows[done : done + _count(job, rows, done, budget)]
                try:
                    _answer(job, batch, layout)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    budget = _halved(job, batch)
                    continue
                done += len(batch)
                bar.update(sum(len(row.paths) for row in batch))


@contextmanager
def at_full_speed(module: PreTrainedModel) -> Iterator[None]:
    """No gradients, no dropout, the fastest exact kernels; all undone at the end."""
    with torch.inference_mode(), evaluating(module), fused_gelu(module), fast_matmul(module):
        yield


def _rows(job: _Job) -> list[tuple[Layout, list[Row]]]:
    """Every text once, longest rows first: what does not fit memory shows at once."""
    layout = job.layout()
    window = attention_window(job.module)
    packed: list[int] = []
    apart: list[int] = []
    for number, ids in enumerate(job.texts):
        fits = layout.pack and (window is None or len(ids) <= window)
        (packed if fits else apart).append(number)
    rows = ((layout, pack(job.texts, packed)), (_apart(layout), single(job.texts, apart)))
    return [(how, sorted(some, key=len, reverse=True)) for how, some in rows]


def _apart(layout: Layout) -> Layout:
    return replace(layout, pack=False)


def _budget(job: _Job) -> int:
    tokens = job.model.batch_tokens
    return min(tokens, _CPU_TOKENS) if job.module.device.type == "cpu" else tokens


def _count(job: _Job, rows: list[Row], done: int, budget: int) -> int:
    """How many of the rows from `done` on make the next batch; at least one."""
    length, reads = len(rows[done]), 0
    for index in range(done, len(rows)):
        reads += len(_places(job, rows[index]))
        too_many = job.most_reads is not None and reads > job.most_reads
        if index > done and ((index - done + 1) * length > budget or too_many):
            return index - done
    return len(rows) - done


def _places(job: _Job, row: Row) -> set[int]:
    """Places of a row whose logits are read."""
    return {path[at] for text, path in row.paths.items() for at, _ in job.reads[text]}


def _answer(job: _Job, batch: list[Row], layout: Layout) -> None:
    """One forward pass."""
    length = max(map(len, batch))
    flat: dict[int, int] = {}  # place in the padded batch to row of the logits
    chosen: list[int] = []
    tokens: list[int] = []
    slots: list[int] = []
    for number, row in enumerate(batch):
        for text, path in row.paths.items():
            for (at, token), slot in job.reads[text].items():
                place = number * length + path[at]
                chosen.append(flat.setdefault(place, len(flat)))
                tokens.append(token)
                slots.append(slot)
    places = torch.tensor(list(flat), device=job.module.device)
    job.take(
        Asked(rows=batch, layout=layout, places=places, chosen=chosen, tokens=tokens, slots=slots)
    )


def _logprobs(
    logits: Float[Tensor, "place vocabulary"],
    chosen: Int[Tensor, " answer"],
    tokens: Int[Tensor, " answer"],
) -> NDArray[np.float64]:
    """Log-softmax of the logits at (chosen, token), the sum taken in float32: [answer].

    `LIKELIEST` in place of a token is answered with the greatest at its place.
    """
    step = max(1, _CHUNK // logits.shape[1])
    total = torch.cat([part.float().logsumexp(-1) for part in torch.split(logits, step)])
    chosen, tokens = chosen.to(logits.device), tokens.to(logits.device)
    found = logits[chosen, tokens].float()  # LIKELIEST reads the last column here, and is replaced
    asked = tokens == LIKELIEST
    if bool(asked.any()):
        parts = torch.split(chosen[asked], step)
        found[asked] = torch.cat([logits[part].amax(-1) for part in parts]).float()
    pairs = torch.stack([found, total[chosen]]).cpu().double()  # not every device has float64
    logprobs: NDArray[np.float64] = (pairs[0] - pairs[1]).numpy()
    return logprobs


def _halved(job: _Job, batch: list[Row]) -> int:
    """The next budget after a batch that memory could not hold."""
    if len(batch) == 1:
        raise ModelError(
            f"a text must fit memory; {job.model.identity} ran out of it on one row of "
            f"{len(batch[0])} tokens on {job.module.device}: free memory or use another device"
        )
    if job.module.device.type == "cuda":
        torch.cuda.empty_cache()
    return len(batch) * len(batch[0]) // 2
