"""A name to a model behind an OpenAI-compatible server, which is asked and not opened."""

from equipoise import plugins
from equipoise.loading.pretrained import load_tokenizer
from equipoise.records import JSON
from equipoise.remote.options import SCHEME, ServerOptions, parse_name
from equipoise.remote.reading import LocalTokens
from equipoise.remote.remote_model import RemoteModel
from equipoise.remote.server import Server


def connect(name: str, **options: JSON) -> RemoteModel:
    """A model of the name "openai:http://HOST:PORT/v1#NAME", to be measured. Nothing is sent yet.

    `options`: those of `ServerOptions`, docs/remote-models.md has them all. With `tokenizer` (a Hub
    id or a folder) token ids are sent, under every prefix policy; else texts.
    Raises `ModelError` for another name and for a tokenizer that does not load, `RecipeError` for
    options that do not exist or do not go together.
    """
    address, model = parse_name(name)
    settings = plugins.construct(ServerOptions, SCHEME, options)
    local = None
    if settings.tokenizer is not None:
        tokenizer = load_tokenizer(settings.tokenizer)
        local = LocalTokens(tokenizer=tokenizer, start=settings.start)
        local.start_id  # noqa: B018  # raises for a token that does not exist
    return RemoteModel(server=Server(address=address, model=model, options=settings), local=local)
