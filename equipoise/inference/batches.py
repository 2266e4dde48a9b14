"""Batches of rows that fit memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

import torch

from equipoise.errors import ModelError
from equipoise.inference.forward import layout_of
from equipoise.models.kernels import evaluating, fast_matmul
from equipoise.models.loaded_model import LoadedModel
from equipoise.processes.together import own_share
from equipoise.progress.bars import progress

_CPU_TOKENS = 2_048  # per batch: on a processor more is no faster


class Batches:
    """Indices of rows in batches of `batch_tokens`, longest rows first: out of memory shows early.

    Iterate, and run each batch inside `retry_smaller`:

        for batch in batches:
            with batches.retry_smaller():
                ...

    `reads`: per row, the positions whose outputs are read; at most `most_reads` per batch.
    `company`: rows of different company share no batch; None: as `Layout.company` of the lengths.
    `share`: processes that work together do some batches each, the same as one process would.
    """

    def __init__(  # noqa: PLR0913
        self,
        model: LoadedModel,
        lengths: Sequence[int],
        *,
        most_cpu_tokens: int = _CPU_TOKENS,
        reads: Sequence[int] = (),
        most_reads: int | None = None,
        company: Sequence[int] | None = None,
        share: bool = False,
        task: str = "reading texts",
    ) -> None:
        on_cpu = model.module.device.type == "cpu"
        self._model = model
        self._lengths = lengths
        self._budget = min(model.batch_tokens, most_cpu_tokens) if on_cpu else model.batch_tokens
        self._reads = reads
        self._most_reads = most_reads
        if company is None and lengths:
            company = list(map(layout_of(model).company, lengths))
        self._company = company or [0] * len(lengths)
        self._order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        self._share = share
        self._left: list[list[int]] = []  # batches to come, the next one last
        self._batch: list[int] = []
        self._task = task

    def __iter__(self) -> Iterator[list[int]]:
        """Each batch once; a batch that did not fit memory comes again in parts."""
        batches = self._cut(self._order)
        if self._share:
            tokens = [len(batch) * self._lengths[batch[0]] for batch in batches]
            batches = [batches[index] for index in own_share(tokens)]
        self._left = batches[::-1]
        with progress(self._task, sum(map(len, batches)), unit="text") as counter:
            while self._left:
                self._batch = self._left.pop()
                yield self._batch
                counter.advance(len(self._batch))

    def _cut(self, rows: Sequence[int]) -> list[list[int]]:
        """The rows in batches."""
        batches = []
        while rows:
            batches.append(self._first(rows))
            rows = rows[len(batches[-1]) :]
        return batches

    def _first(self, rows: Sequence[int]) -> list[int]:
        """The longest batch at the beginning of the rows within the budgets; never empty."""
        batch = [*rows[: max(1, self._budget // max(1, self._lengths[rows[0]]))]]
        company = self._company[batch[0]]
        batch = list(takewhile(lambda row: self._company[row] == company, batch))
        if self._most_reads is None:
            return batch
        total = self._reads[batch[0]]
        for index, row in enumerate(batch[1:], start=1):
            total += self._reads[row]
            if total > self._most_reads:
                return batch[:index]
        return batch

    @contextmanager
    def retry_smaller(self) -> Iterator[None]:
        """Out of memory inside: the batch's rows come again, half as many at a time.

        What is computed inside must bear being computed twice.
        Raises `ModelError` when a single row does not fit.
        """
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            model, longest = self._model, self._lengths[self._batch[0]]
            if len(self._batch) == 1:
                raise ModelError(
                    f"a text must fit memory; {model.identity} ran out of it on a row of "
                    f"{longest} tokens on {model.module.device}: free memory or use another device"
                ) from error
            if model.module.device.type == "cuda":
                # what was cached for the large batch would stand in the way of its parts
                torch.cuda.empty_cache()
            self._budget = len(self._batch) * longest // 2
            rest = [row for batch in (self._batch, *self._left[::-1]) for row in batch]
            self._left = self._cut(rest)[::-1]
            self._batch = []  # nothing of it is done


def run_in_batches(
    model: LoadedModel,
    lengths: Sequence[int],
    run: Callable[[list[int]], None],
    *,
    company: Sequence[int] | None = None,
    most_cpu_tokens: int = _CPU_TOKENS,
    share: bool = False,
) -> list[int]:
    """Call `run` with the indices of texts that go together, until each text was in a batch.

    Gives the texts that were run here: all of them, unless processes `share` them (`Batches`), who
    then hand each other what they have. `lengths`: tokens of each text; the rest as of `Batches`.
    No gradients, no dropout. `run` must bear being called twice with the same texts. Raises
    `ModelError` when a single text does not fit memory.
    """
    batches = Batches(model, lengths, company=company, most_cpu_tokens=most_cpu_tokens, share=share)
    done: set[int] = set()
    with torch.inference_mode(), evaluating(model.module), fast_matmul(model.module):
        for batch in batches:
            with batches.retry_smaller():
                run(batch)
                done.update(batch)
    return sorted(done)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; on a processor it says so only in the message."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in text for sign in ("out of memory", "can't allocate memory")
    )
