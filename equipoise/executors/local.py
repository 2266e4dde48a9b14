"""Steps in several processes of this machine, each with GPUs of its own."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import torch
from tqdm import tqdm

from equipoise.executors.needs import NO_CERTAIN, Machine, Needs
from equipoise.executors.worker import MODULES, do_step
from equipoise.study.plan import Step
from equipoise.study.step_runner import StepOutcome

#: Tries of a step whose process ends without an answer, as it does when memory is short.
TRIES: Final = 3
_GRACE: Final = 0.5  # seconds that a process has to end by itself


class LocalExecutor:
    """A number of processes, which make room for each other's memory.

    Where the machine has GPUs each process sees its share of them alone, unless `device` names one.
    """

    def __init__(
        self, job: Path, needs: Mapping[str, Needs], *, processes: int, device: str
    ) -> None:
        self.slots = processes
        self._job, self._needs = job, needs
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="step")
        gpus = _visible_gpus() if device in NO_CERTAIN else []
        context = _context()
        self._workers = [
            _Worker(context, gpus[number::processes] if gpus else None)
            for number in range(processes)
        ]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._memory = _Memory(this_machine().memory)

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        """Have a step done by a process that is free."""
        return self._threads.submit(self._run, step, lost)

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._memory.end_waiting()
        for worker in self._workers:
            worker.end(for_good=True)
        self._threads.shutdown(cancel_futures=True)

    def _run(self, step: Step, lost: frozenset[str]) -> StepOutcome:
        needs = self._needs[step.key]
        threads = needs.threads or max(1, torch.get_num_threads() // self.slots)
        with self._memory.taken(needs.memory or 0):
            worker = self._free.get()
            try:
                for _ in range(TRIES):
                    # the process is gone where nothing comes back
                    with suppress(EOFError, ConnectionError):
                        return StepOutcome(**worker.run(str(self._job), step.key, [*lost], threads))
            finally:
                self._free.put(worker)
        raise ChildProcessError(
            f"{TRIES} times its process ended without an answer, the last time by "
            f"{worker.ended_by}, as it does where memory is short; have fewer processes, or give "
            "the step more memory"
        )


class _Worker:
    """A process that does a step at a time; one that has ended is replaced at the next step."""

    def __init__(self, context: "ForkServerContext | SpawnContext", gpus: list[str] | None) -> None:
        self._context, self._gpus = context, gpus
        self._running: tuple[BaseProcess, Connection] | None = None
        self._over = False
        self._changing = threading.Lock()
        self.ended_by = "nothing"  # how the last process ended that gave no answer

    def run(self, *arguments: Any) -> dict[str, Any]:
        """What the process answers. Raises `EOFError` or `ConnectionError` when it has ended."""
        connection = self._connect()
        try:
            connection.send(arguments)
            answer: dict[str, Any] = connection.recv()
        except (EOFError, ConnectionError):
            self.end(for_good=False)
            raise
        return answer

    def end(self, *, for_good: bool) -> None:
        """End the process if there is one; `for_good`: none takes its place, ever."""
        with self._changing:
            self._over = self._over or for_good
            if self._running is not None:
                process, connection = self._running
                with suppress(OSError):
                    connection.send(None)  # ends a process that waits for a step
                process.join(_GRACE)
                process.kill()
                process.join()
                connection.close()
                status = process.exitcode or 0
                self.ended_by = f"signal {-status}" if status < 0 else f"exit status {status}"
                self._running = None

    def _connect(self) -> Connection:
        with self._changing:
            if self._over:
                raise EOFError
            if self._running is None:
                connection, theirs = self._context.Pipe()
                process = self._context.Process(
                    target=_serve, args=(theirs, self._gpus), daemon=True, name="step"
                )
                process.start()
                theirs.close()  # or its end would not be seen here
                self._running = process, connection
            return self._running[1]


class _Memory:
    """Bytes of a machine, of which each step takes what it needs; alone it may take any."""

    def __init__(self, total: float) -> None:
        self._left, self._takers, self._over = total, 0, False
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """A `with` block that waits until there is so much, and has it."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or not self._takers or size <= self._left)
            self._left -= size
            self._takers += 1
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._takers -= 1
                self._changed.notify_all()

    def end_waiting(self) -> None:
        """Let all through who wait: there is nothing to wait for any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()


def this_machine() -> Machine:
    """What this machine has to give."""
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
    return Machine(name="this machine", cpus=cores, gpus=gpus, memory=memory)


def _visible_gpus() -> list[str]:
    """As `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (named.split(",") if named else [*map(str, range(torch.cuda.device_count()))])[
        : torch.cuda.device_count()
    ]


def _serve(connection: Connection, gpus: list[str] | None) -> None:
    """What a process does until the command that it works for has ended, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(
        threading.RLock()
    )  # its own is shared by processes, and outlives one that is killed
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    while True:
        arguments = connection.recv()
        if arguments is None:
            return
        connection.send(do_step(*arguments))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _context() -> "ForkServerContext | SpawnContext":
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*MODULES])  # imported once for all processes
    return context
