"""Rows of a training set that a model can learn: gone through once, then read by the batch.

The texts are not kept: a training set may be a file that is larger than memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import overload

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import RecipeError
from equipoise.rows import TrainingRow
from equipoise.training.row_tokens import TokenizedRows
from equipoise.training.schedule import Schedule

_CHUNK = 1024  # rows that are read together


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnableRows:
    """Rows of a training set that can be learnt; texts are read when they are needed."""

    tokenize: Callable[[Sequence[TrainingRow]], TokenizedRows]
    rows: Sequence[TrainingRow]  # the whole training set
    index: NDArray[np.int64]  # [learnable row]: its place among the rows
    counts: NDArray[np.int64]  # [learnable row]: tokens that are learnt
    skipped: Mapping[str, str]  # id of a row that cannot be learnt, and why
    sha256: str  # of what the rows say that were gone through

    def read(self, numbers: Sequence[int]) -> TokenizedRows:
        """Learnable rows as tokens, by their numbers among these."""
        return self.tokenize([self.rows[int(self.index[number])] for number in numbers])

    def tokens_of(self, schedule: Schedule) -> int:
        """How many tokens a training learns, each as often as it does."""
        batches = schedule.batches(len(self.index), first=0)
        return sum(int(self.counts[numbers.numpy()].sum()) for _, numbers in batches)


def learnable_rows(
    tokenize: Callable[[Sequence[TrainingRow]], TokenizedRows],
    rows: Sequence[TrainingRow],
    places: Sequence[int] | NDArray[np.int64],
) -> LearnableRows:
    """Those of the rows at these places that can be learnt, gone through once, in order.

    Raises as `tokenize`, and `RecipeError` when there are none.
    """
    index: list[int] = []
    counts: list[int] = []
    skipped: dict[str, str] = {}
    digest = hashlib.sha256()
    waiting = iter([int(place) for place in places])
    while chunk := list(islice(waiting, _CHUNK)):
        read = [rows[place] for place in chunk]
        tokenized = tokenize(read)
        index += [chunk[place] for place in tokenized.index]
        counts += [sum(scored) for scored in tokenized.scored]
        skipped |= tokenized.skipped
        for row in read:
            digest.update(row_bytes(row))
    if not index:
        reason = f" (the first {next(iter(skipped.values()))})" if skipped else ""
        raise RecipeError(
            f"a training must have rows to learn from, got {len(places)} of which none can be "
            f"learnt{reason}; give rows with a text, or raise max_tokens if they are too long"
        )
    return LearnableRows(
        tokenize=tokenize,
        rows=rows,
        index=np.asarray(index),
        counts=np.asarray(counts),
        skipped=skipped,
        sha256=digest.hexdigest(),
    )


class ChosenRows(Sequence[TrainingRow]):
    """Some rows of a training set, read when they are needed."""

    def __init__(
        self,
        rows: Sequence[TrainingRow],
        places: Iterable[int],
        *,
        form: Callable[[TrainingRow], TrainingRow] | None = None,
    ) -> None:
        """`places`: among the rows, in the order wanted. `form`: what a row is made into."""
        self.rows = rows
        self.places = np.fromiter(places, dtype=np.int64)
        self.form = form

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> TrainingRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[TrainingRow]: ...

    def __getitem__(self, index: int | slice) -> TrainingRow | list[TrainingRow]:
        """A row, or rows, read now."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row = self.rows[int(self.places[index])]
        return row if self.form is None else self.form(row)


def rows_sha256(rows: Sequence[TrainingRow]) -> str:
    """sha256 (hex) of what rows say, with their ids and in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row_bytes(row))
    return digest.hexdigest()


def row_bytes(row: TrainingRow) -> bytes:
    """A row's id and what it says, context and all; its groups change no training."""
    context = (row.context,) if row.context else ()
    return repr((row.id, row.text, row.messages, *context)).encode(errors="surrogatepass")
