"""All that measuring and judging need of a model. No torch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from equipoise.dialogues import Dialogue
from equipoise.errors import ModelError, RequestError
from equipoise.records import (
    JSON,
    Continuation,
    Decided,
    Decision,
    Embedding,
    Generation,
    Infill,
    ModelKind,
    NextToken,
    NextTokenScored,
    Request,
    Response,
    Scored,
    ScoredPair,
    TextPair,
)

#: What a benchmark puts to a model: a question that is answered, or a text that runs on.
Reading: TypeAlias = Literal["question", "text"]


@runtime_checkable
class TakesTurns(Protocol):
    """A scorer that asks otherwise for a question than for a text, as a chat has turns."""

    def reading_as(self, reading: Reading) -> "Scorer":
        """The scorer for a benchmark of this reading."""


class Scorer(Protocol):
    """A model that answers requests. Answers come in the order asked.

    Answers do not depend on batch size, order or company (float32: 1e-5 nats).
    Every method raises `ModelError` naming the request when a text is longer than the model's
    context, when the model's kind cannot answer, or when an answer is not finite.
    """

    @property
    def identity(self) -> str:
        """Name and revision, and any edit; two equal identities score alike."""

    @property
    def kind(self) -> ModelKind:
        """Whether it predicts the next token or a masked token."""

    @property
    def info(self) -> Mapping[str, JSON]:
        """What a result must record: kind, dtype, prefix policy and token ids, revision, edit."""

    @property
    def trained_on(self) -> frozenset[str]:
        """sha256 (hex) of each text that an edit of this model has learnt from."""

    def variants(self) -> Sequence["Scorer"]:
        """Models to measure in turn and report as mean and spread; usually just this model.

        A family of prompt prefixes has a variant per prefix.
        """

    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Log-probabilities of continuations."""

    def infill(self, requests: Sequence[Infill]) -> list[Scored]:
        """Log-probabilities of masked spans; masked models only."""

    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """Log-probabilities over the common or differing tokens of two texts."""

    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """Log-probabilities of single words after a context."""

    def generate(self, requests: Sequence[Generation], *, seed: int) -> list[str]:
        """Continuations; the same seed gives the same texts."""

    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """Pooled hidden states: [text, feature]."""

    def decide(self, requests: Sequence[Decision]) -> list[Decided]:
        """Probabilities of the options of typed questions; decision models only."""


@runtime_checkable
class CutsTexts(Protocol):
    """A scorer with a tokenizer, which says where measured texts meet its added tokens."""

    def added_tokens_in(self, texts: Iterable[str]) -> list[str]:
        """The added tokens that some text is cut at."""


@runtime_checkable
class HasUnigram(Protocol):
    """A scorer that can answer without reading contexts: a null of its own."""

    def as_unigram(self, texts: Sequence[str]) -> Scorer:
        """The scorer that gives a token, wherever it stands, its mean probability in these texts.

        The mean is over all places, of what the model expects there, by its weights as they are.
        """


@runtime_checkable
class Rehearses(Protocol):
    """A scorer that can say at once which request it cannot answer, a text that is too long."""

    def as_rehearsal(self) -> Scorer:
        """The scorer that refuses what this one would, and answers the rest without reading it.

        Its answers mean nothing.
        """


@runtime_checkable
class ChecksFirst(Protocol):
    """A scorer that finds out what it can answer before it is asked: a model behind a server."""

    def checked_for(self, requests: Sequence[Request]) -> Scorer:
        """The scorer, with what was found out in its `info`.

        Raises `RecipeError` and `ModelError` for requests that it cannot answer.
        """


@runtime_checkable
class WritesTexts(Protocol):
    """A scorer that says how it writes, which is tried only where a benchmark has it write."""

    def writing_layout(self) -> Mapping[str, JSON]:
        """What is done otherwise than for most models; usually empty."""


@runtime_checkable
class HoldsDialogues(Protocol):
    """A scorer that answers in turns: a model asked in a chat."""

    def converse(self, requests: Sequence[Dialogue], *, seed: int) -> list[tuple[str, ...]]:
        """The model's answer to each turn of each dialogue; the same seed gives the same texts.

        Raises `ModelError` naming a dialogue that may not fit the model's context.
        """


