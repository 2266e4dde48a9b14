"""What is sent to an OpenAI-compatible server, and how its answers are read.

The log-probabilities of a prompt have two forms: `prompt_logprobs` of vLLM, which names token ids,
and `echo` with `logprobs` of the older completions API, which names tokens by their texts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from equipoise.models.tokenization import Ids
from equipoise.records import JSON, Generation

COMPLETIONS: Final = "/v1/completions"
CHAT: Final = "/v1/chat/completions"
UNKNOWN: Final = "\ufffd"  # the text of a token that is not told, or no whole character
MOST_STARTS: Final = 2  # tokens that a server puts before a text
FLOOR: Final = -9999.0  # vLLM's for a probability of 0, which JSON cannot write as a logarithm

Form: TypeAlias = Literal["prompt_logprobs", "echo"]
Message: TypeAlias = Mapping[str, str]  # "role" and "content"
Body: TypeAlias = dict[str, JSON]


class UnreadableError(ValueError):
    """An answer without what was asked for; the message is what the server does, a verb first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReading:
    """What a server says of the tokens of a prompt, with a start token that it puts in front."""

    texts: tuple[str, ...]
    ids: Ids | None  # None: not told
    logprobs: tuple[float | None, ...]  # nats; None: nothing stands before the token
    likeliest: tuple[float | None, ...]  # of the likeliest token in each place; None: not told
    unlisted: int = 0  # tokens that it counts in the prompt and does not list: a start token


def reading_body(form: Form, model: str, prompt: str | Ids) -> Body:
    """Ask for the log-probability of each token of a prompt.

    A token is written after it, since `max_tokens: 0` is refused by vLLM without `echo`, and stands
    for no limit at all with llama-cpp-python.
    """
    asked: Body = {"echo": True}
    if form == "prompt_logprobs":
        asked = {"prompt_logprobs": 1, "return_token_ids": True}
    text: JSON = prompt if isinstance(prompt, str) else list(prompt)
    about: Body = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0.0}
    return {**about, "logprobs": 1, "stream": False, **asked}


def token_body(model: str, prompt: str | Ids, *, seed: int) -> Body:
    """Ask for a token after a prompt, with its log-probability; seed 0: the likeliest."""
    text: JSON = prompt if isinstance(prompt, str) else list(prompt)
    about: Body = {"model": model, "prompt": text, "max_tokens": 1, "seed": seed}
    return {**about, "temperature": float(seed > 0), "logprobs": 1, "stream": False}


def writing_body(
    model: str,
    asked: str | Sequence[Message],
    request: Generation,
    *,
    seed: int,
    extras: bool,
) -> Body:
    """Ask for a continuation of a text, or for the answer to messages.

    `extras`: with settings beyond OpenAI's, so that a server's own defaults (llama.cpp: the 40
    likeliest tokens, at least 0.05 of the likeliest, a penalty for repetition) change nothing.
    """
    prompt: JSON = asked if isinstance(asked, str) else [dict(message) for message in asked]
    body: Body = {
        "model": model,
        "prompt" if isinstance(asked, str) else "messages": prompt,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": seed,
        "stream": False,
    }
    if extras:
        body |= {
            "top_k": request.top_k,
            "min_p": 0.0,
            "min_tokens": request.min_tokens,
            "repetition_penalty": request.repetition_penalty,  # vLLM's name of it
            "repeat_penalty": request.repetition_penalty,  # llama.cpp's
        }
    return body


def read_written(answer: Any) -> str:
    """The text of a completion or of a chat's answer; "" where nothing was written.

    Raises `UnreadableError`.
    """
    try:
        choice = answer["choices"][0]
        content = choice["message"].get("content") if "message" in choice else choice["text"]
    except (TypeError, LookupError, AttributeError):
        raise UnreadableError(f"answers without a text, {str(answer)[:120]}") from None
    if content is not None and not isinstance(content, str):
        raise UnreadableError(f"answers with a text that is none, {str(content)[:60]!r}")
    return content or ""


def read_prompt(form: Form, answer: Any, prompt: str | Ids) -> PromptReading:
    """The log-probabilities in an answer to `reading_body`. Raises `UnreadableError`."""
    try:
        choice = answer["choices"][0]
        if form == "prompt_logprobs":
            return _read_prompt_logprobs(choice, prompt)
        return _read_echo(choice, answer.get("usage") or {}, prompt)
    except (TypeError, LookupError, AttributeError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"answers in no such form, {error!r:.120}") from None


