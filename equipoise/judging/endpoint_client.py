"""Endpoint client: a model behind HTTP that chats, or answers typed questions.

Three wire forms: `/v1/chat/completions` (OpenAI's, of most servers), `/v1/systemone` (`transformers
serve`) and `/v1/decisions` (as openai 3.57 sends it). Replies can be recorded, and replayed without
a network.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from equipoise.errors import ModelError
from equipoise.recording import Recording
from equipoise.records import JSON, Decided, Decision
from equipoise.transport import KEY, Transport, is_address, read_shares

Message: TypeAlias = Mapping[str, str]  # "role" and "content"
CHAT: Final = "/v1/chat/completions"
SYSTEMONE: Final = "/v1/systemone"
DECISIONS: Final = "/v1/decisions"
_QUESTION: Final = "question"
_MOST_FAILURES: Final = 8  # in a row, after which the server is given up
_ELSEWHERE: Final = (401, 403, 404, 405)  # of the address, the key or the name: the same for all

T = TypeVar("T")
Q = TypeVar("Q")


class UnansweredError(ModelError):
    """A request that this server does not answer, while it may answer others."""


@dataclass(frozen=True, kw_only=True)
class EndpointClient:
    """A model at an address; nothing is ever sent to another.

    `record`: a file of replies; what is in it is not asked again, what is not is asked and added,
    where it can be read. `replay`: nothing is sent at all. Keys come from the environment
    (`EQUIPOISE_API_KEY`).
    Raises `ModelError` for an address that is none.
    """

    address: str  # "http://127.0.0.1:8000", "https://models.example/v1"
    model: str  # the name under which the server knows it
    seconds: float = 120.0  # that an answer may take
    tries: int = 4
    per_minute: float | None = None  # requests at most
    in_flight: int = 4  # requests at a time
    record: Path | None = None
    replay: bool = False
    failures: list[str] = field(  # in a row, of the server
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the address."""
        shown = self.address if is_address(self.address) else "***"  # may hold a secret
        if shown == "***" or not self.model:
            raise ModelError(
                "a server must be named by http(s)://HOST:PORT and a model, got "
                f"'{shown}' and '{self.model}'; name both, and put a key that it asks for into "
                f"{KEY}"
            )
        if self.replay and (self.record is None or not self.record.is_file()):
            raise ModelError(
                f"a replay must have a file of recorded replies, got {self.record}; record one "
                "first, or leave replay out"
            )
        _ = self._transport, self._recording  # before several threads ask for them

    def chat(
        self,
        messages: Sequence[Message],
        temperature: float,
        seed: int,
        *,
        max_tokens: int = 4096,
        schema: Mapping[str, JSON] | None = None,
        repeat: int = 0,
    ) -> str:
        """What the model replies to a conversation; "" where it replies nothing.

        `schema`: a JSON schema that the reply is to follow; a server may disregard it.
        `repeat`: the how manieth time it is asked on purpose again, so that a recording has a
        reply of its own to it.
        Raises `UnansweredError`, and `ModelError` for a server that answers nobody.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "temperature": temperature,
            "seed": seed,
            "max_tokens": max_tokens,
            "stream": False,
        }
        if schema is not None:
            form = {"name": "reply", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return self._post(CHAT, body, _read_chat, repeat)

    def decide(self, request: Decision, path: str, *, repeat: int = 0) -> Decided:
        """Probabilities of the options of a typed question, by `SYSTEMONE` or `DECISIONS`.

        A server does not tell its label mass (nan). Raises as `chat` does.
        """
        choice: dict[str, Any] = {"type": "choice", "instructions": request.question}
        if path == SYSTEMONE:
            choice["criteria"] = dict.fromkeys(request.options)
            questions: Any = {_QUESTION: choice}
            body = {"model": self.model, "state": request.text, "questions": questions}
        else:
            choice["choices"] = [{"value": option} for option in request.options]
            questions = [{"name": _QUESTION, **choice}]
            body = {"model": self.model, "input": request.text, "questions": questions}
        return self._post(path, body, lambda answer: _read_choice(answer, request.options), repeat)

    def ask_all(
        self, ask: Callable[[Q], T], questions: Sequence[Q]
    ) -> tuple[dict[int, T], dict[int, str]]:
        """Answers by place, and the reasons of those without; `in_flight` at a time.

        Raises `ModelError` when the server answers none of them.
        """
        self.failures.clear()

        def attempt(question: Q) -> T | UnansweredError:
            try:
                return ask(question)
            except UnansweredError as error:
                return error

        with ThreadPoolExecutor(self.in_flight) as pool:
            try:
                outcomes = list(pool.map(attempt, questions))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        answers = {k: got for k, got in enumerate(outcomes) if not isinstance(got, Exception)}
        reasons = {k: str(got) for k, got in enumerate(outcomes) if isinstance(got, Exception)}
        if reasons and not answers:
            first = next(iter(reasons.values()))
            raise ModelError(f"{first} (as with all of {len(questions)} requests)")
        return answers, reasons

    @cached_property
    def _transport(self) -> Transport:
        address = self.address.rstrip("/").removesuffix("/v1")
        return Transport(
            address=address, seconds=self.seconds, tries=self.tries, per_minute=self.per_minute
        )

    @cached_property
    def _recording(self) -> Recording | None:
        return None if self.record is None else Recording(self.record, self._transport.address)

    def _post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], repeat: int) -> T:
        kept = self._recording
        recorded = None
        if kept is not None:
            recorded = kept.find(path, body, repeat=repeat, last=self.replay)
        if recorded is not None:
            return self._read(recorded, read)
        if self.replay:
            raise UnansweredError(
                f"a request must be among the replies in {self.record}, that to {path} is not; "
                "record it, with replay left out"
            )
        content = self._send(path, body)
        answer = self._read(content, read)
        if kept is not None:
            kept.add(path, body, content)
        return answer

    def _send(self, path: str, body: Mapping[str, Any]) -> str:
        transport = self._transport
        if len(self.failures) >= _MOST_FAILURES:
            raise ModelError(self.failures[-1])
        answer = transport.post(path, json.dumps(body).encode(), transport.read_key())
        if answer.status == 200:
            self.failures.clear()
            return answer.content.decode("utf-8", "replace")
        sentence = (
            f"a request must be answered by {transport.address}{path}, got in {answer.tries} "
            f"tries: {answer.reason}; see that it serves '{self.model}'"
        )
        if answer.status in _ELSEWHERE or 300 <= answer.status < 400:
            raise ModelError(sentence)
        if answer.status in (0, 408, 429) or answer.status >= 500:
            self.failures.append(sentence)
        raise UnansweredError(sentence)

    def _read(self, content: str, read: Callable[[Any], T]) -> T:
        try:
            return read(json.loads(content))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise UnansweredError(
                f"a server must answer in the form it was asked, got {error!r:.120} of "
                f"{content[:120]!r}; the server is at fault"
            ) from None


def _read_chat(answer: Any) -> str:
    content = answer["choices"][0]["message"].get("content")
    if isinstance(content, list):  # of parts
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise ValueError(f"content {content!r:.40}")
    return content or ""


def _read_choice(answer: Any, options: Sequence[str]) -> Decided:
    answers = answer["answers"]
    given = answers[_QUESTION] if isinstance(answers, Mapping) else answers[0]
    if given.get("type") == "refusal":
        raise ValueError(f"a {given['type']}")
    by_option = given["probabilities"]
    if isinstance(by_option, list):
        by_option = {part["value"]: part["probability"] for part in by_option}
    return Decided(probabilities=read_shares(by_option, options), label_mass=math.nan)
