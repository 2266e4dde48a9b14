"""How a model behind an OpenAI-compatible server is named, and how it is asked."""

from typing import Annotated, ClassVar, Final

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.errors import ModelError
from equipoise.plugins import AsksServer
from equipoise.records import OPTIONS
from equipoise.transport import KEY, hide_secrets, is_address

#: Before the address in a model's name, and before the dot of its `--set` options.
SCHEME: Final = "openai"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ServerOptions(AsksServer):
    """How a server is asked; answers depend on `tokenizer`, `start`, `chat` and `system` alone."""

    transport: ClassVar[frozenset[str]] = frozenset(
        (
            "in_flight",
            "seconds",
            "tries",
            "per_minute",
            "input_price",
            "output_price",
            "most_tokens",
        )
    )
    tokenizer: str | None = None  # Hub id or folder with the model's tokenizer; null: the server's
    start: str = "auto"  # of that tokenizer: what texts begin with, as `--start`
    chat: bool = False  # have texts written by the chat route
    system: str | None = None  # prompt of a chat; null: none
    in_flight: Annotated[int, Field(ge=1, le=64)] = 4  # requests at a time
    seconds: Annotated[float, Field(gt=0)] = 120.0  # that an answer may take
    tries: Annotated[int, Field(ge=1)] = 4  # of a request that fails on the way, or with 429 or 5xx
    per_minute: Annotated[float, Field(gt=0)] | None = None  # requests at most; null: no limit
    input_price: Annotated[float, Field(ge=0)] | None = None  # of a million tokens sent
    output_price: Annotated[float, Field(ge=0)] | None = None  # of a million tokens written
    most_tokens: Annotated[int, Field(ge=1)] | None = None  # refuse a benchmark that may take more

    @model_validator(mode="after")
    def _check_together(self) -> "ServerOptions":
        if self.system is not None and not self.chat:
            raise ValueError(
                f"system is of a chat, got {self.system[:40]!r} without chat; set chat"
            )
        if self.start != "auto" and self.tokenizer is None:
            raise ValueError(
                f"start is of a tokenizer, got {self.start!r} without one; set tokenizer, too"
            )
        return self


def is_remote(name: str) -> bool:
    """Whether a model's name is that of one behind an OpenAI-compatible server."""
    return name.startswith((f"{SCHEME}:http://", f"{SCHEME}:https://"))


def parse_name(name: str) -> tuple[str, str]:
    """Address (without "/v1") and model of "openai:http://HOST:PORT/v1#NAME".

    Raises `ModelError` for anything else, and does not show what may be a key.
    """
    address, _, model = name.removeprefix(f"{SCHEME}:").partition("#")
    if not (is_remote(name) and is_address(address) and model):
        raise ModelError(
            f"a model behind a server is named {SCHEME}:http://HOST:PORT/v1#NAME, got "
            f"'{hide_secrets(name)}'; write that, and put a key that it asks for into {KEY}"
        )
    return address.rstrip("/").removesuffix("/v1"), model