def _read_prompt_logprobs(choice: Any, prompt: str | Ids) -> PromptReading:
    rows = choice.get("prompt_logprobs")
    if rows is None:
        raise UnreadableError(f"drops prompt_logprobs without a word, got {rows} of them")
    named = choice.get("prompt_token_ids")
    if named is None and isinstance(prompt, str):
        raise UnreadableError(
            f"gives prompt_logprobs without prompt_token_ids, got {named} of them"
        )
    ids = tuple(int(number) for number in (prompt if named is None else named))
    if not isinstance(prompt, str) and ids != prompt:
        raise UnreadableError(f"reads {len(ids)} other tokens than the {len(prompt)} it is sent")
    if len(rows) != len(ids):
        raise UnreadableError(f"gives {len(rows)} log-probabilities for {len(ids)} tokens")
    texts: list[str] = []
    logprobs: list[float | None] = []
    likeliest: list[float | None] = []
    for number, row in zip(ids, rows, strict=True):
        entry = None if row is None else row[str(number)]
        texts.append(UNKNOWN if entry is None else entry.get("decoded_token") or UNKNOWN)
        logprobs.append(None if entry is None else _to_logprob(entry["logprob"]))
        best = None if row is None else max(_to_logprob(each["logprob"]) for each in row.values())
        likeliest.append(best)
    return PromptReading(
        texts=tuple(texts), ids=ids, logprobs=tuple(logprobs), likeliest=tuple(likeliest)
    )


def read_token(answer: Any) -> tuple[str, float] | None:
    """The token in an answer to `token_body`, and its log-probability; None: not told."""
    try:
        listed = answer["choices"][0]["logprobs"]
        return str(listed["tokens"][-1]), _to_logprob(listed["token_logprobs"][-1])
    except (TypeError, LookupError, UnreadableError):
        return None


def _read_echo(choice: Any, usage: Any, prompt: str | Ids) -> PromptReading:
    listed = choice.get("logprobs")
    if not listed or not listed.get("token_logprobs"):
        raise UnreadableError(f"drops logprobs without a word, got {listed} of them")
    texts = [str(text) for text in listed["tokens"]]
    values = [None if value is None else _to_logprob(value) for value in listed["token_logprobs"]]
    tops = listed.get("top_logprobs") or [None] * len(texts)
    count = len(prompt)
    if isinstance(prompt, str):
        count = _count_prompt(str(choice.get("text")), prompt, texts, usage)
    elif not count <= len(texts) <= count + 1:
        raise UnreadableError(f"gives {len(texts)} log-probabilities for {count} tokens")
    if len(values) != len(texts) or len(tops) != len(texts):
        raise UnreadableError(f"gives {len(values)} log-probabilities for {len(texts)} tokens")
    if count < 1 or (isinstance(prompt, str) and not _echoes(choice.get("text"), texts, prompt)):
        raise UnreadableError(
            "gives log-probabilities of the tokens that it writes in place of the prompt's, of "
            f"{''.join(texts)[:40]!r}"
        )
    best = [
        max([value, *map(_to_logprob, top.values())]) if top and value is not None else None
        for value, top in zip(values, tops, strict=True)
    ]
    counted = usage.get("prompt_tokens")
    unlisted = max(0, counted - count) if isinstance(counted, int) else 0
    if unlisted > (MOST_STARTS if isinstance(prompt, str) else 0):
        raise UnreadableError(f"counts {counted} tokens in a prompt of which it lists {count}")
    return PromptReading(
        texts=tuple(texts[:count]), ids=None, logprobs=tuple(values[:count]),
        likeliest=tuple(best[:count]), unlisted=unlisted,
    )  # fmt: skip


def _count_prompt(text: str, prompt: str, texts: Sequence[str], usage: Any) -> int:
    """How many of the listed tokens are the prompt's: a token is written after it, if any.

    One that shows nothing may be listed (vLLM) or not (llama-cpp-python, which also leaves out the
    start token, though it counts it).
    """
    if text.startswith(prompt) and len(text) > len(prompt):
        return len(texts) - 1
    counted = usage.get("prompt_tokens")
    count = min(len(texts), counted) if isinstance(counted, int) else len(texts)
    shows_nothing = count > 1 and not texts[count - 1]
    return count - (shows_nothing and "".join(texts[: count - 1]).endswith(prompt[-4:]))


def _echoes(text: object, tokens: Sequence[str], prompt: str) -> bool:
    """Whether the answer repeats any of the prompt, cut short or not."""
    said = "".join(tokens)
    return str(text).startswith(prompt[:4]) or prompt[:4] in said or prompt[-4:] in said


def _to_logprob(value: object) -> float:
    if not isinstance(value, int | float) or not FLOOR < value <= 1e-4 or math.isnan(value):
        raise UnreadableError(f"gives {value!r} for the logarithm of a probability")
    return min(float(value), 0.0)
