"""Nouns: a metric by group of items, as a table of which all intervals hold together.

As fairlearn's `MetricFrame` (Bird et al. 2020) has it: by group, the largest difference, the
ratio; with intervals that are corrected for how many groups are looked at.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: "apart": its interval excludes the table's reference. "not apart": it holds it. "insufficient":
#: too few units, or even half of the largest possible effect would have been missed.
Evidence: TypeAlias = Literal["apart", "not apart", "insufficient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A metric on the items of a group."""

    group: Mapping[str, str]
    value: float
    low: float  # 95 % for all slices of the table together; nan: too few units
    high: float
    n: int  # items with a value
    units: int  # independent among them
    detectable: float  # smallest distance from the reference seen with 80 % power; nan: no possible
    evidence: Evidence
    reason: str | None = None  # why the value or the interval is nan


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """A metric by the groups of a key, or of two keys together (an intersection)."""

    by: tuple[str, ...]
    metric: str
    unit: str
    reference: float  # the ideal; of a metric without an ideal point the value on all items
    higher_is_better: bool | None
    units: str  # of what the independent units are the groups: a key, or "item"
    slices: tuple[Slice, ...]  # in the order of their names
    #: Largest less smallest value of those with an interval; 0: all alike. With its interval.
    difference: tuple[float, float, float]
    ratio: tuple[float, float, float]  # smallest over largest, in [0, 1]; nan unless all are > 0

    @property
    def compared(self) -> tuple[Slice, ...]:
        """The slices with enough evidence to be compared."""
        return tuple(each for each in self.slices if each.evidence != "insufficient")

    @property
    def worst(self) -> Slice | None:
        """Of those the farthest from the reference, or of an ability the least able."""
        if self.higher_is_better is None:
            return max(
                self.compared, key=lambda each: abs(each.value - self.reference), default=None
            )
        sign = 1.0 if self.higher_is_better else -1.0
        return min(self.compared, key=lambda each: sign * each.value, default=None)

    @property
    def differs(self) -> bool:
        """Whether the largest difference is shown to be above 0."""
        return math.isfinite(self.difference[1]) and self.difference[1] > 0.0
