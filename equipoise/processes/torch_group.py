"""Processes connected by torch: gloo for what is on a processor, NCCL for what is on GPUs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from equipoise.errors import ProcessError
from equipoise.processes import together
from equipoise.processes.launch import process_count


@dataclass(slots=True)
class TorchGroup:
    """A `together.Group` over the process group of torch."""

    index: int
    count: int
    store: Store
    calls: int = 0
    failures: int = 0

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in their order."""
        values: list[Any] = [None] * self.count
        with _exchange():
            distributed.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """The value of the main process."""
        box = [value]
        with _exchange():
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    def post(self, key: str) -> None:
        """Put up a note for the others."""
        with _exchange():
            self.store.set(key, "")

    def wait(self, keys: Sequence[str], longest: timedelta) -> bool:
        """Wait for notes; False: some were not there in time."""
        with _exchange():
            try:
                self.store.wait([*keys], longest)
            except distributed.DistStoreError:
                return False
        return True

    def count_up(self, key: str) -> int:
        """How many processes have called this, with this one."""
        with _exchange():
            return int(self.store.add(key, 1))


def join() -> None:
    """Connect the processes that a launcher started; does nothing for one, or a second time.

    Raises `ProcessError` when the others are not there in time.
    """
    if together.joined() is not None or process_count() == 1:
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _exchange():
        store, index, count = next(rendezvous("env://", timeout=together.TIME_OUT))
        notes = PrefixStore("equipoise", store)
        if not distributed.is_initialized():
            distributed.init_process_group(
                backend, store=store, rank=index, world_size=count, timeout=together.TIME_OUT
            )
    together.use(TorchGroup(index, count, notes))


def leave() -> None:
    """Disconnect; nothing is shared any more."""
    if together.joined() is not None and distributed.is_initialized():
        distributed.destroy_process_group()
    together.use(None)


def join_rows(values: NDArray[Any] | Tensor, rows: Sequence[int]) -> None:
    """Fill the rows of an array that other processes computed, in place; the bits are theirs.

    `rows`: distinct rows that this process has computed. A row of nobody stays as it is.
    """
    if together.sharing() is None:
        return
    whole = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    mine = torch.zeros_like(whole)
    mine[rows] = whole[rows]
    owned = torch.zeros(len(whole), dtype=torch.int32, device=whole.device)
    owned[rows] = 1
    with _exchange():
        distributed.all_reduce(mine)  # adding zeros changes no bit, and a nan stays one
        distributed.all_reduce(owned)
    is_owned = owned > 0
    whole[is_owned] = mine[is_owned]


def sum_all(values: NDArray[Any]) -> NDArray[Any]:
    """The sum of an array over processes."""
    if together.sharing() is None:
        return values
    total = torch.from_numpy(np.array(values))
    with _exchange():
        distributed.all_reduce(total)
    summed: NDArray[Any] = total.numpy()
    return summed


@contextmanager
def _exchange() -> Iterator[None]:
    """Around whatever needs all processes. Raises `ProcessError` when one is not there."""
    try:
        yield
    except RuntimeError as error:  # of gloo, NCCL and the store
        raise ProcessError(
            "all processes must go on together, another has ended or hangs "
            f"({' '.join(str(error).split())[:200]}); see what it said, and start the same command "
            "again"
        ) from error
