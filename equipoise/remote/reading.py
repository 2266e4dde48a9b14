"""Texts to a server's log-probabilities of their tokens, as the prefix policies have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.models.start_token import start_token
from equipoise.models.tokenization import (
    Ids,
    Marked,
    Tokens,
    adds_start,
    encode,
    without_start,
)
from equipoise.records import Continuation, Prefix
from equipoise.remote.alignment import align
from equipoise.remote.probe import Reading
from equipoise.remote.server import Server
from equipoise.remote.wire import (
    COMPLETIONS,
    PromptReading,
    UnreadableError,
    read_prompt,
    reading_body,
)


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text's tokens, and log-probabilities (nats) by position, of those that can be scored."""

    tokens: Tokens
    logprobs: Mapping[int, float]
    likeliest: Mapping[int, float]  # of any token in each place, as far as it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTokens:
    """The model's tokenizer on this machine: texts are cut as for a model in memory."""

    tokenizer: PreTrainedTokenizerBase
    start: str  # `models.start_token.start_token`

    @property
    def start_id(self) -> int | None:
        """The start token; None: none."""
        return start_token(self.tokenizer, self.start).id

    @property
    def adds_start(self) -> bool:
        """Whether the tokenizer puts it before a text by itself."""
        return adds_start(self.tokenizer, self.start_id)

    def tokenize(self, texts: Sequence[Marked]) -> list[Tokens]:
        """Texts without a start token, which the prefix policy adds."""
        start = self.start_id
        encoded = encode(self.tokenizer, texts, specials=False)
        return [without_start(tokens, start) for tokens in encoded]

    def encode(self, text: str) -> Ids:
        """The ids of a text."""
        return self.tokenize([Marked(text, 0, 0)])[0].ids

    def prompt(self, text: str) -> Ids:
        """The ids of a text behind the start token."""
        start = self.start_id
        return self.encode(text) if start is None else (start, *self.encode(text))

    def count(self, text: str) -> int:
        """Tokens of a text, a start token included."""
        return len(self.prompt(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReader:
    """Reads the tokens of marked spans; `owners` are the requests that a `RequestError` names."""

    server: Server
    local: LocalTokens | None  # None: texts are sent, and the server's tokens taken
    reading: Reading

    def prefix_of(self, request: Continuation) -> Prefix:
        """The prefix policy of a request, "own" settled as lm-evaluation-harness 0.4.13 has it.

        Without a tokenizer "own" is what the server itself does.
        """
        if request.prefix != "own":
            return request.prefix
        if self.local is None or self.local.adds_start or not request.context:
            return "bos"
        return "none"

    def read(
        self, texts: Sequence[Marked], prefixes: Sequence[Prefix], owners: Sequence[int]
    ) -> list[ReadText]:
        """Each text under its prefix policy."""
        if self.local is None:
            return self._read_texts(texts, prefixes, owners)
        return self._read_ids(self.local, texts, prefixes, owners)

    def _read_ids(
        self,
        local: LocalTokens,
        texts: Sequence[Marked],
        prefixes: Sequence[Prefix],
        owners: Sequence[int],
    ) -> list[ReadText]:
        start = local.start_id
        tokenized = local.tokenize(texts)
        plans = [
            queries.causal(tokens.ids, tokens.marked, prefix, start)
            for tokens, prefix in zip(tokenized, prefixes, strict=True)
        ]
        # what is read last is fed, too, since a prompt is scored up to its end
        prompts: list[Ids] = [(*q.ids, q.reads[-1][1]) for plan in plans for q in plan]
        asking = [owner for owner, plan in zip(owners, plans, strict=True) for _ in plan]
        answers = iter(self._ask(prompts, asking))
        reads: list[ReadText] = []
        for tokens, plan, prefix, owner in zip(tokenized, plans, prefixes, owners, strict=True):
            places = iter(queries.scored(tokens.marked, prefix, start))
            logprobs: dict[int, float] = {}
            likeliest: dict[int, float] = {}
            for query in plan:
                answer = next(answers)
                for position, _ in query.reads:
                    place = next(places)
                    logprobs[place] = _finite(answer.logprobs[position + 1], owner)
                    best = answer.likeliest[position + 1]
                    likeliest |= {} if best is None else {place: best}
            reads.append(ReadText(tokens, logprobs, likeliest))
        return reads

    def _read_texts(
        self, texts: Sequence[Marked], prefixes: Sequence[Prefix], owners: Sequence[int]
    ) -> list[ReadText]:
        starts = self.reading.starts
        for prefix, owner in zip(prefixes, owners, strict=True):
            if prefix != "bos" and (starts or self.reading.unlisted):
                raise RequestError(
                    owner,
                    f"asks for the prefix policy {prefix}, while {self.server.address} puts a "
                    "start token before every text; set tokenizer, so that token ids are sent",
                )
        answers = self._ask([text.text for text in texts], owners)
        reads: list[ReadText] = []
        for text, answer, owner in zip(texts, answers, owners, strict=True):
            try:
                tokens, front = align(text, answer.texts, answer.ids)
                if front != starts:
                    raise UnreadableError(f"puts {front} tokens before a text, elsewhere {starts}")
            except UnreadableError as error:
                raise self._refusal(owner, error) from None
            places = queries.scored(tokens.marked, "bos", starts or None)
            reads.append(
                ReadText(
                    tokens,
                    {place: _finite(answer.logprobs[place + front], owner) for place in places},
                    {
                        place: best
                        for place in places
                        if (best := answer.likeliest[place + front]) is not None
                    },
                )
            )
        return reads

    def _ask(self, prompts: Sequence[str | Ids], owners: Sequence[int]) -> list[PromptReading]:
        form, model = self.reading.form, self.server.model
        bodies = [reading_body(form, model, prompt) for prompt in prompts]
        answers = self.server.ask_all(COMPLETIONS, bodies, owners)
        readings: list[PromptReading] = []
        for prompt, answer, owner in zip(prompts, answers, owners, strict=True):
            try:
                readings.append(read_prompt(form, answer, prompt))
            except UnreadableError as error:
                raise self._refusal(owner, error) from None
        return readings

    def _refusal(self, owner: int, error: UnreadableError) -> RequestError:
        remedy = "set tokenizer, so that token ids are sent" if self.local is None else "update it"
        return RequestError(owner, f"cannot be read, as {self.server.address} {error}; {remedy}")


def _finite(value: float | None, owner: int) -> float:
    if value is None:
        raise RequestError(
            owner,
            f"must have a log-probability for each token, got {value}; the server is at fault",
        )
    return value
