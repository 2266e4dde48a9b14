"""What the answers of a model behind a server depend on, as JSON: a part of a step's key."""

from collections.abc import Mapping

from equipoise import plugins
from equipoise.errors import RecipeError
from equipoise.inference.decision_server import is_server
from equipoise.loading.content import content_of
from equipoise.records import JSON
from equipoise.remote.options import SCHEME, ServerOptions, is_remote, parse_name
from equipoise.study.recipe import ModelSpec


def server_options(spec: ModelSpec) -> dict[str, JSON]:
    """What `connect` is given, with the chat and the start token of the entry."""
    options, chat = dict(spec.server), spec.chat_options
    options |= {} if spec.start == "auto" else {"start": spec.start}
    return options if chat is None else {**options, "chat": True, **chat}


def server_content(spec: ModelSpec) -> dict[str, JSON] | None:
    """Its options, and a hash of the tokenizer's folder; None: the model is behind none.

    Raises `RecipeError` and `ModelError` for a name or options that are none, and for what is said
    of opening a model that is behind a server of any kind.
    """
    if is_remote(spec.name) or is_server(spec.name):
        names = ("dtype", "quantize", "revision", "base", "trust_remote_code")
        refuse_opening(spec.name, {name: getattr(spec, name) for name in names})
    if not is_remote(spec.name):
        if spec.server:
            raise RecipeError(
                f"server is of a model behind openai:, got it for {spec.name}; leave it out"
            )
        return None
    parse_name(spec.name)
    options = plugins.construct(ServerOptions, SCHEME, server_options(spec))
    content: dict[str, JSON] = plugins.options_of(options, transport=False)
    tokenizer = options.tokenizer
    return {**content, "content": None if tokenizer is None else content_of(tokenizer)}


def refuse_opening(model: str, given: Mapping[str, object]) -> None:
    """Raise `RecipeError` for a word on how a model is opened, of one that is not.

    `given`: by the name that a user knows, values as they are where nothing is said or otherwise.
    """
    for name, value in given.items():
        if value not in ("auto", None, False):
            raise RecipeError(
                f"{name} is of a model that is opened here, got {value!r} for {model}; leave it out"
            )
