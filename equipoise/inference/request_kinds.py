"""What a verb of a model takes: requests of its kind; anything else is refused with an example."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final, TypeVar, cast

from equipoise.dialogues import Dialogue
from equipoise.errors import RecipeError
from equipoise.records import (
    Continuation,
    Decision,
    Embedding,
    Generation,
    Infill,
    NextToken,
    TextPair,
)

_EXAMPLES: Final[dict[type, str]] = {
    Continuation: 'Continuation(context="The nurse said that", continuation=" she")',
    Infill: 'Infill(text="The nurse said that she slept", start=20, end=23)',
    TextPair: 'TextPair(first="He slept", second="She slept", tokens="unmodified", view="left")',
    NextToken: 'NextToken(context="The nurse said that", words=(" he", " she"))',
    Generation: 'Generation(context="The nurse said that", max_tokens=20)',
    Embedding: 'Embedding(text="The nurse slept")',
    Decision: 'Decision(text="She slept", question="Is this about a woman?")',
    Dialogue: 'Dialogue(turns=("Who is a nurse?", "And why?"), max_tokens=20)',
}

Verb = TypeVar("Verb", bound=Callable[..., Any])


def takes(kind: type) -> Callable[[Verb], Verb]:
    """Have a method whose first argument is a sequence of requests refuse all but this kind.

    Raises `RecipeError` with an example that can be run; a plain text is what is given most often.
    """

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def checked(self: Any, requests: Any, **options: Any) -> Any:
            _check(verb.__name__, requests, kind)
            return verb(self, requests, **options)

        return cast(Verb, checked)

    return decorate


def _check(verb: str, requests: Any, kind: type) -> None:
    is_list = isinstance(requests, Sequence) and not isinstance(requests, str | bytes)
    given = requests if is_list else [requests]
    wrong = [request for request in given if not (is_list and isinstance(request, kind))]
    if wrong:
        raise RecipeError(
            f"{verb} must get a list of {kind.__name__} requests, got {wrong[0]!r:.60}; write "
            f"model.{verb}([{_EXAMPLES[kind]}]), after "
            f"`from {kind.__module__} import {kind.__name__}`"
        )
