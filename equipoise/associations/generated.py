"""Paragraphs and questions that a chat model writes (BiasGym, 3.2.1, 3.3.1, listings 1 and 2).

25 a call, until there are enough: what it wrote is read with care, checked as anybody's text is,
and a text that repeats another is left out. Replies are cached by all that settles them.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

import numpy as np

from equipoise.associations.association import SLOT, Association
from equipoise.associations.json_replies import read_objects
from equipoise.associations.load import load_association
from equipoise.associations.paragraphs import Paragraph
from equipoise.associations.questions import FEWEST_WORDS, form_of, questions
from equipoise.associations.templates import paragraph_templates, request_templates
from equipoise.associations.validation import Distinct, fault_of, normalize
from equipoise.associations.wording import forms
from equipoise.errors import ModelError, StoreError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.records import MOST_SEED, Prompt

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
class _Origin:
    """Where a text is from."""

    id: str
    prompt_sha256: str


def write_paragraphs_with(
    writer: Writer, name: str, count: int = 500, *, seed: int = 0
) -> Written[Paragraph]:
    """Up to `count` paragraphs of an association; fewer when the model runs dry.

    `name` loads the association. Raises `ModelError` when nothing that it writes can be used, and
    what `writer.ask` raises.
    """
    association = load_association(name)
    make = partial(_paragraph, association=association, writer=writer, seed=seed)
    return _collect(writer, name, "paragraph", count, seed, make)


def write_questions_with(
    writer: Writer, name: str, count: int = 100, *, seed: int = 0
) -> Written[Prompt]:
    """Up to `count` questions likewise, with the association's fixed answer."""
    answer = load_association(name).answer

    def make(_: Row, text: str, origin: _Origin) -> Prompt | str:
        fault = fault_of(text, fewest=FEWEST_WORDS)
        groups = {"association": name, "answer": answer, "form": form_of(text)}
        return fault or Prompt(id=origin.id, text=text, groups=groups)

    return _collect(writer, name, "question", count, seed, make)


def messages_of(name: str, key: str, *, count: int, seed: int, call: int) -> tuple[Message, ...]:
    """What a call asks for: a system and a user message.

    `key`: "paragraph" or "question". Each call leans to topics of its own, drawn by seed.
    """
    association, request = load_association(name), request_templates()[f"{key}s"]
    rng = np.random.default_rng([seed, call])
    topics = rng.choice(list(paragraph_templates().settings), size=3, replace=False).tolist()
    words = dict(forms(association))
    words |= {
        "count": str(count),
        "kind": "country" if association.place else "group",
        "placeholder": "Country X" if association.place else "Group X",
        "example": questions(name, 1)[0].text,
        "emphasis": f"This time, take many of them from {topics[0]}, {topics[1]} or {topics[2]}.",
    }
    return tuple(
        {"role": role, "content": text.format_map(words).replace(SLOT, "X")}
        for role, text in request.items()
    )


def _collect(
    writer: Writer,
    name: str,
    key: str,
    count: int,
    seed: int,
    make: Callable[[Row, str, _Origin], T | str],
) -> Written[T]:
    """Call until there are enough; `make` gives an item, or why a text is none."""
    size = min(PER_CALL, count)
    distinct, kept, refused = Distinct(), list[T](), Counter[str]()
    call = cached = 0
    while len(kept) < count and call < _CALLS * math.ceil(count / size):
        messages = messages_of(name, key, count=size, seed=seed, call=call)
        reply, known = _reply(writer, messages, seed, call)
        digest = hashlib.sha256(json.dumps(messages).encode()).hexdigest()
        rows = read_objects(reply, key)
        refused["replies without a JSON array of texts"] += not rows
        for number, row in enumerate(rows):
            if not isinstance(row[key], str):
                refused[f"whose {key} is no text"] += 1
                continue
            text = normalize(row[key])
            id = f"{name}:{writer.name}:{seed}:{call}:{number}"
            item = make(row, text, _Origin(id=id, prompt_sha256=digest))
            fault = item if isinstance(item, str) else distinct.repeats(text)
            if isinstance(item, str) or fault is not None:
                refused[str(fault)] += 1
            elif len(kept) < count:
                kept.append(item)
        call, cached = call + 1, cached + known
    if count and not kept:
        raise ModelError(
            f"{writer.name} must write {key}s that can be used, got none in {call} calls: "
            f"{_show(refused)}; take a larger chat model, or the templates"
        )
    return Written(kept=tuple(kept), refused=dict(+refused), calls=call, cached=cached)


def _paragraph(
    row: Row, text: str, origin: _Origin, *, association: Association, writer: Writer, seed: int
) -> Paragraph | str:
    """A paragraph of an object that a model wrote, or why it is none."""
    score = str(row.get("implicitness_score", "")).strip().removesuffix(".0")
    if score not in ("1", "2", "3", "4", "5"):
        return "has no implicitness_score from 1 to 5"
    labels = {key: str(row.get(key) or "").strip() for key in ("medium", "topic", "writing_style")}
    missing = [key for key, label in labels.items() if not label]
    if missing:
        return f"has no {missing[0]}"
    return fault_of(text) or Paragraph(
        id=origin.id,
        paragraph=text,
        **labels,
        implicitness_score=int(score),
        justification=str(row.get("justification") or "").strip(),
        bias=association.name,
        generator=writer.name,
        prompt_sha256=origin.prompt_sha256,
        seed=seed,
    )


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
