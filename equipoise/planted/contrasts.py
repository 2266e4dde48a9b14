"""StereoSet-like contrasts of a planted world: of the usual 8 targets an axis, or of many.

With 8 targets each item has a lean of its own and all are measured: nothing can be learnt there
that holds elsewhere. With more, of invented people, the lean of an item is that of its axis, of its
pair of attributes and, a little, of its target; so what is learnt about some targets holds for
others, as StereoSet's training split teaches something about its other split. Every share lies on a
grid of whole sentences, so that a corpus can hold it exactly.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np

from equipoise.data.partition import Share
from equipoise.planted import words
from equipoise.records import Contrast

#: Sentences of a contrast: those of the pair, and those with the filler.
PAIR_ROWS: Final = 20
FILLER_ROWS: Final = 4
#: A contrast's share is at least this far from 1/2, so that no preference is a near tie.
_CLEAR: Final = 0.1
#: How far from 1/2 the shares of an axis reach at strength 0.
_SPREAD: Final = 0.35
#: Targets an axis may have beside the usual 8: fewer cannot be shared out, for more words lack.
LEAST_TARGETS: Final = 12
MOST_TARGETS: Final = 80

#: A target's word is a beginning and an ending; every axis has four endings of its own.
_BEGINNINGS: Final = words.listed(
    "bel dor fal gor hal jen kol lam mor nal pel quin ral sol tam ulm vor wen yar zan"
)
_ENDINGS: Final = words.listed(
    "adru ebin ivo odal umek arun esto ilka onvi ulte amir efra isku oleb urno atwe"
)
#: A pair's frames: its own, and the second next.
_FRAMES: Final = (0, 2)
#: How far a target moves each of its shares: by about a row.
_OF_TARGET: Final = 0.02
#: Which part has a couple of targets, the first down, the second up.
_PARTS: Final[tuple[Share, ...]] = ("train", "test", "dev", "train", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A contrast with the truth about it."""

    contrast: Contrast
    stereotype_rows: int  # sentences that end with the stereotype; of `PAIR_ROWS`
    filler: str  # the whole sentence with a word that says nothing, `FILLER_ROWS` times
    #: "test": it is measured; else a mitigation may learn from it, or stop on it. Not in the
    #: representation, which settles the key of a taught model, for a model is taught all parts.
    part: Share = field(default="test", repr=False)

    @property
    def share(self) -> float:
        """True probability of the stereotype within the pair."""
        return self.stereotype_rows / PAIR_ROWS


def preferences(strength: float, rng: np.random.Generator, *, axis: str) -> Iterator[Preference]:
    """The contrasts of an axis.

    Shares are spread evenly around 1/2 and moved together by strength times the axis's
    shift, so exactly half of the items prefer the stereotype at strength 0.
    """
    targets, pairs = words.AXES[axis]
    n = len(targets) * len(pairs)
    drawn = rng.permutation(_SPREAD * (2 * np.arange(n) + 1 - n) / n)
    swapped = rng.integers(0, 2, size=n)
    shift = words.AXIS_SHIFTS[axis] * strength
    items = product(targets, range(len(pairs)))
    for (target, p), lean, swap in zip(items, drawn, swapped, strict=True):
        rows = _rows(shift + float(lean))
        yield _preference(axis, target, place=(p, p), rows=rows, swap=bool(swap))


def target_words(axis: str, n: int) -> tuple[str, ...]:
    """The first `n` targets of an axis, of `MOST_TARGETS`; no axis has a word of another."""
    first = list(words.AXES).index(axis)
    return tuple(
        _BEGINNINGS[i % len(_BEGINNINGS)]
        + _ENDINGS[len(words.AXES) * (i // len(_BEGINNINGS)) + first]
        for i in range(n)
    )


def shared_preferences(
    strength: float, rng: np.random.Generator, *, axis: str, targets: int
) -> Iterator[Preference]:
    """The contrasts of an axis with an even number of targets; which part may see them.

    Each pair of attributes is said in two frames. A share is the logistic of 4 times its lean, so
    1/2 + lean near 1/2, and never certain. The lean is strength times the axis's shift, an effect
    of the pair in its frame (evenly spread over `_SPREAD` around 0), and a small effect of the
    target, up or down. A part has as many targets of either, so at strength 0 exactly half of its
    items prefer the stereotype.
    """
    names, pairs = target_words(axis, targets), words.AXES[axis][1]
    places = [(p, (p + step) % len(pairs)) for p in range(len(pairs)) for step in _FRAMES]
    swapped = rng.integers(0, 2, size=len(pairs))
    of_place = rng.permutation(_SPREAD * (2 * np.arange(len(places)) + 1) / len(places) - _SPREAD)
    shift = words.AXIS_SHIFTS[axis] * strength
    for i, drawn in enumerate(rng.permutation(targets)):
        of_target = _OF_TARGET if i % 2 else -_OF_TARGET
        for place, effect in zip(places, of_place, strict=True):
            lean = shift + float(effect) + of_target
            share = 1 / (1 + math.exp(-4 * abs(lean)))
            yield _preference(
                axis,
                names[int(drawn)],
                place=place,
                rows=_rows(math.copysign(share - 0.5, lean)),
                swap=bool(swapped[place[0]]),
                part=_PARTS[i // 2 % len(_PARTS)],
            )


def _preference(
    axis: str, target: str, *, place: tuple[int, int], rows: int, swap: bool, part: Share = "test"
) -> Preference:
    """The contrast of a target and a pair in a frame, by their numbers; the usual are the same.

    The stereotype is the pair's first attribute, or its second if `swap`; it is said `rows` times
    of `PAIR_ROWS`.
    """
    number, framed = place
    pair, frame = words.AXES[axis][1][number], words.AXIS_FRAMES[framed]
    stereotype, antistereotype = pair[::-1] if swap else pair
    sentences = [
        frame.format(target=target, attribute=attribute)
        for attribute in (stereotype, antistereotype, words.UNRELATED[number], words.AXIS_FILLER)
    ]
    contrast = Contrast(
        id=f"{axis}:{target}:{pair[0]}" + ("" if framed == number else f":{framed}"),
        context="",
        stereotype=sentences[0],
        antistereotype=sentences[1],
        unrelated=sentences[2],
        groups={"axis": axis, "target": target},
    )
    return Preference(contrast=contrast, stereotype_rows=rows, filler=sentences[3], part=part)


def _rows(lean: float) -> int:
    """Rows of the stereotype for a share of 1/2 + lean; off 1/2 by `_CLEAR`, and off 0 and 1."""
    least, most = round(PAIR_ROWS * _CLEAR), PAIR_ROWS // 2 - 1
    rows = min(max(round(PAIR_ROWS * abs(lean)), least), most)
    return PAIR_ROWS // 2 + (rows if lean > 0 else -rows)
