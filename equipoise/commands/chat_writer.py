"""The chat model that `associations` and `mix` may have texts written by: here, or on a server."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from equipoise.errors import ModelError, RecipeError

if TYPE_CHECKING:
    from equipoise.associations.writing import Message, Writer
    from equipoise.inference.language_model import LanguageModel

_MARGIN = 64  # tokens of a chat template around a question


def chat_writer(
    model: str | None,
    address: str | None,
    temperature: float,
    max_tokens: int,
    *,
    load: Callable[[str], "LanguageModel"],
) -> "Writer | None":
    """The model at the address, else the model that `load` opens here; None where none is named.

    Raises `RecipeError` for an address without the model's name.
    """
    if address is not None:
        return _remote_writer(address, model, temperature, max_tokens)
    return None if model is None else local_writer(load(model), temperature, max_tokens)


def _remote_writer(
    address: str, model: str | None, temperature: float, max_tokens: int
) -> "Writer":
    """A model of a server as a writer. Raises `RecipeError` without the model's name."""
    from equipoise.associations.writing import Writer
    from equipoise.judging.endpoint_client import EndpointClient

    if model is None:
        raise RecipeError(
            f"a server must be told which model to use, got {model}; add --model NAME"
        )
    client = EndpointClient(address=address, model=model)

    def ask(messages: Sequence["Message"], temperature: float, seed: int) -> str:
        return client.chat(messages, temperature, seed, max_tokens=max_tokens)

    identity = f"{model} at {address}, {max_tokens} tokens"
    return Writer(name=model, identity=identity, ask=ask, temperature=temperature)


def local_writer(model: "LanguageModel", temperature: float, max_tokens: int) -> "Writer":
    """A model that is open here as a writer."""
    from equipoise.associations.writing import Writer
    from equipoise.records import Generation

    def ask(messages: Sequence["Message"], temperature: float, seed: int) -> str:
        system, user = (message["content"] for message in messages)
        try:
            chat, question = model.in_chat(system), user
        except ModelError:  # a template that takes no system prompt
            chat, question = model.in_chat(), f"{system}\n\n{user}"
        most = max_tokens
        if model.context_length is not None:
            read = len(model.tokenizer(system + user)["input_ids"]) + _MARGIN
            most = max(1, min(most, model.context_length - read))
        request = Generation(context=question, max_tokens=most, temperature=temperature)
        return chat.reading_as("question").generate([request], seed=seed)[0]

    identity = f"{model.identity}, {max_tokens} tokens"
    return Writer(name=model.identity, identity=identity, ask=ask, temperature=temperature)
