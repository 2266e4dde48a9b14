"""Recording: what a server replied, kept in a file under a hash of what it was asked.

JSON Lines, one reply a line: `key` (sha256 of server, path and body), `server` (a hash of its
address), `path`, `request` and `reply`. No address and no key of a server is in it. A line that a
kill cut short is left out.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from equipoise.errors import StoreError


def content_key(server: str, path: str, request: object) -> str:
    """sha256 (hex) of who is asked what, whatever the order of its keys."""
    text = json.dumps(
        [server, path, request], sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Recording:
    """Replies of a server by request, in the order in which they came; safe for several threads."""

    file: Path
    address: str  # of the server: what another replied is no reply of it
    _replies: dict[str, list[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _torn: bool = False  # the file ends within a line

    def __post_init__(self) -> None:
        """Read the file, if it exists. Raises `StoreError` for lines that are no replies."""
        if not self.file.exists():
            return
        try:
            *lines, rest = self.file.read_bytes().decode("utf-8", "replace").split("\n")
        except OSError as error:
            raise StoreError(f"recorded replies must be readable, got: {error}; check it") from None
        self._torn = bool(rest)
        for number, line in enumerate([*lines, rest], 1):
            try:
                row: Any = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                continue
            if row is not None:
                self._add(row, number)

    def _add(self, row: Any, number: int) -> None:
        try:
            key, reply = row["key"], row["reply"]
            right = content_key(row["server"], row["path"], row["request"]) == key and isinstance(
                reply, str
            )
        except (TypeError, KeyError):
            right = False
        if not right:
            raise StoreError(
                f"{self.file}, line {number}: a recorded reply must stand beside its request and "
                f"the request's hash, got {str(row)[:60]!r}; take the line out, or record anew"
            )
        self._replies.setdefault(key, []).append(reply)

    @property
    def _server(self) -> str:
        return hashlib.sha256(self.address.encode()).hexdigest()[:16]

    def find(self, path: str, request: object, *, repeat: int, last: bool) -> str | None:
        """The server's first reply to this request, or that to its n-th repeat; None: none.

        `last`: where there are fewer, the last stands for the rest.
        """
        key = content_key(self._server, path, request)
        with self._lock:
            replies = self._replies.get(key, [])
            if repeat < len(replies):
                return replies[repeat]
            return replies[-1] if replies and last else None

    def add(self, path: str, request: object, reply: str) -> None:
        """Append a reply. Raises `StoreError`."""
        key = content_key(self._server, path, request)
        row = {"key": key, "server": self._server, "path": path, "request": request, "reply": reply}
        with self._lock:
            self._replies.setdefault(key, []).append(reply)
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("ab") as stream:
                    stream.write(b"\n" * self._torn + json.dumps(row).encode() + b"\n")
            except OSError as error:
                raise StoreError(f"cannot record in {self.file}: {error}; name another") from None
            self._torn = False
