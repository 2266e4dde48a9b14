"""Paragraphs and questions that a chat model writes (BiasGym, 3.2.1, 3.3.1, listings 1 and 2).

25 a call, until there are enough (`writing`).
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from equipoise.associations.association import SLOT, Association
from equipoise.associations.json_replies import read_objects
from equipoise.associations.load import load_association
from equipoise.associations.paragraphs import Paragraph
from equipoise.associations.questions import FEWEST_WORDS, form_of, questions
from equipoise.associations.templates import paragraph_templates, request_templates
from equipoise.associations.validation import Distinct, fault_of, normalize
from equipoise.associations.wording import forms
from equipoise.associations.writing import Message, Order, Origin, Row, Writer, Written, write_with
from equipoise.records import Prompt

T = TypeVar("T")


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

    def make(_: Row, text: str, origin: Origin) -> Prompt | str:
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
    make: Callable[[Row, str, Origin], T | str],
) -> Written[T]:
    """Call until there are enough; `make` gives an item, or why a text is none."""
    distinct = Distinct()

    def make_distinct(row: Row, origin: Origin) -> T | str:
        if not isinstance(row[key], str):
            return f"whose {key} is no text"
        text = normalize(row[key])
        item = make(row, text, origin)
        return item if isinstance(item, str) else distinct.repeats(text) or item

    order = Order(
        name=name,
        what=key,
        instead="the templates",
        form="a JSON array of texts",
        messages=lambda size, call: messages_of(name, key, count=size, seed=seed, call=call),
        read=lambda reply: read_objects(reply, key),
        make=make_distinct,
    )
    return write_with(writer, order, count, seed=seed)


def _paragraph(
    row: Row, text: str, origin: Origin, *, association: Association, writer: Writer, seed: int
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
