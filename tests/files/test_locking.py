"""Locks between processes: exclusive, waited for, and whole whenever Ctrl-C comes."""

import fcntl
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from equipoise.files.locking import interrupted_later, locked


@pytest.fixture(autouse=True)
def _ctrl_c_counts() -> Iterator[None]:
    """A shell that starts pytest in the background has SIGINT ignored in all its children."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def _is_free(file: Path) -> bool:
    with locked(file) as mine:
        return mine


def test_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as mine:
        assert mine
        assert not _is_free(tmp_path / "lock")
    assert _is_free(tmp_path / "lock")


def test_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    holder = FileLock(file)
    holder.acquire()
    began = time.monotonic()
    with locked(file, timeout=0.1) as mine:
        assert not mine
    assert 0.1 <= time.monotonic() - began < 5
    # released in this thread, which alone may
    threading.Timer(0.1, signal.raise_signal, [signal.SIGUSR1]).start()
    former = signal.signal(signal.SIGUSR1, lambda *_: holder.release())
    try:
        with locked(file, timeout=-1) as mine:
            assert mine
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_a_wait_is_interrupted(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt), locked(tmp_path / "lock", timeout=-1):
            pass


@pytest.mark.parametrize("operation", [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN])
def test_interrupted_while_it_is_taken_or_freed(
    operation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, calls = fcntl.flock, []

    def interrupted(descriptor: int, wanted: int) -> None:
        flock(descriptor, wanted)
        calls.append(wanted)
        if wanted == operation:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fcntl, "flock", interrupted)
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "lock"):
        pass
    monkeypatch.undo()
    assert operation in calls
    assert _is_free(tmp_path / "lock")


def test_interrupted_in_the_destructor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python only prints what is raised, and goes on."""
    monkeypatch.setattr(FileLock, "__del__", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "lock"):
        pass


def test_other_threads_get_no_signal() -> None:
    ended: list[bool] = []

    def work() -> None:
        with interrupted_later():
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
