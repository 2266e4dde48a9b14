"""A disk whose locks do not hold is found before any work."""

import errno
import fcntl

import pytest

from equipoise.errors import PlaceError
from equipoise.executors.lock_probe import check_locks
from equipoise.study.store import Store


def test_locks_hold_here(store: Store) -> None:
    check_locks(store)
    check_locks(store)  # and were freed


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_no_locks(number: int, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(PlaceError, match=r"must have locks .* No locks available; put the study"):
        check_locks(store)


def test_locks_that_do_not_hold(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # taken, and another gets it, too
    with pytest.raises(PlaceError, match="that one process held was given to another"):
        check_locks(store)
