"""What several processes do together: share pieces of work, exchange answers, act as one. No torch.

Every process runs the same command and takes the same decisions. Where work is shared (`Batches`)
each does whole batches, so that every number has the bits that a single process computes; what it
did is handed to the others (`merge`, `torch_group.join_rows`), and all go on with all of it. Tasks
that need no exchange, such as statistics, are done by one process each (`share_out`). What must
happen once, such as writing a file or asking a judge, the main process does for all
(`on_main`).

Nothing is shared until the processes were joined (`torch_group.join`), which the command line does
under torchrun or `accelerate launch`. A process that ends or hangs ends the others: they wait for
an exchange no longer than `TIME_OUT`, and raise `ProcessError`.

Objects travel between the processes of a command as pickles; nothing of it is read from a file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from copy import copy
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from equipoise.errors import EquipoiseError, ProcessError

T = TypeVar("T")

#: The longest that a process waits in an exchange for one that still computes.
TIME_OUT: Final = timedelta(hours=2)
_ALIKE: Final = timedelta(seconds=60)  # within which all processes meet the same mistake


class Group(Protocol):
    """Processes that are connected. Methods raise `ProcessError` when one has ended or hangs."""

    index: int
    count: int
    calls: int  # of `on_main`
    failures: int  # that all met

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in their order."""

    def broadcast(self, value: Any) -> Any:
        """The value of the main process."""

    def post(self, key: str) -> None:
        """Put up a note for the others."""

    def wait(self, keys: Sequence[str], longest: timedelta) -> bool:
        """Wait for notes; False: some were not there in time."""

    def count_up(self, key: str) -> int:
        """How many processes have called this, with this one."""


_group: Group | None = None
_alone: ContextVar[bool] = ContextVar("alone", default=False)


def use(group: Group | None) -> None:
    """Share with this group from now on; None: with nobody."""
    global _group  # as torch keeps one group for a process
    _group = group


def joined() -> Group | None:
    """The group, whether or not anything is shared here and now."""
    return _group


def sharing() -> Group | None:
    """The group, where work is shared among its processes here and now; else None."""
    return None if _alone.get() else _group


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
    group = sharing()
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


def merge(part: Mapping[int, T]) -> dict[int, T]:
    """What all processes have, by distinct numbers, in the order of numbers."""
    return dict(sorted(item for each in gather(part) for item in each.items()))


def gather(value: T) -> list[T]:
    """The value of each process, in their order."""
    group = sharing()
    return [value] if group is None else group.gather(value)


def share_out(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each task returns, in all processes; each is done by one, as cards are dealt.

    A process shares nothing while it does a task. What a task raises, all raise; of several the
    first.
    """
    group = sharing()
    if group is None:
        return [task() for task in tasks]
    mine = {index: _attempt(tasks[index]) for index in range(group.index, len(tasks), group.count)}
    sent = {index: (value, error and _portable(error)) for index, (value, error) in mine.items()}
    results = merge(sent) | mine  # of its own errors a process knows where they were raised
    for _, error in results.values():
        if error is not None:
            raise error
    return [value for value, _ in results.values()]


# --- as one -------------------------------------------------------------------------------------


def on_main(make: Callable[[], T]) -> T:
    """What `make` returns in the main process, in all; what it raises, all raise.

    The main process shares nothing meanwhile, and the others wait however long it takes.
    """
    group = sharing()
    if group is None:
        return make()
    group.calls += 1
    done = f"main {group.calls}"
    returned: Any = None
    raised: Exception | None = None
    if group.index == 0:
        returned, raised = _attempt(make)
        group.post(done)
    while group.index and not group.wait([done], _ALIKE):
        pass  # however long: the launcher ends all when the main process ends
    returned, theirs = group.broadcast((returned, raised and _portable(raised)))
    if theirs is not None:
        raise raised or theirs
    value: T = returned
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
    group = sharing()
    if group is None:
        return
    group.failures += 1
    notes = [f"failure {group.failures} of {index}" for index in range(group.count)]
    group.post(notes[group.index])
    if not group.wait(notes, _ALIKE):
        raise ProcessError(
            f"all {group.count} processes must go on alike, process {group.index} alone failed: "
            f"{why}; start the same command again, what is finished is kept"
        )


def first_to_fail() -> bool:
    """Whether this process is the first that fails, and so says why; the others are silent."""
    if _group is None:
        return True
    with suppress(ProcessError):  # the main process may hold the notes, and have ended
        return _group.count_up("failed") == 1
    return False


def _attempt(make: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What it returns here alone, or raises: others must not wait for what never comes."""
    try:
        with alone():
            return make(), None
    except Exception as error:  # whatever it is
        return None, error


def _portable(error: Exception) -> Exception:
    """The error if it survives the way to another process, else one of its sentence."""
    try:
        copy(error)  # as it is sent: by its class and arguments
    except Exception:  # whatever an error of somebody's raises of itself
        return EquipoiseError(str(error))
    return error
