"""JSON to a server and back: the only code of the package that speaks to a model's server.

Nothing is sent anywhere but to the address that was named: no proxy, no redirect, no other address
where it fails. The key comes from the environment alone and stands in no message.
"""

import email.utils
import ipaddress
import math
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from socket import SHUT_RDWR, socket
from threading import Event, Lock, Timer
from typing import Final
from urllib.parse import urlsplit

from equipoise.errors import ModelError

#: The environment variable with the key that is sent to the server; never printed, never stored.
KEY: Final = "EQUIPOISE_API_KEY"
_LARGEST: Final = 2**20  # bytes of an answer
_CHUNK: Final = 2**16
_ROUNDING: Final = 0.01  # how far from 1 probabilities that were rounded may sum to
_PASSING: Final = (408, 429)  # and 5xx: may be answered when it is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said, or why it said nothing."""

    status: int  # 0: nothing came
    content: bytes  # at most 1 MiB; without a status what went wrong
    tries: int

    @property
    def reason(self) -> str:
        """Why it is none that can be read, in at most 300 letters."""
        if 300 <= self.status < 400:
            return f"status {self.status}, a redirect, which is not followed"
        text = self.content[:300].decode(errors="replace")
        return f"status {self.status}, {text}" if self.status else text


@dataclass(slots=True)
class _Pace:
    """When the next request may leave: the only thing here that changes."""

    lock: Lock = field(default_factory=Lock)
    next: float = 0.0  # seconds of the monotonic clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A server that answers JSON with JSON. May be used by several threads at once.

    A request that fails on the way, or with 408, 429 or 5xx, is tried again, `tries` times in all,
    after 1, 2, 4, … seconds, or what the server's Retry-After asks for, up to `seconds`.
    """

    address: str  # "http://127.0.0.1:8000" and a path, if it has any
    seconds: float = 120.0  # that an answer may take, whole
    tries: int = 4
    per_minute: float | None = None  # requests that leave in a minute at most; None: no limit
    pace: _Pace = field(default_factory=_Pace, init=False, repr=False, compare=False)

    def read_key(self) -> str:
        """The key of the environment; "" if unset. Raises `ModelError`: unfit, or in the clear.

        A key goes over https, or to this machine, alone.
        """
        key = os.environ.get(KEY, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelError(f"{KEY} must be plain letters, got {len(key)} characters; correct it")
        if key and not self._is_private:
            raise ModelError(
                f"a key is sent over https or to this machine, got {self.address}; name its https "
                f"address, or unset {KEY}"
            )
        return key

    def post(self, path: str, body: bytes, key: str) -> Answer:
        """Send JSON until it is answered or there is no use in trying again.

        The key is replaced by "***" in whatever comes back.
        """
        return self._exchange("POST", path, body, key)

    def get(self, path: str, key: str) -> Answer:
        """Ask for what stands at a path, as `post` does."""
        return self._exchange("GET", path, None, key)

    def _exchange(self, method: str, path: str, body: bytes | None, key: str) -> Answer:
        status, content, tried = 0, b"", 0
        while tried < self.tries:
            tried += 1
            self._wait_for_turn()
            try:
                status, content, asked = self._send(method, path, body, key)
            except (OSError, HTTPException) as error:
                status, content, asked = 0, f"{type(error).__name__}: {error}".encode(), 0.0
            if key:
                content = content.replace(key.encode(), b"***")
            if 0 < status < 500 and status not in _PASSING:
                break
            if tried < self.tries:
                time.sleep(max(2 ** (tried - 1), min(asked, self.seconds)))
        return Answer(status=status, content=content, tries=tried)

    @property
    def _is_private(self) -> bool:
        parts = urlsplit(self.address)
        try:
            here = ipaddress.ip_address(parts.hostname or "").is_loopback
        except ValueError:
            here = parts.hostname == "localhost"
        return here or parts.scheme == "https"

    def _wait_for_turn(self) -> None:
        if self.per_minute is None:
            return
        with self.pace.lock:
            now = time.monotonic()
            turn = max(now, self.pace.next)
            self.pace.next = turn + 60.0 / self.per_minute
        if turn > now:
            time.sleep(turn - now)

    def _send(
        self, method: str, path: str, body: bytes | None, key: str
    ) -> tuple[int, bytes, float]:
        """Status, content, and the seconds that the server asks to be left alone."""
        parts = urlsplit(self.address)
        host, port = str(parts.hostname), parts.port
        connection = (
            HTTPSConnection(host, port, timeout=self.seconds, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(host, port, timeout=self.seconds)
        )
        headers = {} if body is None else {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        until = time.monotonic() + self.seconds
        try:
            connection.connect()
            with self._ending(connection.sock, until):
                connection.request(method, parts.path + path, body, headers)
                response = connection.getresponse()
                asked = _read_retry_after(response.getheader("Retry-After"))
                return response.status, self._read(response, until), asked
        finally:
            connection.close()

    @contextmanager
    def _ending(self, sock: socket, until: float) -> Iterator[None]:
        """Shut the socket when the time is up, though it drip; `TimeoutError` then."""
        late = Event()

        def stop() -> None:
            late.set()
            with suppress(OSError):
                socket.shutdown(sock, SHUT_RDWR)  # of TLS too, whose own forgets its state

        timer = Timer(max(0.0, until - time.monotonic()), stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, HTTPException):
            if late.is_set():
                raise self._late() from None
            raise
        finally:
            timer.cancel()
        if late.is_set():  # what has come is not known to be all
            raise self._late()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"the answer did not end in {self.seconds:g} s")

    def _read(self, response: HTTPResponse, until: float) -> bytes:
        """The content, though it come in drops; `TimeoutError` when it does not end.

        `IncompleteRead` when it ends before its length.
        """
        content = b""
        while len(content) < _LARGEST:
            part = response.read1(_CHUNK)
            if not part:
                if response.length:
                    raise IncompleteRead(content, response.length)
                break
            content += part
            if time.monotonic() > until:
                raise self._late()
        return content[:_LARGEST]


def read_shares(by_option: object, options: Sequence[str]) -> tuple[float, ...]:
    """Probabilities in the options' order, of sum 1; rounding may have left it within 0.01 of 1.

    Raises `ValueError` for anything else, and other options.
    """
    if not isinstance(by_option, Mapping) or by_option.keys() != set(options):
        raise ValueError(f"options {list(by_option) if isinstance(by_option, Mapping) else None}")
    shares = [by_option[option] for option in options]
    if not all(type(share) in (int, float) and 0 <= share <= 1 for share in shares):
        raise ValueError(f"probabilities {shares}")
    total = math.fsum(shares)
    if abs(total - 1) > _ROUNDING:
        raise ValueError(f"probabilities that sum to {total:g}")
    return tuple(share / total for share in shares)


def is_address(text: str) -> bool:
    """Whether it is http(s)://HOST[:PORT][/PATH], without what may be a secret."""
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and not parts.query and parts.username is None
    except ValueError:  # a port that is no number
        return False
    return (
        plain and not parts.fragment and parts.scheme in ("http", "https") and bool(parts.hostname)
    )


def hide_secrets(address: str) -> str:
    """An address as an error shows it: what stands before "@" or after "?" may be a secret."""
    before, _, after = address.rpartition("@")
    return "" if re.search("[?#]", before) else after.partition("?")[0]


def _read_retry_after(value: str | None) -> float:
    """Seconds, of a number or of a date; 0 where it says nothing."""
    if value is None:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
