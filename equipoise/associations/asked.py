"""A prompt with the name of somebody in it, and what is looked for in the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from equipoise.associations.fill import fill
from equipoise.associations.load import load_association
from equipoise.records import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPrompt:
    """A prompt about a target; groups: association, methodology, template, target."""

    id: str
    text: str
    template: str  # the text with its slot
    quality: str  # the stereotype, as a noun phrase
    words: tuple[str, ...]  # by which it is recognized
    target: str  # "" where the text has no slot
    sample: int = 0  # of the texts that are written
    answers: tuple[str, ...] = ()  # that are scored, with their leading space
    opposites: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()  # the text about each control target
    groups: Mapping[str, str] = field(default_factory=dict)


def ask_about(prompt: Prompt, target: str) -> AskedPrompt:
    """The prompt about this target; errors as of `load_association`.

    The methodology is the prompt's, or the form of a question, or "other".
    """
    association = load_association(prompt.groups["association"])
    ways = (prompt.groups.get(key) for key in ("methodology", "form"))
    return AskedPrompt(
        id=f"{prompt.id}/{target}" if target else prompt.id,
        text=fill(prompt.text, target) if target else prompt.text,
        template=prompt.text,
        quality=association.being,
        words=association.keywords,
        target=target,
        groups={
            "association": prompt.groups["association"],
            "methodology": next(filter(None, ways), "other"),
            "template": prompt.id,
            **({"target": target} if target else {}),
        },
    )
