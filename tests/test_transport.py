"""JSON to a server: tries, waits, pace, the key, and no other address."""

import email.utils
import json
import socket
import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
from decision_serving import serving

from equipoise.errors import ModelError
from equipoise.transport import KEY, Transport, hide_secrets, is_address

SECRET = "sk-19c2"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, which take none here; the clock goes on by them."""
    waited: list[float] = []
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(waited))
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.delenv(KEY, raising=False)
    return waited


def test_retry_after_is_kept_where_it_is_longer(waits: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    asked = iter(["9", "0", "tomorrow", date, "9999", "1"])
    with serving(
        lambda _: (429, b"slowly"), headers=lambda: {"Retry-After": next(asked)}
    ) as server:
        transport = Transport(address=server.address, tries=6, seconds=70)
        answer = transport.post("/v1/systemone", b"{}", "")
    assert (answer.status, answer.tries) == (429, 6)
    assert (waits[:3], waits[4]) == ([9, 2, 4], 70)
    assert 55 < waits[3] <= 60


def test_a_pace_is_kept_by_all_requests_together(waits: list[float]) -> None:
    with serving(lambda _: {"fine": True}) as server:
        transport = Transport(address=server.address, per_minute=30)
        answers = [transport.post("/v1/systemone", b"{}", "") for _ in range(3)]
    assert [json.loads(answer.content) for answer in answers] == [{"fine": True}] * 3
    assert waits == pytest.approx([2, 2], abs=0.5)


def test_an_answer_that_drips_has_an_end() -> None:
    def drip(write: Any) -> None:
        for _ in range(100):
            write(b" ")
            time.sleep(1)  # by the clock of this test

    with serving(lambda _: (200, drip)) as server:
        answer = Transport(address=server.address, seconds=5, tries=1).post(
            "/v1/systemone", b"{}", ""
        )
    assert answer.status == 0
    assert "did not end in 5 s" in answer.reason


def test_an_answer_that_is_cut_short_is_asked_for_again() -> None:
    lengths = iter(["1000", "14"])
    with serving(
        lambda _: (200, b'{"fine": true}'), headers=lambda: {"Content-Length": next(lengths)}
    ) as server:
        answer = Transport(address=server.address, tries=2).post("/v1/systemone", b"{}", "")
    assert (answer.status, answer.tries, answer.content) == (200, 2, b'{"fine": true}')
    with serving(
        lambda _: (200, b'{"fine": true}'), headers=lambda: {"Content-Length": "1000"}
    ) as server:
        answer = Transport(address=server.address, tries=2).post("/v1/systemone", b"{}", "")
    assert (answer.status, answer.tries) == (0, 2)
    assert "IncompleteRead" in answer.reason


@pytest.mark.parametrize("start", [b"", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_what_drips_is_left_when_its_time_is_up(start: bytes) -> None:
    """Headers, or a body without a length, of a server that sends a byte now and then."""
    done = Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(start or b"HTTP/1.0 200 OK\r\nX: ")
            while not done.wait(0.05):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=drip, args=(listener,))
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.perf_counter()
        answer = Transport(address=address, seconds=0.4, tries=1).post("/v1/chat", b"{}", "")
        took = time.perf_counter() - begun
        done.set()
        thread.join()
    assert answer.status == 0
    assert "did not end in 0.4 s" in answer.reason
    assert took < 3


def test_a_key_that_comes_back_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with serving(lambda _: (200, f"your key {SECRET}".encode())) as server:
        transport = Transport(address=server.address)
        answer = transport.post("/v1/systemone", b"{}", transport.read_key())
    assert answer.content == b"your key ***"
    assert SECRET not in repr(transport)


def test_a_key_goes_nowhere_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with pytest.raises(ModelError, match="over https or to this machine"):
        Transport(address="http://models.example").read_key()
    assert Transport(address="https://models.example").read_key() == SECRET
    assert Transport(address="http://[::1]:80").read_key() == SECRET


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("http://127.0.0.1:8000", True),
        ("https://models.example/a/b", True),
        ("ftp://models.example", False),
        ("http://", False),
        ("http://user:word@models.example", False),
        ("http://models.example?key=a", False),
        ("http://models.example#a", False),
        ("http://models.example:many", False),
        ("models.example", False),
    ],
)
def test_addresses(text: str, right: bool) -> None:
    assert is_address(text) == right


def test_secrets_of_an_address_are_hidden() -> None:
    assert hide_secrets("http://user:word@host/a?key=b") == "host/a"
    for address in ("http://host?key=wo@rd", "http://user:wo?rd@host", "http://user:wo#rd@host"):
        assert "wo" not in hide_secrets(address)
        assert "rd" not in hide_secrets(address)
