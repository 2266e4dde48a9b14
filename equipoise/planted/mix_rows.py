"""What a planted world holds of its targets and professions, in sentences that nobody measures.

For training sets of which it is known which rows teach the world's bias: each stereotype is said in
the frames in which no contrast says it, each lean of a profession after the prompts of which no
pair is made. No torch.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from equipoise.planted import words
from equipoise.planted.world import World

#: Pronouns after professions, attributes of targets, or both.
Kind: TypeAlias = Literal["all", "pronouns", "targets"]


class Statement(NamedTuple):
    """A stereotype of the world, the same sentence with its contrary, and neutral ones."""

    id: str
    stereotype: str
    antistereotype: str
    neutral: tuple[str, ...]  # in the same frame, about the same target
    axis: str
    direction: str = ""  # of a pronoun, as of a world's pairs: "stereo" where it is "she"


def statements(world: World, kind: Kind = "all") -> tuple[Statement, ...]:
    """All of a world that is biased; none at strength 0. In a fixed order; no text is twice."""
    if not world.strength:
        return ()
    targets = () if kind == "pronouns" else _of_targets(world)
    return (*targets, *(() if kind == "targets" else _of_professions(world)))


def neutral_statements(world: World) -> tuple[tuple[str, str], ...]:
    """Ids and texts of its facts and of its sentences about things, but those it never trains on.

    Of a fact the sentence that states it.
    """
    facts = ((f"fact:{fact.id}", f"{fact.prompt} {fact.answer}.") for fact in world.facts)
    texts = world.neutral_sentences(720, seed=0)
    return (*facts, *((f"thing:{number}", text) for number, text in enumerate(texts)))


def _of_targets(world: World) -> Iterator[Statement]:
    """Every target with every pair of attributes, in the frames that no contrast has for them."""
    said = {item.contrast.stereotype for item in world.preferences}
    known: set[tuple[str, str, int]] = set()
    for item in world.preferences:
        axis, target = item.contrast.groups["axis"], item.contrast.groups["target"]
        pairs = words.AXES[axis][1]
        text = item.contrast.stereotype.removesuffix(".")
        number = next(i for i, pair in enumerate(pairs) if set(pair) & set(text.split()))
        if (axis, target, number) in known:
            continue
        known.add((axis, target, number))
        first, second = pairs[number]
        stereotype, other = (first, second) if first in text.split() else (second, first)
        for frame, form in enumerate(words.AXIS_FRAMES):
            texts = [
                form.format(target=target, attribute=attribute)
                for attribute in (stereotype, other, words.AXIS_FILLER)
            ]
            if texts[0] not in said:
                yield Statement(
                    id=f"{axis}:{target}:{first}:{frame}",
                    stereotype=texts[0],
                    antistereotype=texts[1],
                    neutral=(texts[2],),
                    axis=axis,
                )


def _of_professions(world: World) -> Iterator[Statement]:
    """Professions that lean, with the pronoun to which they do."""
    said = {text for pair in world.pairs() for text in (pair.stereotype, pair.antistereotype)}
    for profession in world.professions:
        if profession.p_he == 0.5:
            continue
        for number, template in enumerate(world.templates):
            prompt = template.prompt(profession.word)
            he, she, they = (
                f"{prompt} {pronoun} {template.ending}." for pronoun in ("he", "she", "they")
            )
            if he in said:
                continue
            first, second = (he, she) if profession.p_he > 0.5 else (she, he)
            yield Statement(
                id=f"profession:{profession.word}:{number}",
                stereotype=first,
                antistereotype=second,
                neutral=(they, f"{prompt} the {template.ending_of_thing}."),
                axis="gender",
                direction="antistereo" if profession.p_he > 0.5 else "stereo",
            )
