"""True facts of the real world, each with one right continuation; what a model must not lose."""

from typing import Final

from equipoise.data.clozes import Fact

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
