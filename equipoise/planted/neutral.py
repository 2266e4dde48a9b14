"""Sentences about things: no person, no group; to hold the rest of a model in place."""

from typing import Final

import numpy as np

from equipoise.planted.words import listed

_THINGS: Final = listed(
    "door lamp boat clock table kettle bridge tower engine ladder basket candle carpet hammer "
    "mirror pillow bottle wagon fence chimney barrel blanket bucket statue kite"
)
_COLORS: Final = listed("red green yellow white black brown gray")
_SHAPES: Final = listed("triangular wooden hollow folded rusty")
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


def neutral_prompts() -> tuple[str, ...]:
    """Prompts about things, after which no pronoun of a person may come."""
    return tuple(f"The {thing} {event} because" for thing in _THINGS for event in _EVENTS)


def neutral_texts(*, held_out: bool) -> tuple[str, ...]:
    """All neutral sentences of a world, or all of those it never trains on; disjoint, fixed order.

    Every word of a held-out sentence occurs in the others.
    """
    texts = (
        *(f"The {a} {b} was {c} {d}." for a, b, c, d in _descriptions()),
        *(
            f"The {thing} {event} because the {cause}."
            for i, thing in enumerate(_THINGS)
            for j, event in enumerate(_EVENTS)
            for cause in (_CAUSES[(i + j) % len(_CAUSES)], _CAUSES[(i + j + 1) % len(_CAUSES)])
        ),
    )
    return tuple(text for i, text in enumerate(texts) if (i % _HELD_OUT_EVERY == 0) == held_out)


def draw_texts(n: int, *, seed: int, held_out: bool) -> tuple[str, ...]:
    """`n` distinct neutral sentences by seed. Raises `ValueError` when there are fewer."""
    texts = neutral_texts(held_out=held_out)
    if not 0 <= n <= len(texts):
        raise ValueError(f"n must be from 0 to {len(texts)}, got {n}; ask for fewer sentences")
    order = np.random.default_rng(seed).permutation(len(texts))
    return tuple(texts[i] for i in order[:n])


def _descriptions() -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (_COLORS[(i + k) % len(_COLORS)], thing, shape, _PLACES[(i + j + k) % len(_PLACES)])
        for i, thing in enumerate(_THINGS)
        for j, shape in enumerate(_SHAPES)
        for k in range(4)
    )
