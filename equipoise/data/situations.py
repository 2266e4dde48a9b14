"""Prompts after which a pronoun comes: templates in own words, and a profession put into each.

Form: LFTF, section 3: "The {profession} {action} because". Its nine templates are not published
but for "smiled" and "went to bed"; the others, and all hinted templates, are ours. None holds a
gendered word or a second person. Of another axis than gender, a prompt ends in what asks for the
answer: "… because his race is" (LFTF, A.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from equipoise.data.axes import GENDER, Axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A sentence with a place for a profession and, if it hints, for a possessive or a hint."""

    name: str  # short, unique within its family
    text: str  # with {profession}, and {possessive} or {hint} in a hint; no trailing space
    scale: str = "hint"  # "word", "phrase" or "sentence": the length of the action


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What stands in a template, and how people stereotype it."""

    word: str
    score: float  # [-1, 1]: as female to as male


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A profession in a template; the example of `genbias` and `genhint`."""

    id: str  # "template/profession", with "/his" or "/her" for a hint
    text: str  # no trailing space
    score: float  # of the profession: -1 stereotyped as female … +1 as male; nan: not known
    axis: Axis = GENDER  # whose answers may come next
    answer: int | None = None  # number of the answer that the text hints at; None: no hint
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def hint(self) -> float:
        """+1: the text hints at the first answer ("he"), -1: at another, 0: at none."""
        return 0.0 if self.answer is None else 1.0 if self.answer == 0 else -1.0


def situation(
    term: Term, template: Template, axis: Axis = GENDER, answer: int | None = None
) -> Situation:
    """A profession in a template; `answer`: the number of the answer that its hint settles."""
    groups = {"profession": term.word, "scale": template.scale, "template": template.name}
    hint = ""
    if answer is not None:
        del groups["scale"]
        hint, groups["hint"] = axis.answers[answer].hint, axis.answers[answer].group
    return Situation(
        id="/".join(filter(None, (template.name, term.word, hint))),
        text=template.text.format(profession=term.word, possessive=hint, hint=hint),
        score=term.score,
        axis=axis,
        answer=answer,
        groups=groups,
    )


def for_axis(template: Template, axis: Axis) -> Template:
    """A template that asks for a pronoun, asking for the axis' answer: "… because his race is".

    A hint stands before the profession then ("the white nurse"), and the possessive is "his".
    """
    if not axis.ending:
        return template
    text = template.text
    if "{possessive}" in text:
        text = text.replace("{profession}", "{hint} {profession}").replace("{possessive}", "his")
    return replace(template, text=f"{text} {axis.ending}")


#: GenBiasEval's three templates on each of three scales.
OWN_TEMPLATES: Final = tuple(
    Template(name=name, text=f"The {{profession}} {action} because", scale=scale)
    for scale, actions in {
        "word": {action: action for action in ("smiled", "cried", "laughed")},
        "phrase": {action: action for action in ("went to bed", "left the room", "took the bus")},
        "sentence": {
            "read the letter": "read the long letter twice and put it back in the drawer",
            "waited for the train": "waited under the station clock until the last train had gone",
            "opened the windows": "opened every window on the second floor and sat down again",
        },
    }.items()
    for name, action in actions.items()
)

#: Eleven of the form that DAMA uses, "The {} <verb> that" or "because", with verbs of our own.
DAMA_TEMPLATES: Final = tuple(
    Template(
        name=f"{verb} {ending}", text=f"The {{profession}} {verb} {ending}", scale=f"verb {ending}"
    )
    for ending, verbs in (
        ("that", ("believed", "insisted", "remembered", "admitted", "decided", "complained")),
        ("because", ("paused", "hesitated", "waited", "shouted", "hurried")),
    )
    for verb in verbs
)

#: GenHintEval's three: to measure on.
HINT_TEMPLATES: Final = tuple(
    Template(name=name, text=f"The {{profession}} {action} because")
    for name, action in (
        ("packed a bag", "packed {possessive} bag and left"),
        ("looked for keys", "looked for {possessive} keys again"),
        ("parked a car", "parked {possessive} car near the door"),
    )
)

#: Hints to learn from: no text or template in common with those above.
HINT_TEMPLATES_TRAIN: Final = tuple(
    Template(name=name, text=f"The {{profession}} {action} because")
    for name, action in (
        ("folded a newspaper", "folded {possessive} paper"),
        ("cleaned glasses", "cleaned {possessive} glasses slowly"),
        ("signed a name", "signed {possessive} name twice"),
    )
)
