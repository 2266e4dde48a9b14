"""What a look at held-out contrasts sees: where each type stands, and how far LMS has fallen.

LMS is StereoSet's language-modelling score (Nadeem et al. 2021, section 4; `metrics/preference.py`
has the benchmark's): how often a text that makes sense is likelier, a token, than one that does
not. Here every example counts once, and every example is compared with itself before training, so
that a fall is known better than a score is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.records import JSON, Column
from equipoise.stats.resample import Interval
from equipoise.tuning.coded import Item
from equipoise.tuning.reader import TextReader
from equipoise.tuning.standing import Standing, means_of, means_over_terms, standings


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Points of LMS that were lost since before training; below 0: gained."""

    points: Interval  # 95 %, over target terms; 0: as before
    lms: float  # now, in [0, 100]; 100: sense is always preferred, 50: as often as not

    def shown_over(self, margin: float) -> bool:
        """Whether more than `margin` points are lost, and the loss is more than chance here."""
        return self.points.value > margin and self.points.low > 0

    @property
    def text(self) -> str:
        """For people: points with their interval."""
        one = self.points
        return f"{one.value:.2f} points [{one.low:.2f}, {one.high:.2f}]"

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; an interval that could not be had is None."""
        low, high = self.points.low, self.points.high
        return {
            "lms": self.lms,
            "fall": self.points.value,
            "low": low if math.isfinite(low) else None,
            "high": high if math.isfinite(high) else None,
            "items": self.points.n,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look sees."""

    standings: Mapping[str, Standing]  # by type
    fall: Fall | None = None  # None: LMS is not looked at


class HeldOut:
    """Looks at held-out items; the first look is the one that LMS is compared with."""

    def __init__(self, reader: TextReader, items: Sequence[Item], *, lms: bool, seed: int) -> None:
        """`lms`: read the unrelated texts, too, of the items that have one."""
        self._reader = reader
        self._items = items
        known = [(at, one.unrelated) for at, one in enumerate(items) if lms and one.unrelated]
        self._known = [at for at, _ in known]  # positions of the items whose LMS is looked at
        self._unrelated = [(items[at], text) for at, text in known]
        self._seed = seed
        self._before: Column | None = None

    def __call__(self) -> Seen:
        """Look at the model as it is now."""
        pairs = [(one, text) for one in self._items for text in one.pair]
        means = means_of(self._reader, [*pairs, *self._unrelated])
        first, second = means[0 : len(pairs) : 2], means[1 : len(pairs) : 2]
        return Seen(
            standings=standings(first - second, self._items, seed=self._seed),
            fall=self._fall(first, second, means[len(pairs) :]) if self._known else None,
        )

    def _fall(self, first: Column, second: Column, unrelated: Column) -> Fall:
        over = [np.sign(one[self._known] - unrelated) for one in (first, second)]
        related = 50.0 + 25.0 * (over[0] + over[1])  # percent; ties count half
        if self._before is None:
            self._before = related
        items = [one for one, _ in self._unrelated]
        (points,) = means_over_terms([self._before - related], items, seed=self._seed)
        return Fall(points=points, lms=float(related.mean()))
