"""What a server can do, tried on a few words before anything is measured.

A server may answer with status 200 and do something else than it was asked for: `transformers
serve` 5.24 drops `logprobs`, others give those of the tokens that they write. What is tried here is
checked again in every answer, as far as an answer shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

from equipoise.errors import ModelError, RequestError
from equipoise.models.tokenization import Ids, Marked
from equipoise.records import Generation
from equipoise.remote.alignment import align
from equipoise.remote.server import Server
from equipoise.remote.wire import (
    CHAT,
    COMPLETIONS,
    UNKNOWN,
    Form,
    PromptReading,
    UnreadableError,
    read_prompt,
    read_token,
    read_written,
    reading_body,
    token_body,
    writing_body,
)

_TEXT: Final = "The cat sat on the mat, and the dog sat on the"
_TOLERANCE: Final = 0.1  # nats; a batch of another size rounds otherwise in bfloat16
_TOKENS: Final = 6  # that are written, until one can be read again
_REFUSED: Final = ("status 400", "status 422")  # of a setting that a server does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a server is asked for the log-probabilities of a prompt."""

    form: Form
    starts: int  # tokens that it puts before a text by itself, and lists
    unlisted: int  # the same, not listed: the first token of a text then has no log-probability
    consistent: bool | None  # a token has the same where it is read and written; None: not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a server writes texts."""

    extras: bool  # it takes settings beyond OpenAI's
    greedy_repeats: bool  # the same text again at temperature 0
    seed_repeats: bool  # the same text again with the same seed


def try_reading(server: Server, encode: Callable[[str], Ids] | None) -> Reading:
    """The first form in which the server gives a prompt's log-probabilities.

    `encode`: to the ids that prompts are sent as; None: they are sent as texts.
    Raises `ModelError` that says what the server does in place of it.
    """
    reasons: list[str] = []
    for form in get_args(Form):
        try:
            return _try_form(server, form, encode or str)
        except UnreadableError as error:
            reasons.append(f"with {form} it {error}")
        except RequestError as error:
            reasons.append(f"with {form} a request {error.sentence}")
    raise ModelError(
        f"{server.address} must give the log-probabilities of a prompt for this benchmark, got "
        f"none for '{server.model}': {'; '.join(reasons)}; take a server of docs/remote-models.md, "
        "or a benchmark whose texts are written"
    )


def _try_form(server: Server, form: Form, encode: Callable[[str], str | Ids]) -> Reading:
    read, starts = _read(server, form, _TEXT, encode)
    scored = [value for value in read.logprobs if value is not None]
    if len(scored) > 1 and len(set(scored)) == 1:
        raise UnreadableError(f"gives every token the same log-probability, {scored[0]:g}")
    if len(scored) < len(read.logprobs) - 1:
        missing = len(read.logprobs) - len(scored)
        raise UnreadableError(f"gives no log-probability for {missing} of its tokens")
    consistent = _check_written(server, form, encode, read)
    return Reading(form=form, starts=starts, unlisted=read.unlisted, consistent=consistent)


def _read(
    server: Server, form: Form, text: str, encode: Callable[[str], str | Ids]
) -> tuple[PromptReading, int]:
    """What the server says of a text's tokens, and how many it puts before it."""
    prompt = encode(text)
    read = read_prompt(
        form, server.ask(COMPLETIONS, reading_body(form, server.model, prompt)), prompt
    )
    if not isinstance(prompt, str):
        return read, 0
    return read, align(Marked(text, len(text), len(text)), read.texts, read.ids)[1]


def _check_written(
    server: Server, form: Form, encode: Callable[[str], str | Ids], read: PromptReading
) -> bool | None:
    """Whether a token that is written is as probable when it is read behind the text.

    None: no token was told that is read as it was written.
    """
    for seed in range(_TOKENS):
        sampled = read_token(
            server.ask(COMPLETIONS, token_body(server.model, encode(_TEXT), seed=seed))
        )
        if sampled is None:
            return None
        token, written = sampled
        if not token.strip() or UNKNOWN in token:
            continue
        again, _ = _read(server, form, _TEXT + token, encode)
        last = again.logprobs[-1]
        if len(again.texts) != len(read.texts) + 1 or last is None:
            continue  # it is cut otherwise
        if abs(last - written) > _TOLERANCE:
            raise UnreadableError(
                f"gives a token {written:.2f} nats where it is written and {last:.2f} where it is "
                "read: those of a prompt are shifted or changed"
            )
        return True
    return None


def try_writing(server: Server, *, chat: bool) -> Writing:
    """Which settings the server takes, and whether it writes the same again.

    Raises `ModelError` when it writes nothing.
    """
    greedy = Generation(context=_TEXT, max_tokens=8)
    sampled = Generation(context=_TEXT, max_tokens=8, temperature=1.0)
    extras = True
    try:
        first = _write(server, greedy, extras=True, chat=chat)
    except RequestError as error:
        if not any(status in error.sentence for status in _REFUSED):
            raise _no_text(server, error.sentence) from None
        extras = False
        try:
            first = _write(server, greedy, extras=False, chat=chat)
        except RequestError as second:
            raise _no_text(server, second.sentence) from None
    return Writing(
        extras=extras,
        greedy_repeats=first == _write(server, greedy, extras=extras, chat=chat),
        seed_repeats=_write(server, sampled, extras=extras, chat=chat)
        == _write(server, sampled, extras=extras, chat=chat),
    )


def _write(server: Server, request: Generation, *, extras: bool, chat: bool) -> str:
    asked = [{"role": "user", "content": request.context}] if chat else request.context
    body = writing_body(server.model, asked, request, seed=1, extras=extras)
    try:
        return read_written(server.ask(CHAT if chat else COMPLETIONS, body))
    except UnreadableError as error:
        raise _no_text(server, f"must be answered with a text, but it {error}") from None


def _no_text(server: Server, reason: str) -> ModelError:
    return ModelError(
        f"{server.address} must write texts for this benchmark, but a request for a few words "
        f"{reason}"
    )
