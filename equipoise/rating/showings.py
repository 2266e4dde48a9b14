"""In which order a rater sees the texts, on which side, and which of them twice.

Drawn by hashes, not by a generator: the same seed, rater and id give the same order under every
version of Python and numpy, so that a rater goes on where they were.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.rating.questions import Mode, Variant

REPEATED_SHARE: Final = 0.10
_SINGLE: Final[tuple[Variant, ...]] = ("first", "second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What a rater is shown at a time."""

    pair: str  # its id
    variant: Variant
    swapped: bool  # the second variant's text is A; of a single text False
    repeat: bool  # it was shown before, to see whether the rater agrees with themselves


def plan_showings(ids: Sequence[str], *, mode: Mode, rater: str, seed: int) -> tuple[Showing, ...]:
    """Every pair once in a random order, sides by lot; a tenth of them, rounded up, once more.

    In the mode "texts" each text of a pair is shown by itself. What is repeated is drawn from the
    first third and comes again, with the same sides, somewhere in the second half. Of a single
    pair or text nothing is repeated.
    """

    def lot(what: str, pair: str, variant: Variant) -> str:
        return hashlib.sha256(json.dumps([seed, rater, what, pair, variant]).encode()).hexdigest()

    def show(pair: str, variant: Variant, *, repeat: bool = False) -> Showing:
        # sides are those of the first time
        swapped = variant == "both" and int(lot("side", pair, variant), 16) % 2 == 1
        return Showing(pair=pair, variant=variant, swapped=swapped, repeat=repeat)

    variants: tuple[Variant, ...] = _SINGLE if mode == "texts" else ("both",)
    items = [(id, variant) for id in ids for variant in variants]
    order = sorted(items, key=lambda item: lot("order", *item))
    half, third = (len(order) + 1) // 2, math.ceil(len(order) / 3)
    count = math.ceil(REPEATED_SHARE * len(order)) if len(order) > 1 else 0
    repeated = sorted(order[:third], key=lambda item: lot("repeat", *item))[:count]
    second_half = [
        *((lot("place", *item), show(*item)) for item in order[half:]),
        *((lot("again", *item), show(*item, repeat=True)) for item in repeated),
    ]
    later = sorted(second_half, key=lambda drawn: drawn[0])
    return (*(show(*item) for item in order[:half]), *(showing for _, showing in later))
