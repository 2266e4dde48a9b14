"""Asking a model for what it can answer, where some requests cannot be: one that is too long."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from equipoise.errors import RequestError

R = TypeVar("R")
T = TypeVar("T")


def ask_answerable(
    method: Callable[[Sequence[R]], Sequence[T]], requests: Sequence[Sequence[R]]
) -> tuple[dict[int, list[T]], dict[int, str]]:
    """Answers by text, and of those with a request that cannot be answered the reason.

    `method` answers a list of requests, such as `LanguageModel.score`; `requests`: those of each
    text, which is answered whole or not at all.
    """
    reasons: dict[int, str] = {}
    while True:
        owners = [k for k, asks in enumerate(requests) if k not in reasons for _ in asks]
        asked = [request for k, asks in enumerate(requests) if k not in reasons for request in asks]
        try:
            answers = list(method(asked)) if asked else []
            break
        except RequestError as error:
            reasons[owners[error.number]] = f"the request {error.sentence}"
    by_text: dict[int, list[T]] = {}
    for owner, answer in zip(owners, answers, strict=True):
        by_text.setdefault(owner, []).append(answer)
    return by_text, reasons
