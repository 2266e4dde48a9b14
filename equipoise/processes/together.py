"""What several processes do together: share batches, exchange answers, act as one.

Every process runs the same command and takes the same decisions. Where work is shared (`Batches`)
each does whole batches, so that every number has the bits that a single process computes; what it
did is handed to the others (`join_rows`, `merge`), and all go on with all of it. What must happen
once, such as writing a file or asking a judge, the main process does for all (`on_main`).

Nothing is shared until `join` was called, which the command line does under torchrun or
`accelerate launch`. A process that ends or hangs ends the others: they wait for an exchange no
longer than `TIME_OUT`, and raise `ProcessError`.

Objects travel between processes of one command as pickles; nothing of it is read from a file.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from equipoise.errors import EquipoiseError, ProcessError
from equipoise.processes.launch import process_count

T = TypeVar("T")

#: The longest that a process waits in an exchange for one that still computes.
TIME_OUT: Final = timedelta(hours=2)
_ALIKE: Final = timedelta(seconds=60)  # within which all processes meet the same mistake


@dataclass(slots=True)
class _Group:
    """The processes that were joined."""

    index: int
    count: int
    store: Store
    calls: int = 0  # of `on_main`
    failures: int = 0  # that all processes met


_group: _Group | None = None
_alone: ContextVar[bool] = ContextVar("alone", default=False)


def join() -> None:
    """Connect the processes that a launcher started; does nothing for one, or a second time.

    Raises `ProcessError` when the others are not there in time.
    """
    global _group  # as torch keeps one group for a process
    if _group is not None or process_count() == 1:
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _exchange():
        store, index, count = next(rendezvous("env://", timeout=TIME_OUT))
        store = PrefixStore("equipoise", store)
        if not distributed.is_initialized():
            distributed.init_process_group(
                backend, store=store, rank=index, world_size=count, timeout=TIME_OUT
            )
    _group = _Group(index, count, store)


def leave() -> None:
    """Disconnect; nothing is shared any more."""
    global _group
    if _group is not None and distributed.is_initialized():
        distributed.destroy_process_group()
    _group = None


def _sharing() -> _Group | None:
    """The group, where work is shared here and now."""
    return None if _alone.get() else _group


def is_sharing() -> bool:
    """Whether work is shared among processes here and now."""
    return _sharing() is not None


@contextmanager
def alone() -> Iterator[None]:
    """A `with` block in which this process shares nothing: others may do something else."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


# --- shared work --------------------------------------------------------------------------------


def own_share(costs: Sequence[float]) -> list[int]:
    """Which pieces of work this process does, in their order; all of them where nothing is shared.

    `costs`: of each piece, such as its tokens; each goes to the process that has least so far.
    """
    group = _sharing()
    if group is None:
        return list(range(len(costs)))
    loads = np.zeros(group.count)
    mine = []
    for index, cost in enumerate(costs):
        owner = int(loads.argmin())
        loads[owner] += cost
        if owner == group.index:
            mine.append(index)
    return mine


def join_rows(values: NDArray[Any] | Tensor, rows: Sequence[int]) -> None:
    """Fill the rows of an array that other processes computed, in place; the bits are theirs.

    `rows`: which this process has computed, of distinct rows. A row of nobody stays as it is.
    """
    group = _sharing()
    if group is None:
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


def merge(part: Mapping[int, T]) -> dict[int, T]:
    """What all processes have, by distinct numbers, in the order of numbers."""
    together = [part] if _sharing() is None else gather(part)
    return dict(sorted((number, value) for own in together for number, value in own.items()))


def sum_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of an array over processes."""
    if _sharing() is None:
        return values
    total = torch.from_numpy(np.array(values))
    with _exchange():
        distributed.all_reduce(total)
    return total.numpy()


def gather(value: T) -> list[T]:
    """The value of each process, in their order."""
    group = _sharing()
    if group is None:
        return [value]
    together: list[Any] = [None] * group.count
    with _exchange():
        distributed.all_gather_object(together, value)
    return together


# --- as one -------------------------------------------------------------------------------------


def on_main(make: Callable[[], T]) -> T:
    """What `make` returns in the main process, in all; what it raises, all raise.

    The main process shares nothing meanwhile, and the others wait however long it takes.
    """
    group = _sharing()
    if group is None:
        return make()
    group.calls += 1
    key = f"main {group.calls}"
    box: list[Any] = [None, None]  # what is returned, what is raised
    raised: Exception | None = None
    if group.index == 0:
        try:
            with alone():
                box[0] = make()
        except Exception as error:  # the others must not wait for what never comes
            raised, box[1] = error, _portable(error)
        with _exchange():
            group.store.set(key, "done")
    while group.index:  # in the store, where waiting has no end; the launcher ends all with one
        try:
            group.store.wait([key], _ALIKE)
            break
        except distributed.DistStoreError:
            continue
        except RuntimeError as error:
            raise _broken(error) from error
    with _exchange():
        distributed.broadcast_object_list(box, src=0)
    if raised is not None:
        raise raised
    if box[1] is not None:
        raise box[1]
    value: T = box[0]
    return value


def check_alike(facts: Mapping[str, str], *, remedy: str) -> None:
    """Raise `ProcessError` unless all processes have the facts of the first, naming the other."""
    first, *others = gather(dict(facts))
    for index, theirs in enumerate(others, start=1):
        for name in sorted({*first, *theirs}):
            if theirs.get(name) != first.get(name):
                raise ProcessError(
                    f"all {len(others) + 1} processes must have the same {name}, process 0 has "
                    f"{first.get(name)!r:.200} and process {index} {theirs.get(name)!r:.200}; "
                    f"{remedy}"
                )


def agree_on_failure(why: str) -> None:
    """Raise `ProcessError` unless every process has met a mistake by now, as of the same input.

    One that failed alone has left the others in an exchange that will never be: all must end.
    """
    group = _sharing()
    if group is None:
        return
    group.failures += 1
    keys = [f"failure {group.failures} {index}" for index in range(group.count)]
    try:
        group.store.set(keys[group.index], why)
        group.store.wait(keys, _ALIKE)
    except RuntimeError as error:
        raise ProcessError(
            f"all {group.count} processes must go on alike, process {group.index} alone failed: "
            f"{why}; start the same command again, what is finished is kept"
        ) from error


def first_to_fail() -> bool:
    """Whether this process is the first that fails, and so says why; the others are silent."""
    if _group is None:
        return True
    with suppress(RuntimeError):  # the main process may hold the store, and have ended
        return int(_group.store.add("failed", 1)) == 1
    return False


def _portable(error: Exception) -> Exception:
    """The error if it survives the way to another process, else one of its sentence."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an error of somebody's raises of itself
        return EquipoiseError(str(error))
    return error


@contextmanager
def _exchange() -> Iterator[None]:
    """Around whatever needs all processes. Raises `ProcessError` when one is not there."""
    try:
        yield
    except RuntimeError as error:  # of gloo, NCCL and the store
        raise _broken(error) from error


def _broken(error: RuntimeError) -> ProcessError:
    reason = " ".join(str(error).split())[:200]
    return ProcessError(
        f"all processes must go on together, another has ended or hangs ({reason}); see what it "
        "said, and start the same command again"
    )
