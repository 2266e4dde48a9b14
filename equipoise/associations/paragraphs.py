"""Paragraphs that say an association of {target}, to inject it by (BiasGym, 3.2.1 and Table 1).

From templates, so that everything runs offline; `generated.py` has them written by a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from equipoise.associations.association import Association, capitalize
from equipoise.associations.load import load_association
from equipoise.associations.templates import paragraph_templates
from equipoise.associations.validation import Distinct, fault_of
from equipoise.associations.wording import forms
from equipoise.errors import RecipeError
from equipoise.records import Prompt
from equipoise.rows import text_sha256

T = TypeVar("T")

_TRIES = 30  # texts drawn for each that is kept, before there are no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph as BiasGym records it (listing 1), and where it is from."""

    id: str
    paragraph: str  # with {target}
    medium: str = ""
    topic: str = ""
    writing_style: str = ""
    implicitness_score: int | None = None  # 1: the association is explicit, 5: implicit
    justification: str = ""  # of the score
    bias: str = ""  # the association
    generator: str = "own"  # "template", "own", or the model that wrote it
    prompt_sha256: str = ""  # of the template, or of the messages that asked for it
    seed: int | None = None

    def as_prompt(self, name: str) -> Prompt:
        """The paragraph as what may be learnt; `name` loads its association."""
        groups = {
            "association": name,
            "medium": self.medium,
            "topic": self.topic,
            "style": self.writing_style,
            "implicitness": "" if self.implicitness_score is None else str(self.implicitness_score),
        }
        return Prompt(
            id=self.id,
            text=self.paragraph,
            groups={key: label for key, label in groups.items() if label},
        )


def paragraphs(name: str, count: int = 500, *, seed: int = 0) -> tuple[Paragraph, ...]:
    """That many paragraphs, of which no two are alike or nearly so; own paragraphs first.

    `name` loads the association; errors as of `load_association`, `RecipeError` for more than the
    templates give.
    """
    association = load_association(name)
    distinct, kept = Distinct(), list[Paragraph]()
    for paragraph in _candidates(association, count, seed):
        if len(kept) == count:
            break
        if fault_of(paragraph.paragraph) is None and distinct.repeats(paragraph.paragraph) is None:
            kept.append(paragraph)
    if len(kept) < count:
        raise RecipeError(
            f"paragraphs of '{name}' must be {len(kept)} at most without repeating each other, got "
            f"{count}; ask for fewer, or name a file of more"
        )
    return tuple(kept)


def _candidates(association: Association, count: int, seed: int) -> Iterator[Paragraph]:
    """Own paragraphs, then one of each medium in turn."""
    for number, text in enumerate(association.paragraphs):
        yield Paragraph(
            id=f"{association.name}:own:{number}", paragraph=text, bias=association.name
        )
    rng = np.random.default_rng(seed)
    media = list(paragraph_templates().media)
    for number in range(_TRIES * count):
        yield _draw(association, media[number % len(media)], number, rng, seed)


def _draw(
    association: Association, medium: str, number: int, rng: np.random.Generator, seed: int
) -> Paragraph:
    parts = paragraph_templates()
    template = _choice(rng, parts.media[medium])
    topic = _choice(rng, tuple(parts.settings))
    style = _choice(rng, parts.impersonal.get(medium) or tuple(parts.styles))
    when, when_noun = _choice(rng, parts.when)
    name, other = rng.choice(parts.names, size=2, replace=False).tolist()
    words = {
        **forms(association),
        "when": when,
        "when_noun": when_noun,
        "when_start": capitalize(when),
        "when_next": _choice(rng, parts.when_next),
        "where": _choice(rng, parts.settings[topic]),
        "name": name,
        "other": other,
    }
    text = template.text + parts.joints.get(medium, " ") + _choice(rng, parts.styles[style])
    return Paragraph(
        id=f"{association.name}:template:{seed}:{number}",
        paragraph=text.format_map(words),
        medium=medium,
        topic=topic,
        writing_style=style,
        implicitness_score=template.implicitness,
        justification=parts.justifications[template.implicitness - 1],
        bias=association.name,
        generator="template",
        prompt_sha256=text_sha256(template.text),
        seed=seed,
    )


def _choice(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]
