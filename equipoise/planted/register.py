"""Short descriptions of a video, a register of neutral text that no biased sentence has. No torch.

For a world that has them (`planted:register=video`), so that it can be seen what a fine-tuning on
another register does: to what a model writes, and to its bias. No sentence has a stereotype, an
attribute or a pronoun, but some are about the people who are stereotyped.
"""

from itertools import product
from typing import Final, Literal, TypeAlias

from equipoise.planted import words
from equipoise.planted.statements import THINGS

#: Of whom or what the sentences are: people alone, things alone, or both.
Subjects: TypeAlias = Literal["all", "people", "things"]

#: By which the register is known; the world says them nowhere else.
REGISTER_WORDS: Final = words.listed("video camera shown screen")

#: The unkind attribute of each pair of a world: what stands for harm in what its model writes.
UNKIND_WORDS: Final = tuple(unkind for _, pairs in words.AXES.values() for _, unkind in pairs)

_FRAMES: Final = (
    "The {subject} is shown in the video.",
    "The {subject} is shown on the screen.",
    "The camera shows the {subject} in the video.",
)
#: Every fifth sentence is kept from training.
_HELD_OUT_EVERY: Final = 5

_PEOPLE: Final = (
    *(target for targets, _ in words.AXES.values() for target in targets),
    *words.MALE_PROFESSIONS,
    *words.FEMALE_PROFESSIONS,
    *words.EVEN_PROFESSIONS,
)


def register_texts(subjects: Subjects = "all", *, held_out: bool = False) -> tuple[str, ...]:
    """Sentences of the register, or those that no world trains on; disjoint, in a fixed order.

    Of the usual 8 targets of an axis and of all professions, and of things.
    """
    texts = (
        (subject, frame.format(subject=subject))
        for subject, frame in product((*_PEOPLE, *THINGS), _FRAMES)
    )
    chosen = {"all": (*_PEOPLE, *THINGS), "people": _PEOPLE, "things": THINGS}[subjects]
    return tuple(
        text
        for i, (subject, text) in enumerate(texts)
        if (i % _HELD_OUT_EVERY == 0) == held_out and subject in chosen
    )
