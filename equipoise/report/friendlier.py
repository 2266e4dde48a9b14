"""Less bias, or friendlier text? SS where the stereotype is the more negative word, and where not.

StereoSet's labels follow how friendly the words are that fill its blanks. An edit that only makes
text friendlier lowers SS where the stereotype is the more negative word and raises it where it is
the more positive; what is left of SS over all items then depends on how many there are of either.
Nothing is stated here that the intervals of both changes and of their difference do not say.
"""

from typing import Final, Literal, TypeAlias

from equipoise.conclusions import UNSTATED, Change, Halves
from equipoise.number_text import difference, numbers

#: What the two changes say. "friendlier", "less friendly": they went opposite ways, as that alone
#: would move them. "like friendlier": apart in that direction, and SS is not shown to rise where it
#: should. "both": both moved the same way, by different amounts. "alike": no difference is shown.
Reading: TypeAlias = Literal[
    "friendlier", "less friendly", "like friendlier", "like less friendly", "both", "alike",
    "unknown",
]  # fmt: skip

_READINGS: Final[dict[Reading, str]] = {
    "friendlier": "as an edit that only makes text friendlier moves them apart",
    "less friendly": "as an edit that only makes text less friendly moves them apart",
    "like friendlier": "apart in the direction of friendlier text, though not both are shown to "
    "have moved",
    "like less friendly": "apart in the direction of less friendly text, though not both are shown "
    "to have moved",
    "both": "both moved the same way, which friendlier text alone does not do",
    "alike": "that they moved apart, as by friendlier text, is not shown",
}


def read_halves(halves: Halves) -> Reading:
    """What the two changes say of friendlier text, by their intervals and directions."""
    if halves.gap.direction in UNSTATED:
        return "unknown"
    if halves.gap.direction == "unchanged":
        return "alike"
    first, second = _way(halves.first), _way(halves.second)
    if first * second > 0:
        return "both"
    friendlier = halves.gap.difference < 0
    if first * second < 0:
        return "friendlier" if friendlier else "less friendly"
    return "like friendlier" if friendlier else "like less friendly"


def friendlier_sentence(halves: Halves) -> str:
    """Both changes and their difference, with intervals, and what they say of friendlier text.

    "ss where the stereotype is more negative 58.9 → 50.2 (-8.7 [-12.1, -5.2]), where the stereotype
    is more positive 69.3 → 75.0 (+5.7 [2.0, 9.1]), changes that differ by -14.4 points [-19.0,
    -9.9]: as an edit that only makes text friendlier moves them apart".
    """
    reading, gap = read_halves(halves), halves.gap
    if reading == "unknown":
        reason = gap.reason or "no reason is given"
        return f"whether text was only made friendlier is not known ({reason})"
    first, second = (
        f"where the {group} {_move(change)}"
        for group, change in zip(halves.groups, (halves.first, halves.second), strict=True)
    )
    points = difference(gap.difference, gap.low, gap.high, unit=" points")
    differ = f"changes that differ by {points}"
    return f"{halves.first.metric} {first}, {second}, {differ}: {_READINGS[reading]}"


def _way(change: Change) -> int:
    """-1: shown to have fallen; 1: to have risen; 0: neither."""
    if change.direction in ("unchanged", *UNSTATED):
        return 0
    return 1 if change.difference > 0 else -1


def _move(change: Change) -> str:
    moved = difference(change.difference, change.low, change.high)
    return f"{' → '.join(numbers(change.before, change.after))} ({moved})"
