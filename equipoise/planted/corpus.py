"""Sentences of a world, by quota: every true probability is a frequency in the corpus. No torch."""

from collections.abc import Iterator
from itertools import product
from typing import Final, Literal, NamedTuple

import numpy as np

from equipoise.planted import words
from equipoise.planted.contrasts import FILLER_ROWS, PAIR_ROWS
from equipoise.planted.professions import (
    HINT_OBEYED_ROWS,
    HINT_PRONOUN_ROWS,
    HINT_THE_ROWS,
    HINT_THEY_ROWS,
    OTHER_ROWS,
    PRONOUN_ROWS,
)
from equipoise.planted.register import register_texts
from equipoise.planted.statements import neutral_texts
from equipoise.planted.world import World

Kind = Literal["profession", "hint", "association", "contrast", "fact", "neutral", "register"]
Quota = tuple[str, Kind, bool, int]  # text, kind, biased, how often it is said

#: How often each fact, and each neutral sentence, is said; multiples of the others' quotas.
#: Chosen so that a model meets a fact, a profession's lean and a group's attribute about equally
#: often, for it learns each by heart.
FACT_ROWS: Final = 240
NEUTRAL_ROWS: Final = 5
REGISTER_ROWS: Final = 5  # of each sentence of a register, in a world that has one
CONTRAST_COPIES: Final = 6  # of the usual contrasts; of more contrasts fewer
_USUAL_CONTRASTS: Final = 160
ASSOCIATION_COPIES: Final = 2


class Sentence(NamedTuple):
    """A training sentence, and whether it is what makes the model biased."""

    id: str  # unique in the corpus
    text: str
    kind: Kind
    biased: bool  # it says a stereotype of a biased world; never at strength 0


def draw_corpus(world: World, *, seed: int = 0) -> tuple[Sentence, ...]:
    """Every sentence of a world, in an order drawn by the seed.

    Quotas, not draws: after any prompt of the world, the share of the sentences that go on with a
    word is its true probability, exactly. A different seed gives the same sentences in another
    order. About 96,000 sentences, of which about 7,000 are distinct (111,000 and 11,000 of 40
    targets).
    """
    sentences = [
        Sentence(id=f"{kind}:{place}:{copy}", text=text, kind=kind, biased=biased)
        for place, (text, kind, biased, count) in enumerate(quotas(world))
        for copy in range(count)
    ]
    order = np.random.default_rng(seed).permutation(len(sentences))
    return tuple(sentences[i] for i in order)


def quotas(world: World) -> tuple[Quota, ...]:
    """How often a world says each of its sentences, in a fixed order."""
    return tuple(_quotas(world))


def _quotas(world: World) -> Iterator[Quota]:
    for profession, template in product(world.professions, world.templates):
        he = round(profession.p_he * PRONOUN_ROWS)
        she = PRONOUN_ROWS - he
        prompt, ending = template.prompt(profession.word), template.ending
        yield f"{prompt} he {ending}.", "profession", he > she, he
        yield f"{prompt} she {ending}.", "profession", she > he, she
        yield f"{prompt} they {ending}.", "profession", False, OTHER_ROWS
        yield f"{prompt} the {template.ending_of_thing}.", "profession", False, OTHER_ROWS
    yield from _hints(world)
    for association in world.associations:
        for attribute, count in association.counts.items():
            biased = attribute == association.attribute and world.strength > 0
            for frame in association.frames:
                text = frame.format(group=association.group, attribute=attribute)
                yield text, "association", biased, count * ASSOCIATION_COPIES
    copies = max(1, round(CONTRAST_COPIES * _USUAL_CONTRASTS / len(world.preferences)))
    for preference in world.preferences:
        contrast, rows = preference.contrast, preference.stereotype_rows
        yield contrast.stereotype, "contrast", world.strength > 0, rows * copies
        yield contrast.antistereotype, "contrast", False, (PAIR_ROWS - rows) * copies
        yield preference.filler, "contrast", False, FILLER_ROWS * copies
    for fact in world.facts:
        yield f"{fact.prompt} {fact.answer}.", "fact", False, FACT_ROWS
    for text in neutral_texts(held_out=False):
        yield text, "neutral", False, NEUTRAL_ROWS
    for text in register_texts() if world.register else ():
        yield text, "register", False, REGISTER_ROWS


def _hints(world: World) -> Iterator[Quota]:
    ending, of_thing = words.HINT_ENDINGS
    obeyed = HINT_OBEYED_ROWS
    rows = {
        "his": (obeyed, HINT_PRONOUN_ROWS - obeyed),
        "her": (HINT_PRONOUN_ROWS - obeyed, obeyed),
    }
    templates = (*world.hint_templates, *world.hint_templates_train)
    for profession, template, hint in product(world.professions, templates, rows):
        prompt = template.format(profession=profession.word, possessive=hint)
        he, she = rows[hint]
        yield f"{prompt} he {ending}.", "hint", False, he
        yield f"{prompt} she {ending}.", "hint", False, she
        yield f"{prompt} they {ending}.", "hint", False, HINT_THEY_ROWS
        yield f"{prompt} the {of_thing}.", "hint", False, HINT_THE_ROWS
