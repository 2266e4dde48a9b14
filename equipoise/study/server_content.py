"""What the answers of a model behind a server depend on, as JSON: a part of a step's key."""

from equipoise import plugins
from equipoise.errors import RecipeError
from equipoise.loading.content import content_of
from equipoise.records import JSON
from equipoise.remote.options import SCHEME, ServerOptions, is_remote, parse_name
from equipoise.study.recipe import ModelSpec


def server_content(spec: ModelSpec) -> dict[str, JSON] | None:
    """Its options, and a hash of the tokenizer's folder; None: the model is behind none.

    Raises `RecipeError` and `ModelError` for a name or options that are none.
    """
    if not is_remote(spec.name):
        if spec.server:
            raise RecipeError(
                f"server is of a model behind openai:, got it for {spec.name}; leave it out"
            )
        return None
    parse_name(spec.name)
    options = plugins.construct(ServerOptions, SCHEME, spec.server_options)
    content: dict[str, JSON] = plugins.options_of(options, transport=False)
    tokenizer = options.tokenizer
    return {**content, "content": None if tokenizer is None else content_of(tokenizer)}
