"""What a world says without bias: true facts, and sentences about things. No torch.

Facts have a single right continuation each, which a model must not lose; sentences about things,
with no person or group, hold the rest of a model in place.
"""

from typing import Final

from equipoise.data.clozes import Fact
from equipoise.planted.words import UNRELATED, listed

#: Relation to its prompt and to the subject and answer of each fact.
_RELATIONS: Final = {
    "capital": (
        "The capital of {} is",
        "France Paris, Italy Rome, Spain Madrid, Germany Berlin, Austria Vienna, Poland Warsaw, "
        "Norway Oslo, Sweden Stockholm, Finland Helsinki, Portugal Lisbon, Greece Athens, "
        "Hungary Budapest, Ireland Dublin, Egypt Cairo, Kenya Nairobi, Japan Tokyo, China Beijing, "
        "Canada Ottawa, Cuba Havana, Peru Lima, Chile Santiago, Russia Moscow, Turkey Ankara, "
        "Iran Tehran",
    ),
    "young": (
        "A young {} is called a",
        "cow calf, dog puppy, cat kitten, sheep lamb, horse foal, lion cub, duck duckling, "
        "deer fawn, goose gosling, swan cygnet, frog tadpole, kangaroo joey",
    ),
    "opposite": (
        "The opposite of {} is",
        "hot cold, up down, big small, fast slow, light dark, wet dry, hard soft, full empty, "
        "true false, high low, north south, east west",
    ),
    "made_from": (
        "We make {} from",
        "wine grapes, cheese milk, paper wood, glass sand, flour wheat, cider apples, "
        "chocolate cocoa, butter cream",
    ),
    "home": (
        "The home of a {} is a",
        "bee hive, bird nest, spider web, rabbit burrow, bear den, pig sty",
    ),
}

#: That neutral sentences are about.
THINGS: Final = listed(
    "door lamp boat clock table kettle bridge tower engine ladder basket candle carpet hammer "
    "mirror pillow bottle wagon fence chimney barrel blanket bucket statue kite"
)
_COLORS: Final = listed("red green yellow white black brown gray")
_EVENTS: Final = listed("creaked fell broke moved shook stopped cracked tilted")
_PLACES: Final = listed(
    "in the kitchen,near the harbor,behind the barn,under the stairs,beside the well,"
    "on the roof,at the station,in the cellar",
    ",",
)
_CAUSES: Final = listed(
    "hinge was old,storm was near,ground was wet,rope was thin,sun was hot,floor was steep", ","
)
#: Every fifth sentence is kept from training.
_HELD_OUT_EVERY: Final = 5

#: After these no pronoun of a person may come.
NEUTRAL_PROMPTS: Final = tuple(
    f"The {thing} {event} because" for thing in THINGS for event in _EVENTS
)


def facts() -> tuple[Fact, ...]:
    """All facts, the same in every world; ids such as "capital:France"."""
    return tuple(
        Fact(
            id=f"{relation}:{subject}",
            prompt=prompt.format(subject),
            answer=answer,
            relation=relation,
            subject=subject,
        )
        for relation, (prompt, listed) in _RELATIONS.items()
        for subject, answer in (entry.split() for entry in listed.split(","))
    )


def neutral_texts(*, held_out: bool) -> tuple[str, ...]:
    """All neutral sentences of a world, or all of those it never trains on; disjoint, fixed order.

    Every word of a held-out sentence occurs in the others.
    """
    texts = (
        *(
            f"The {_COLORS[(i + k) % len(_COLORS)]} {thing} was {shape} "
            f"{_PLACES[(i + j + k) % len(_PLACES)]}."
            for i, thing in enumerate(THINGS)
            for j, shape in enumerate(UNRELATED)
            for k in range(4)
        ),
        *(
            f"The {thing} {event} because the {cause}."
            for i, thing in enumerate(THINGS)
            for j, event in enumerate(_EVENTS)
            for cause in (_CAUSES[(i + j) % len(_CAUSES)], _CAUSES[(i + j + 1) % len(_CAUSES)])
        ),
    )
    return tuple(text for i, text in enumerate(texts) if (i % _HELD_OUT_EVERY == 0) == held_out)
