"""A server that is asked many things at a time, each until it is answered; replies may be kept."""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equipoise.errors import ModelError, RequestError
from equipoise.progress.bars import counted
from equipoise.recording import Recording, content_key
from equipoise.records import JSON
from equipoise.remote.options import ServerOptions
from equipoise.remote.wire import Body
from equipoise.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An OpenAI-compatible server and the name of a model there.

    `replies`: where they are kept, a line each; what stands there is not asked again.
    """

    address: str  # "http://127.0.0.1:8000", without "/v1"
    model: str
    options: ServerOptions = field(default_factory=ServerOptions)
    replies: Path | None = None

    @property
    def transport(self) -> Transport:
        """What requests are sent through."""
        options = self.options
        return Transport(
            address=self.address,
            seconds=options.seconds,
            tries=options.tries,
            per_minute=options.per_minute,
        )

    def ask(self, path: str, body: Body) -> Any:
        """The answer to a single body, which is not kept. Raises `RequestError`."""
        transport = self.transport
        return _read(self._send(transport, transport.read_key(), path, body, 0), 0)

    def ask_all(self, path: str, bodies: Sequence[Body], owners: Sequence[int]) -> list[Any]:
        """The answers to bodies, in their order; equal bodies are sent once.

        `owners`: the request that each body is for, which a `RequestError` names. The first that
        fails ends the work; what has come by then is kept.
        """
        transport = self.transport
        key = transport.read_key()
        kept = None if self.replies is None else Recording(self.replies, self.address)

        def answer(number: int) -> str:
            body = bodies[number]
            known = None if kept is None else kept.find(path, body, repeat=0, last=False)
            if known is not None:
                return known
            content = self._send(transport, key, path, body, owners[number])
            _read(content, owners[number])  # before it is kept
            if kept is not None:
                kept.add(path, body, content)
            return content

        first: dict[str, int] = {}
        names = [content_key("", path, body) for body in bodies]
        for number, name in enumerate(names):
            first.setdefault(name, number)
        with ThreadPoolExecutor(self.options.in_flight) as pool:
            work: dict[str, Future[str]] = {
                name: pool.submit(answer, number) for name, number in first.items()
            }
            try:
                for name in counted(work, self.model, len(work), unit="request"):
                    work[name].result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [_read(work[name].result(), owners[k]) for k, name in enumerate(names)]

    def describe(self) -> dict[str, JSON]:
        """What it says of itself at /v1/models and /version, as far as it says anything.

        Raises `ModelError` for a server that is not there.
        """
        transport = self.transport
        key = transport.read_key()
        said: dict[str, JSON] = {}
        for path in ("/v1/models", "/version"):
            answer = transport.get(path, key)
            if not answer.status:
                raise ModelError(
                    f"a server must answer at {self.address}, got in {answer.tries} tries: "
                    f"{answer.reason}; start it, or correct the address"
                )
            try:
                content = json.loads(answer.content) if answer.status == 200 else {}
                entries = content.get("data", [content]) if isinstance(content, dict) else []
                same = [each for each in entries if each.get("id") == self.model]
                said |= next(iter(same or entries), {})
            except (ValueError, AttributeError, TypeError, RecursionError):
                continue
        plain = (str, int, float)
        return {key: value for key, value in said.items() if isinstance(value, plain)}

    def _send(self, transport: Transport, key: str, path: str, body: Body, owner: int) -> str:
        answer = transport.post(path, json.dumps(body).encode(), key)
        if answer.status != 200:
            raise RequestError(
                owner,
                f"must be answered by {self.address}{path}, got in {answer.tries} tries: "
                f"{answer.reason}; see that it serves '{self.model}'",
            )
        return answer.content.decode("utf-8", "replace")


def _read(content: str, owner: int) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestError(
            owner, f"must be answered with JSON, got {error!r:.120}; the server is at fault"
        ) from None
