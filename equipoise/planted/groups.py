"""Groups of a planted world: what is said of countries and faiths, and StereoSet-like contrasts.

Every share lies on a grid of whole sentences, so that a corpus can hold it exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from equipoise.data.partition import Share
from equipoise.planted import words
from equipoise.records import Contrast

#: Sentences of one contrast: those of the pair, and those with the filler.
PAIR_ROWS: Final = 20
FILLER_ROWS: Final = 4
#: Sentences said of one group in one frame that name an attribute common to all groups.
COMMON_ROWS: Final = 36
#: Sentences of every group and attribute that remain at strength 1.
_LEAST_ROWS: Final = 1
_MOST_EXTRA: Final = 9
#: A contrast's share is at least this far from one half, so that no preference is a near tie.
CLEAR: Final = 0.1
#: How far from one half the shares of an axis reach at strength 0.
SPREAD: Final = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """What is said of one country or faith, and how often."""

    group: str
    kind: str  # "nationality" or "religion"
    attribute: str  # the one that the world says of this group more than of others
    counts: Mapping[str, int]  # sentences in one frame by attribute, common attributes included
    frames: tuple[str, ...]  # each with {group} and {attribute}
    spoken_of: bool  # whether the world counts it among the groups that people speak ill of

    def share(self, attribute: str) -> float:
        """True probability of an attribute after a frame's beginning about this group."""
        return self.counts[attribute] / sum(self.counts.values())


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


def associations(
    strength: float, rng: np.random.Generator, *, kind: str, groups: Sequence[str]
) -> tuple[Association, ...]:
    """Give each group one attribute, each attribute two groups; equal shares at strength 0."""
    special, common, frames = {
        "nationality": (words.HABITS, words.COMMON_HABITS, words.COUNTRY_FRAMES),
        "religion": (words.CUSTOMS, words.COMMON_CUSTOMS, words.FAITH_FRAMES),
    }[kind]
    extra = round(_MOST_EXTRA * strength)
    each = _LEAST_ROWS + _MOST_EXTRA - extra  # taken from all, given to the group's own
    order = rng.permutation(len(groups))
    said = []
    for i, group in enumerate(groups):
        attribute = special[int(order[i]) % len(special)]
        counts = dict.fromkeys(special, each) | dict.fromkeys(common, COMMON_ROWS // len(common))
        counts[attribute] += extra * len(special)
        said.append(
            Association(
                group=group,
                kind=kind,
                attribute=attribute,
                counts=counts,
                frames=frames,
                spoken_of=2 * i < len(groups),
            )
        )
    return tuple(said)


def preferences(strength: float, rng: np.random.Generator, *, axis: str) -> tuple[Preference, ...]:
    """The contrasts of one axis.

    Shares are spread evenly around one half and moved together by strength times the axis's
    shift, so exactly half of the items prefer the stereotype at strength 0.
    """
    targets, pairs = words.AXES[axis]
    n = len(targets) * len(pairs)
    spread = SPREAD * (2 * np.arange(n) + 1 - n) / n
    drawn = rng.permutation(spread)
    swapped = rng.integers(0, 2, size=n)
    shift = words.AXIS_SHIFTS[axis] * strength
    return tuple(
        preference(
            axis,
            target,
            place=(p, p),
            rows=_clear_rows(shift + float(drawn[i])),
            swap=bool(swapped[i]),
        )
        for i, (target, p) in enumerate(
            (target, p) for target in targets for p in range(len(pairs))
        )
    )


def preference(
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
        for attribute in (
            stereotype,
            antistereotype,
            words.UNRELATED[number],
            words.AXIS_FILLER,
        )
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


def _clear_rows(lean: float) -> int:
    """Rows of the stereotype for a share of 1/2 + lean, kept off 1/2, 0 and 1."""
    size = min(max(abs(lean), CLEAR), 0.5 - 1 / PAIR_ROWS)
    rows = round(PAIR_ROWS * size)
    return PAIR_ROWS // 2 + (rows if lean > 0 else -rows)
