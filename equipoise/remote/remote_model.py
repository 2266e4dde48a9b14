"""RemoteModel: a model behind an OpenAI-compatible server; a `Scorer` whose weights are unknown.

Texts are sent as token ids where the model's tokenizer is given, which makes numbers those of the
model in memory under every prefix policy. Else they are sent as texts, the server's tokens are
matched with their characters (`alignment`), and its own start token, if any, stands in front.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from equipoise.dialogues import Dialogue
from equipoise.errors import ModelError, RecipeError, RequestError
from equipoise.inference.request_hash import describe_request
from equipoise.inference.scorer import Reading as TextReading
from equipoise.inference.scoring import build_scored, next_words, scorable_difference
from equipoise.models.start_token import start_token
from equipoise.models.tokenization import Marked, tokenizer_sha256
from equipoise.plugins import options_of
from equipoise.progress.messages import say
from equipoise.records import (
    JSON,
    Continuation,
    Generation,
    ModelKind,
    NextToken,
    NextTokenScored,
    Request,
    Scored,
    ScoredPair,
    TextPair,
)
from equipoise.remote.cost import Cost, cost_of
from equipoise.remote.options import SCHEME, ServerOptions
from equipoise.remote.probe import Reading, Writing, try_reading, try_writing
from equipoise.remote.reading import LocalTokens, PromptReader
from equipoise.remote.server import Server
from equipoise.remote.wire import (
    CHAT,
    COMPLETIONS,
    Message,
    UnreadableError,
    read_written,
    writing_body,
)

_SCORED: Final = (Continuation, NextToken, TextPair)
_WRITTEN: Final = (Generation, Dialogue)
_PLAIN = Generation(context="", max_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """A causal model behind a server. Its methods are those of `inference.scorer.Scorer`."""

    server: Server
    local: LocalTokens | None = None  # its tokenizer on this machine, if that is known
    text_reading: TextReading = "text"
    reading: Reading | None = None  # how prompts are read; None: not tried
    writing: Writing | None = None  # how texts are written; None: not tried
    said: Mapping[str, JSON] | None = None  # by the server of itself; None: not asked
    called: str | None = None  # what results call it, beside its identity

    @property
    def identity(self) -> str:
        """As it was named, with the options that answers depend on; its weights are not known."""
        default = ServerOptions()
        options = {
            name: value
            for name, value in self._answer_options().items()
            if value != getattr(default, name)
        }
        name = f"{SCHEME}:{self.server.address}/v1#{self.server.model}"
        return f"{name}+{json.dumps(options, sort_keys=True)}" if options else name

    @property
    def kind(self) -> ModelKind:
        """Taken to be causal."""
        return "causal"

    @property
    def info(self) -> Mapping[str, JSON]:
        """Address, name, how it is asked, and what was found out about it."""
        info: dict[str, JSON] = {
            "kind": self.kind,
            "name": self.server.model,
            "server": self.server.address,
            "asked": self._answer_options(),
        }
        if self.local is not None:
            tokenizer, start = self.local.tokenizer, self.local.start_id
            info |= {
                "tokenizer": type(tokenizer).__name__,
                "tokenizer_sha256": tokenizer_sha256(tokenizer, specials=False),
                "start": start_token(tokenizer, self.local.start).rule,
                "start_token_id": start,
                "start_token": None if start is None else tokenizer.convert_ids_to_tokens(start),
            }
        elif self.reading is not None:
            starts = self.reading.starts + self.reading.unlisted
            info["start"] = "server" if starts else "none"
        info["reads"] = None if self.reading is None else asdict(self.reading)
        info["writes"] = None if self.writing is None else asdict(self.writing)
        if self.called is not None:
            info["called"] = self.called
        return {**info, "server_says": None if self.said is None else dict(self.said)}

    @property
    def trained_on(self) -> frozenset[str]:
        """Not known, so that nothing is refused."""
        return frozenset()

    def variants(self) -> Sequence["RemoteModel"]:
        """Itself alone."""
        return [self]

    def reading_as(self, reading: TextReading) -> "RemoteModel":
        """The same for a benchmark of questions, or of texts."""
        return replace(self, text_reading=reading)

    def keeping_in(self, replies: Path | None) -> "RemoteModel":
        """The same, with what the server replies kept in a file, and not asked for again."""
        return replace(self, server=replace(self.server, replies=replies))

    def cost(self, requests: Sequence[Request]) -> Cost:
        """The most that requests take. Raises `RecipeError` for what no server answers."""
        self._refuse(requests)
        return cost_of(requests, None if self.local is None else self.local.count)

    def checked_for(self, requests: Sequence[Request]) -> "RemoteModel":
        """The same, after it was tried that the server answers such requests.

        What the requests may take is said before anything is sent. Raises `RecipeError` for what
        no server answers and for more than `most_tokens`, `ModelError` for what this one cannot.
        """
        options, cost = self.server.options, self.cost(requests)
        say(cost.describe(self.server.model, options))
        if options.most_tokens is not None and cost.tokens > options.most_tokens:
            raise RecipeError(
                f"at most {options.most_tokens:,} tokens may be sent and written (most_tokens), "
                f"this may take {cost.tokens:,}; take fewer items (limit), or raise most_tokens"
            )
        model = replace(self, said=self.server.describe())
        if any(isinstance(request, _SCORED) for request in requests):
            model = replace(model, reading=self._try_reading())
        if any(isinstance(request, _WRITTEN) for request in requests):
            model = replace(model, writing=try_writing(self.server, chat=options.chat))
        return model

    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Log-probabilities of continuations; a token across the border is the continuation's."""
        reader = self._reader()
        texts = [
            Marked(r.context + r.continuation, len(r.context), len(r.context + r.continuation))
            for r in requests
        ]
        prefixes = [reader.prefix_of(request) for request in requests]
        reads = reader.read(texts, prefixes, range(len(texts)))
        scored: list[Scored] = []
        for number, (request, read) in enumerate(zip(requests, reads, strict=True)):
            places = [place for place in read.tokens.marked if place in read.logprobs]
            greedy = None
            if request.greedy:
                if not read.likeliest.keys() >= set(places):
                    raise RequestError(
                        number,
                        f"asks for the likeliest token in each place, which {self.server.address} "
                        "does not tell; leave that metric out",
                    )
                greedy = all(read.logprobs[place] >= read.likeliest[place] for place in places)
            scored.append(
                build_scored(
                    [read.logprobs[place] for place in places],
                    read.tokens,
                    request.continuation,
                    places,
                    greedy=greedy,
                )
            )
        return scored

    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """Log-probabilities of words; of several tokens the product over them."""
        return next_words(self.score, requests)

    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """Log-probabilities of tokens of the difference of two texts."""
        for number, request in enumerate(requests):
            if request.view != "left":
                raise RequestError(
                    number,
                    f"needs a masked model, {self.identity} is taken to be causal; choose a score "
                    "for causal models",
                )
        texts = [
            Marked(text, 0, len(text))
            for request in requests
            for text in (request.first, request.second)
        ]
        reads = self._reader().read(
            texts, ["bos"] * len(texts), [number // 2 for number in range(len(texts))]
        )
        pairs: list[ScoredPair] = []
        for request, first, second in zip(requests, reads[::2], reads[1::2], strict=True):
            sides = scorable_difference(
                (first.tokens.ids, second.tokens.ids),
                request.tokens,
                (first.logprobs.keys(), second.logprobs.keys()),
            )
            left, right = (
                Scored(
                    token_logprobs=tuple([read.logprobs[place] for place in side]),
                    bytes=read.tokens.bytes_of(side),
                )
                for read, side in zip((first, second), sides, strict=True)
            )
            pairs.append(ScoredPair(first=left, second=right))
        return pairs

    def generate(self, requests: Sequence[Generation], *, seed: int) -> list[str]:
        """What the server writes after each context, or answers to it in a chat.

        The seed that is sent is made of `seed` and the request, as for a model in memory.
        """
        chat = self.server.options.chat
        extras = self._check_writing(requests)
        bodies = [
            writing_body(
                self.server.model,
                self._messages((request.context,), ()) if chat else request.context,
                request,
                seed=_seed_of(request, seed),
                extras=extras,
            )
            for request in requests
        ]
        if self.local is not None and not chat:  # as in memory, behind the start token
            prompts = [self.local.prompt(request.context) for request in requests]
            bodies = [
                {**body, "prompt": [*prompt]} for body, prompt in zip(bodies, prompts, strict=True)
            ]
        answers = self.server.ask_all(CHAT if chat else COMPLETIONS, bodies, range(len(bodies)))
        return [_text(answer, number) for number, answer in enumerate(answers)]

    def converse(self, requests: Sequence[Dialogue], *, seed: int) -> list[tuple[str, ...]]:
        """The model's answer to each turn, given its own answers before; all k-th turns at once."""
        if not self.server.options.chat:
            raise ModelError(
                f"a dialogue needs a model that is asked in a chat, got {self.identity} as plain "
                "text; set chat (--chat)"
            )
        asked = [
            replace(
                _PLAIN, max_tokens=r.max_tokens, temperature=r.temperature, top_p=r.top_p,
                sample=r.sample,
            )
            for r in requests
        ]  # fmt: skip
        extras = self._check_writing(asked)
        answers: list[list[str]] = [[] for _ in requests]
        for turn in range(max((len(request.turns) for request in requests), default=0)):
            places = [k for k, request in enumerate(requests) if turn < len(request.turns)]
            bodies = [
                writing_body(
                    self.server.model,
                    self._messages(requests[k].turns[: turn + 1], answers[k]),
                    asked[k],
                    seed=_seed_of(requests[k], seed),
                    extras=extras,
                )
                for k in places
            ]
            for k, answer in zip(places, self.server.ask_all(CHAT, bodies, places), strict=True):
                answers[k].append(_text(answer, k))
        return [tuple(texts) for texts in answers]

    def _cannot(self, requests: Sequence[Request], *, seed: int = 0) -> NoReturn:  # noqa: ARG002
        self._refuse(requests)
        raise ModelError(f"{self.identity} must be asked by another method, got {requests!r:.60}")

    infill = embed = decide = _cannot

    def _refuse(self, requests: Sequence[Request]) -> None:
        """Raise `RecipeError` for requests that no such server answers."""
        chat = self.server.options.chat
        for kind in dict.fromkeys(type(request) for request in requests):
            what = kind.__name__
            if kind not in _SCORED + _WRITTEN:
                raise RecipeError(
                    "a model behind a server gives texts and log-probabilities of tokens, this "
                    f"benchmark asks for a {what} with these options; take other options, or "
                    "measure the model in memory"
                )
            if chat and kind in _SCORED:
                raise RecipeError(
                    "the chat of a server gives no log-probabilities of a text, this benchmark "
                    f"asks for a {what}; leave the chat out, or take options that have texts "
                    "written"
                )
            if chat and kind is Generation and self.text_reading == "text":
                raise RecipeError(
                    "a chat of a server closes each turn, so that no text runs on in it, this "
                    f"benchmark has texts continued ({what}); leave the chat out"
                )

    def _answer_options(self) -> dict[str, JSON]:
        """The options that answers depend on."""
        return options_of(self.server.options, transport=False)

    def _reader(self) -> PromptReader:
        reading = self._try_reading() if self.reading is None else self.reading
        return PromptReader(server=self.server, local=self.local, reading=reading)

    def _try_reading(self) -> Reading:
        return try_reading(self.server, None if self.local is None else self.local.encode)

    def _check_writing(self, requests: Sequence[Generation]) -> bool:
        """Whether settings beyond OpenAI's are sent. Raises `RequestError` where they must be."""
        chat = self.server.options.chat
        writing = try_writing(self.server, chat=chat) if self.writing is None else self.writing
        for number, request in enumerate(() if writing.extras else requests):
            values = (request.top_k, request.min_tokens, request.repetition_penalty)
            if values != (_PLAIN.top_k, _PLAIN.min_tokens, _PLAIN.repetition_penalty):
                raise RequestError(
                    number,
                    f"asks for top_k, min_tokens and repetition_penalty {values}, which "
                    f"{self.server.address} refuses; leave these options out",
                )
        return writing.extras

    def _messages(self, turns: Sequence[str], answers: Sequence[str]) -> list[Message]:
        """A conversation up to the last turn of the user."""
        system = self.server.options.system
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        for place, turn in enumerate(turns):
            messages.append({"role": "user", "content": turn})
            if place < len(answers):
                messages.append({"role": "assistant", "content": answers[place].strip()})
        return messages


def _seed_of(request: Request, seed: int) -> int:
    """A seed of 31 bits, which every server takes."""
    digest = hashlib.sha256(json.dumps([seed, describe_request(request)]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _text(answer: Any, number: int) -> str:
    try:
        return read_written(answer)
    except UnreadableError as error:
        raise RequestError(number, f"cannot be read, as the server {error}; update it") from None
