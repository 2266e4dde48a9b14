"""A decision model behind HTTP: typed questions to `/v1/systemone`, as `transformers serve` has it.

Nothing is sent anywhere but to the address that was named: no proxy, no redirect.
"""

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NoReturn

from equipoise.errors import ModelError, RequestError
from equipoise.inference.deciding import DECISION, QUESTION, typed_question
from equipoise.inference.request_kinds import takes
from equipoise.progress.bars import counted
from equipoise.records import JSON, Decided, Decision, ModelKind
from equipoise.transport import KEY, Transport, hide_secrets, is_address, read_shares

_ENDPOINT = "/v1/systemone"
_IN_FLIGHT = 4  # requests at a time
_YES_NO = ("yes", "no")


def is_server(name: str) -> bool:
    """Whether a model's name is that of a decision model behind HTTP."""
    return name.startswith((f"{DECISION}http://", f"{DECISION}https://"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionServer:
    """A `Scorer` that answers nothing but decisions, and does not say what they rest on.

    A request that fails on the way, or with 408, 429 or 5xx, is tried again, `tries` times in all,
    after 1, 2, 4, … seconds.
    """

    address: str  # "http://127.0.0.1:8000" and a path, if any
    model: str  # the name under which the server knows it
    seconds: float = 120.0  # that an answer may take
    tries: int = 4

    @classmethod
    def parse(cls, name: str) -> "DecisionServer":
        """Read "decision:http://HOST:PORT#NAME". Raises `ModelError`."""
        address, _, model = name.removeprefix(DECISION).partition("#")
        if not (is_server(name) and is_address(address) and model):
            shown = hide_secrets(name)
            raise ModelError(
                f"a decision server is named decision:http://HOST:PORT#NAME, got '{shown}'; write "
                f"that, and put a key that it asks for into {KEY}"
            )
        return cls(address=address.rstrip("/").removesuffix(_ENDPOINT), model=model)

    @property
    def identity(self) -> str:
        """As it was named: what weights it has is not known."""
        return f"{DECISION}{self.address}#{self.model}"

    @property
    def kind(self) -> ModelKind:
        """Taken to be causal; it is not asked anything that would depend on it."""
        return "causal"

    @property
    def info(self) -> Mapping[str, JSON]:
        """Its address and name; a server tells neither its prompt nor its weights."""
        return {"kind": "decision", "server": self.address, "name": self.model, "decision": None}

    @property
    def trained_on(self) -> frozenset[str]:
        """Not known, so that nothing is refused."""
        return frozenset()

    def variants(self) -> Sequence["DecisionServer"]:
        """Itself alone."""
        return [self]

    @takes(Decision)
    def decide(self, requests: Sequence[Decision]) -> list[Decided]:
        """Probabilities of options, renormalized where rounding left a sum within 0.01 of 1.

        Raises `RequestError` for an answer that does not come, or has no such probabilities.
        """
        key = self._transport.read_key()
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            answers = pool.map(self._ask, range(len(requests)), requests, repeat(key))
            return list(counted(answers, self.identity, len(requests), unit="question"))

    @property
    def _transport(self) -> Transport:
        return Transport(address=self.address, seconds=self.seconds, tries=self.tries)

    def _ask(self, number: int, request: Decision, key: str) -> Decided:
        """A question, until it is answered or there is no use in trying again."""
        questions = typed_question(number, request)
        body = {"model": self.model, "state": request.text, "questions": questions}
        answer = self._transport.post(_ENDPOINT, json.dumps(body).encode(), key)
        if answer.status != 200:
            raise RequestError(
                number,
                f"must be answered by {self.address}{_ENDPOINT}, got in {answer.tries} tries: "
                f"{answer.reason}; see that it serves '{self.model}'",
            )
        return _read_answer(answer.content, request, number)

    def _refuse(self, requests: Sequence[object], *, seed: int = 0) -> NoReturn:  # noqa: ARG002
        raise ModelError(
            f"a decision server answers typed questions only, {self.identity} was asked "
            f"{len(requests)} others; see docs/decision-models.md"
        )

    score = infill = score_pairs = next_token = generate = embed = _refuse


def _read_answer(content: bytes, request: Decision, number: int) -> Decided:
    """Probabilities from a System One answer. Raises `RequestError` for anything else."""
    try:
        answer: Any = json.loads(content)["answers"][QUESTION]
        options = request.options or _YES_NO
        yes = None if request.options else answer["noul"]
        by_option = dict(answer["probabilities"]) if yes is None else {"yes": yes, "no": 1 - yes}
        shares = read_shares(by_option, options)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise RequestError(
            number,
            f"must be answered with a probability in [0, 1] for each option, got {error!r:.200} of "
            f"{content[:200].decode(errors='replace')!r}; the server is at fault",
        ) from None
    return Decided(probabilities=shares, label_mass=math.nan)
