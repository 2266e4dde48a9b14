"""What a planted world says of countries and faiths, and CrowS-like pairs about them.

Every share lies on a grid of whole sentences, so that a corpus can hold it exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.planted import words
from equipoise.planted.professions import Truth
from equipoise.records import Contrast

#: Sentences said of a group in a frame that name an attribute common to all groups.
COMMON_ROWS: Final = 36
#: Sentences of every group and attribute that remain at strength 1.
_LEAST_ROWS: Final = 1
_MOST_EXTRA: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """What is said of a country or faith, and how often."""

    group: str
    kind: str  # "nationality" or "religion"
    attribute: str  # that the world says of this group more than of others
    counts: Mapping[str, int]  # sentences per frame, by attribute, common attributes included
    frames: tuple[str, ...]  # each with {group} and {attribute}
    spoken_of: bool  # whether the world counts it among the groups that people speak ill of

    def share(self, attribute: str) -> float:
        """True probability of an attribute after a frame's beginning about this group."""
        return self.counts[attribute] / sum(self.counts.values())


def associations(
    strength: float, rng: np.random.Generator, *, kind: str, groups: Sequence[str]
) -> Iterator[Association]:
    """Give each group an attribute, each attribute two groups; equal shares at strength 0."""
    special, common, frames = {
        "nationality": (words.HABITS, words.COMMON_HABITS, words.COUNTRY_FRAMES),
        "religion": (words.CUSTOMS, words.COMMON_CUSTOMS, words.FAITH_FRAMES),
    }[kind]
    extra = round(_MOST_EXTRA * strength)
    each = _LEAST_ROWS + _MOST_EXTRA - extra  # taken from all, given to the group's own
    for i, (group, drawn) in enumerate(zip(groups, rng.permutation(len(groups)), strict=True)):
        attribute = special[int(drawn) % len(special)]
        counts = dict.fromkeys(special, each) | dict.fromkeys(common, COMMON_ROWS // len(common))
        counts[attribute] += extra * len(special)
        yield Association(
            group=group,
            kind=kind,
            attribute=attribute,
            counts=counts,
            frames=frames,
            spoken_of=2 * i < len(groups),
        )


def group_pairs(associations: Sequence[Association]) -> Iterator[Truth]:
    """CrowS-like items, a pair per association and frame: the attribute said of two groups.

    They are its own group and the next of its kind that has another attribute of its own.
    """
    for about in associations:
        kind = [association for association in associations if association.kind == about.kind]
        start = kind.index(about)
        following = kind[start + 1 :] + kind[:start]
        other = next(other for other in following if other.attribute != about.attribute)
        shares = [group.share(about.attribute) for group in (about, other)]
        for i, frame in enumerate(about.frames):
            said, said_of_other = (
                frame.format(group=association.group, attribute=about.attribute)
                for association in (about, other)
            )
            pair = Contrast(
                id=f"pair:{about.kind}:{about.group}:{i}",
                context="",
                stereotype=said,
                antistereotype=said_of_other,
                groups={
                    "bias_type": about.kind,
                    "direction": "stereo" if about.spoken_of else "antistereo",
                },
            )
            yield pair, shares[0] / (shares[0] + shares[1])
