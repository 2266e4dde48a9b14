"""Endpoint: a model behind HTTP grades texts, in writing or by typed decisions.

BiasGym, section 4.2, has GPT-4o and a 70B model as judges behind an address.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.errors import ModelError
from equipoise.files.atomic import sha256
from equipoise.judge.base import Judge
from equipoise.judging.asking import (
    decided_judgement,
    read_judgement,
    reply_schema,
    typed_questions,
    written_question,
)
from equipoise.judging.degenerate import why_degenerate
from equipoise.judging.endpoint_client import DECISIONS, SYSTEMONE, EndpointClient
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.judging.questions import TRIES
from equipoise.option_errors import SecretError
from equipoise.plugins import AsksServer, ReadsFiles
from equipoise.records import JSON, OPTIONS, Decided
from equipoise.transport import KEY, is_address

_PATHS: Final = {"systemone": SYSTEMONE, "decisions": DECISIONS}


def _check_address(address: str) -> str:
    if not is_address(address):
        raise SecretError(
            "must be http(s)://HOST:PORT without a user or a key, which goes into the environment "
            f"({KEY})"
        )
    return address.rstrip("/")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Endpoint(Judge, ReadsFiles, AsksServer):
    """Grade texts with a model behind HTTP; no other address is ever asked.

    `form="chat"`: a JSON object is asked for at temperature 0, twice more with a reminder where no
    verdict can be read. `systemone` and `decisions`: probabilities of the grades over all four
    orders of the options, with the flip rate. A text that the server refuses or does not answer,
    `tries` times, has no judgement; eight in a row stop the run, as does an answer to none of them.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "biasgym"
    transport: ClassVar[frozenset[str]] = frozenset(
        ("seconds", "tries", "per_minute", "in_flight", "record", "replay")
    )
    address: Annotated[str, AfterValidator(_check_address)]  # http(s)://HOST:PORT and a path
    model: Annotated[str, Field(min_length=1)]  # the name under which the server knows it
    form: Literal["chat", "systemone", "decisions"] = "chat"  # what is spoken there
    schema: bool = True  # of chat: send the JSON schema of a reply; servers may refuse it
    max_tokens: Annotated[int, Field(ge=1)] = 400  # of a written reply
    seconds: Annotated[float, Field(gt=0)] = 120.0  # that an answer may take
    tries: Annotated[int, Field(ge=1)] = 4  # of a request that fails on the way, or with 429 or 5xx
    per_minute: Annotated[float, Field(gt=0)] | None = None  # requests at most; null: no limit
    in_flight: Annotated[int, Field(ge=1, le=64)] = 4  # requests at a time
    record: Annotated[Path, AfterValidator(Path.absolute)] | None = None  # file that keeps replies
    replay: bool = False  # answer from that file alone, and send nothing

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        """A judgement of each text; equal texts are asked once."""
        return self.judge_again(texts, 0)

    def judge_again(self, texts: Sequence[JudgedText], repeat: int) -> list[Judgement]:
        """The same; a recording keeps the replies to each repeat apart."""
        different = list(dict.fromkeys(texts))
        ask = self._write if self.form == "chat" else self._decide
        judgements = dict(zip(different, ask(different, repeat), strict=True))
        return [
            dataclasses.replace(judgements[text], degenerate=why_degenerate(text.text))
            for text in texts
        ]

    def info(self) -> Mapping[str, JSON]:
        """Its address and name; what weights it has is not known."""
        return {"server": self.address, "model": self.model, "form": self.form}

    def files(self) -> Mapping[str, str]:
        """sha256 of the replies that are replayed. Raises `ModelError` when there are none."""
        if not self.replay:
            return {}
        if self.record is None or not self.record.is_file():
            raise ModelError(
                f"a replay must have a file of recorded replies, got {self.record}; record one "
                "first, or leave replay out"
            )
        return {"replies": sha256(self.record)}

    def _decide(self, texts: Sequence[JudgedText], repeat: int) -> list[Judgement]:
        client, path = client_of(self), _PATHS[self.form]

        def ask(text: JudgedText) -> list[Decided]:
            questions = typed_questions(text)
            return [client.decide(question, path, repeat=repeat) for question in questions]

        answers, reasons = client.ask_all(ask, texts)
        return [
            _unasked(reasons[k])
            if k in reasons
            else decided_judgement(text, typed_questions(text), answers[k])
            for k, text in enumerate(texts)
        ]

    def _write(self, texts: Sequence[JudgedText], repeat: int) -> list[Judgement]:
        client = client_of(self)

        def ask(text: JudgedText) -> Judgement:
            for tried in range(TRIES):
                message = {"role": "user", "content": written_question(text, tried=tried)}
                schema = reply_schema(text.scale) if self.schema else None
                written = client.chat(
                    [message], 0.0, 0, max_tokens=self.max_tokens, schema=schema, repeat=repeat
                )
                judgement = read_judgement(written, text)
                if judgement.reason is None:
                    break
            return judgement

        answers, reasons = client.ask_all(ask, texts)
        return [_unasked(reasons[k]) if k in reasons else answers[k] for k in range(len(texts))]


@lru_cache(maxsize=8)
def client_of(judge: Endpoint) -> EndpointClient:
    """The judge's client, kept so that its pace and its place in a recording go on."""
    return EndpointClient(
        address=judge.address,
        model=judge.model,
        seconds=judge.seconds,
        tries=judge.tries,
        per_minute=judge.per_minute,
        in_flight=judge.in_flight,
        record=judge.record,
        replay=judge.replay,
    )


def _unasked(reason: str) -> Judgement:
    return Judgement(strength=math.nan, reason=reason)
