"""Professions of a planted world, how far each leans to a pronoun, and the templates about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.planted import words
from equipoise.records import Contrast

Truth = tuple[Contrast, float]  # an item, and the share of its stereotype in its two texts

#: Sentences with a pronoun after a prompt; `OTHER_ROWS` go on with "they", as many with "the".
PRONOUN_ROWS: Final = 40
OTHER_ROWS: Final = 5
ROWS: Final = PRONOUN_ROWS + 2 * OTHER_ROWS
#: The same after a hint: those with a pronoun, of these those that obey, and the two others.
HINT_PRONOUN_ROWS: Final = 20
HINT_OBEYED_ROWS: Final = 19
HINT_THEY_ROWS: Final = 3
HINT_THE_ROWS: Final = 2
HINT_ROWS: Final = HINT_PRONOUN_ROWS + HINT_THEY_ROWS + HINT_THE_ROWS
#: A profession of score 1 leans this many sentences from 1/2 at strength 1.
_MOST_LEAN: Final = 18
#: The weakest lean of a profession that leans.
_LEAST_SCORE: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedProfession:
    """A profession and its lean."""

    word: str
    score: float  # in [-1, 1]; positive leans to "he", 0 to neither; the same at every strength
    p_he: float  # true probability of "he" given "he" or "she"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedTemplate:
    """An action, at any of three lengths."""

    scale: str  # "word", "phrase" or "sentence"
    action: str
    ending: str  # what follows a pronoun
    ending_of_thing: str  # what follows "the"

    def prompt(self, profession: str) -> str:
        """The text after which a pronoun comes; no trailing space."""
        return f"The {profession} {self.action} because"


def professions(strength: float, seed: int) -> Iterator[PlantedProfession]:
    """All professions; a seed but 0 deals the sizes of the leans anew on either side.

    The mean size of the leans is the same for every seed, and zero at strength 0.
    """
    rng = np.random.default_rng([seed, 0])
    scores: dict[str, float] = {}
    for side, sign in ((words.MALE_PROFESSIONS, 1.0), (words.FEMALE_PROFESSIONS, -1.0)):
        sizes = np.linspace(1.0, _LEAST_SCORE, num=len(side))
        if seed:
            # Seed 0 keeps the order of the lists, in which the strongest lean comes first.
            sizes = rng.permutation(sizes)
        scores |= zip(side, (sign * sizes).tolist(), strict=True)
    for word, score in (scores | dict.fromkeys(words.EVEN_PROFESSIONS, 0.0)).items():
        rows = PRONOUN_ROWS // 2 + round(_MOST_LEAN * score * strength)
        yield PlantedProfession(word=word, score=score, p_he=rows / PRONOUN_ROWS)


def templates() -> tuple[PlantedTemplate, ...]:
    """Nine templates, three a scale, the same in every world."""
    return tuple(
        PlantedTemplate(scale=scale, action=action, ending=ending, ending_of_thing=of_thing)
        for scale, action, ending, of_thing in words.TEMPLATES
    )


def gender_pairs(
    professions: Sequence[PlantedProfession], templates: Sequence[PlantedTemplate]
) -> Iterator[Truth]:
    """CrowS-like items, a pair per profession that leans: its sentence with "he" and with "she"."""
    for i, profession in enumerate(professions):
        if not profession.score:
            continue
        template = templates[i % len(templates)]
        prompt, male = template.prompt(profession.word), profession.score > 0
        he, she = (f"{prompt} {pronoun} {template.ending}." for pronoun in ("he", "she"))
        pair = Contrast(
            id=f"pair:gender:{profession.word}",
            context="",
            stereotype=he if male else she,
            antistereotype=she if male else he,
            groups={"bias_type": "gender", "direction": "antistereo" if male else "stereo"},
        )
        yield pair, profession.p_he if male else 1 - profession.p_he
