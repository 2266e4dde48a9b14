"""Locks on files between processes, which Ctrl-C cannot leave half taken.

An interruption inside of `filelock` may close a descriptor twice, or be lost in a destructor: the
command would then end with another error, or go on as if nobody had stopped it.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from filelock import FileLock, Timeout

_POLL: Final = 0.05  # seconds between two tries


@contextmanager
def locked(file: Path, *, timeout: float = 0) -> Iterator[bool]:
    """True for as long as a `with` block lasts if this process alone holds the lock of the file.

    `timeout`: seconds to wait for it; -1: however long it takes. Ctrl-C ends the wait.
    Raises `OSError` where the file cannot be written to.
    """
    began = time.monotonic()
    lock = FileLock(file, timeout=0)
    try:
        while True:
            with interrupted_later(), suppress(Timeout):
                lock.acquire()
            if lock.is_locked or 0 <= timeout <= time.monotonic() - began:
                break
            time.sleep(_POLL)
        yield lock.is_locked
    finally:
        with interrupted_later():
            lock.release()
            del lock  # its destructor is of the same kind


@contextmanager
def interrupted_later() -> Iterator[None]:
    """Ctrl-C in a `with` block counts when the block has ended. Only the main thread gets any."""
    signals: list[tuple[int, FrameType | None]] = []
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: signals.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if signals:
        former(*signals[0])