def prepare(model: Scorer, reading: Reading, requests: Sequence[Sequence[Request]]) -> Scorer:
    """The model as it is asked for a benchmark, and seen to answer it where that can be tried."""
    if isinstance(model, TakesTurns):
        model = model.reading_as(reading)
    if isinstance(model, ChecksFirst):
        model = model.checked_for([request for asks in requests for request in asks])
    return model


def has_it_write(asks: Sequence[Sequence[Request]]) -> bool:
    """Whether some request is for a text that the model writes."""
    return any(isinstance(request, Generation | Dialogue) for part in asks for request in part)


def form_notes(info: Mapping[str, JSON]) -> Iterator[str]:
    """That a model pools its own way, was asked outside a chat, or in the midst of a thought."""
    pooling = info.get("pooling")
    if info.get("kind") == "encoder" and isinstance(pooling, list):
        length = "of length 1" if info.get("normalized") else "not normalized"
        yield (
            f"form: a sentence encoder with a pooling of its own ({', '.join(map(str, pooling))}; "
            f"vectors {length}), whatever the benchmark's pooling"
        )
    chat = info.get("chat")
    if info.get("kind") == "causal" and info.get("chat_template") and chat is None:
        yield (
            "form: measured as plain text, though the model has a chat template; --chat (in Python "
            "`model.in_chat()`) measures inside its turns, and the answer may be another"
        )
    if isinstance(chat, dict) and chat.get("thinking") == "open":
        yield (
            "form: the chat template opens a thought and cannot be told to leave it out, so that "
            "answers stand inside of it"
        )


def answer(model: Scorer, requests: Sequence[Request], *, seed: int) -> list[Response]:
    """Put requests of any kinds to a model, one bulk call per kind; answers in the order asked.

    A text that is to be embedded for many examples is embedded once.
    Raises `RequestError` with the place of a request that cannot be answered, and `ModelError`
    when the model gives another number of answers than there are requests.
    """
    methods: dict[type[Request], Callable[..., Iterable[Response]]] = {
        Continuation: model.score,
        Infill: model.infill,
        TextPair: model.score_pairs,
        NextToken: model.next_token,
        Generation: partial(model.generate, seed=seed),
        Embedding: model.embed,
        Decision: model.decide,
        Dialogue: partial(_converse, model, seed=seed),
    }
    # kept, as a scorer numbers the requests of its own call alone
    places_of: dict[type[Request], list[int]] = {}
    for k, request in enumerate(requests):
        places_of.setdefault(type(request), []).append(k)
    answers: dict[int, Response] = {}
    for kind, method in methods.items():
        places = places_of.get(kind)
        if places is None:
            continue
        if kind is Embedding:
            # benchmarks compare many texts with the same few
            first = {requests[k]: k for k in reversed(places)}
            vectors = _ask(model, method, requests, [*first.values()])
            of = dict(zip(first, vectors, strict=True))
            answers |= {k: of[requests[k]] for k in places}
            continue
        answers.update(zip(places, _ask(model, method, requests, places), strict=True))
    return [answers[k] for k in range(len(requests))]


def _converse(model: Scorer, requests: Sequence[Dialogue], *, seed: int) -> list[tuple[str, ...]]:
    if not isinstance(model, HoldsDialogues):
        raise ModelError(
            f"a dialogue needs a model that is asked in a chat, got {model.identity} as plain "
            "text; give --chat (in Python measure `model.in_chat()`), which takes a model with a "
            "chat template"
        )
    return model.converse(requests, seed=seed)


def _ask(
    model: Scorer,
    method: Callable[..., Iterable[Response]],
    requests: Sequence[Request],
    places: Sequence[int],
) -> list[Response]:
    """The answers to the requests at these places, all of the kind that the method takes."""
    try:
        responses = list(method([requests[k] for k in places]))
    except RequestError as error:
        raise RequestError(places[error.number], error.sentence) from None
    if len(responses) != len(places):
        raise ModelError(
            f"{model.identity} must answer {len(places)} {type(requests[places[0]]).__name__} "
            f"requests, got {len(responses)} answers; fix the scorer"
        )
    return responses
