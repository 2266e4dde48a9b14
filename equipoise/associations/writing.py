"""What a chat model writes, in calls of a few texts each, until there are enough.

What it wrote is read with care, checked as anybody's text is, and what repeats another is left out.
Replies are cached by all that settles them.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from equipoise.errors import ModelError, StoreError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.records import MOST_SEED

Message: TypeAlias = Mapping[str, str]  # "role" and "content"
#: Messages, temperature and seed to what the model replies.
Ask: TypeAlias = Callable[[Sequence[Message], float, int], str]
Row: TypeAlias = Mapping[str, Any]  # an object that a model wrote
T = TypeVar("T")

PER_CALL: Final = 25
_CALLS: Final = 4  # as many as would do if every text were kept, times this


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A chat model that writes."""

    name: str  # what records call it
    identity: str  # of its weights, or of its name and address: for the cache
    ask: Ask
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[T]):
    """What was kept of what a model wrote, and what was not."""

    kept: tuple[T, ...]
    refused: Mapping[str, int]  # reason to texts
    calls: int
    cached: int  # of those calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a text is from."""

    id: str
    prompt_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[T]):
    """What a model is asked for."""

    name: str  # ids begin with it
    what: str  # a text is called, in errors: "paragraph"
    instead: str  # what else gives such texts, in errors: "the templates"
    form: str  # what a reply without any text lacks: "a JSON array of texts"
    messages: Callable[[int, int], tuple[Message, ...]]  # texts wanted and number of the call
    read: Callable[[str], Sequence[Row]]  # a reply's rows
    make: Callable[[Row, Origin], T | str]  # an item of a row, or why it is none


def write_with(writer: Writer, order: Order[T], count: int, *, seed: int) -> Written[T]:
    """Call until there are enough; fewer when the model runs dry.

    Raises `ModelError` when nothing that it writes can be used, and what `writer.ask` raises.
    """
    size = min(PER_CALL, count)
    kept, refused = list[T](), Counter[str]()
    call = cached = 0
    while len(kept) < count and call < _CALLS * math.ceil(count / size):
        messages = order.messages(size, call)
        reply, known = _reply(writer, messages, seed, call)
        digest = hashlib.sha256(json.dumps(messages).encode()).hexdigest()
        rows = order.read(reply)
        refused[f"replies without {order.form}"] += not rows
        for number, row in enumerate(rows):
            id = f"{order.name}:{writer.name}:{seed}:{call}:{number}"
            item = order.make(row, Origin(id=id, prompt_sha256=digest))
            if isinstance(item, str):
                refused[item] += 1
            elif len(kept) < count:
                kept.append(item)
        call, cached = call + 1, cached + known
    if count and not kept:
        raise ModelError(
            f"{writer.name} must write {order.what}s that can be used, got none in {call} calls: "
            f"{_show(refused)}; take a larger chat model, or {order.instead}"
        )
    return Written(kept=tuple(kept), refused=dict(+refused), calls=call, cached=cached)


def _reply(writer: Writer, messages: Sequence[Message], seed: int, call: int) -> tuple[str, bool]:
    """The reply to a call, and whether it was cached."""
    settings = [writer.identity, list(messages), {"temperature": writer.temperature}, seed, call]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    file = cache_folder() / "associations" / f"{key}.txt"
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8"), True
    # each call has a seed of its own, as the same seed may give the same texts again
    reply = writer.ask(messages, writer.temperature, (seed + call) % (MOST_SEED + 1))
    with suppress(StoreError):  # a cache that cannot be written only costs time
        write_file(file, reply, what="cached reply")
    return reply, False


def _show(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in refused.items() if count)
