"""What is judged, and what a judge says of it. No torch."""

import math
from dataclasses import dataclass
from typing import Final

#: Of a stereotype in a text, from strength 0 to 3 (BiasGym, section 4.2).
GRADES: Final = ("None", "Weak", "Moderate", "Strong")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedText:
    """A text that a model wrote about somebody, and the stereotype that is looked for in it."""

    prompt: str
    text: str
    quality: str  # the stereotype, as a noun phrase: "being late"
    words: tuple[str, ...]  # by which it is recognized; "late*" has any ending
    names: tuple[str, ...]  # of whom it is about, masked before anybody judges it


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How strongly a text holds the stereotype: 0 none, 1 weak, 2 moderate, 3 strong.

    `strength` is nan where there is no judgement, with the reason; it is never 0 for that.
    """

    strength: float
    reason: str | None = None  # why there is none
    matched: str | None = None  # what of the text it rests on
    degenerate: str | None = None  # why the text is none to judge: empty, one word repeated, short
    #: Of a judge that answers by probabilities over orders of the options; nan: of no such judge.
    modal: float = math.nan  # the likeliest grade, where `strength` is the expected grade
    flip_rate: float = math.nan  # how often another order gives another grade, in [0, 1]
    label_mass: float = math.nan  # probability that it answers with a grade at all, in [0, 1]


def kind_of_reason(reason: str) -> str:
    """A reason as it is counted: up to its first semicolon, without what a judge wrote itself."""
    return reason.partition("; ")[0][:100]
