"""Sign-flip permutation of whole clusters between the sides of a pair.

Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 3: under no effect
the two answers of a cluster can be exchanged, so that the test is exact.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import Clusters

ROUNDING = 1e-6  # a difference of this size is float32 rounding, and no evidence of anything
FEWEST_FLIPS = 512  # as many ways as 10 clusters have are all tried, however few are asked for
_TOLERANCE = 1e-9  # of the difference: permutations that tie with it but for rounding count


def flipped_differences(
    metrics: Sequence[Metric],
    before: Columns,
    afters: Sequence[Columns],
    clusters: Clusters,
    *,
    flips: int,
    seed: int,
) -> NDArray[np.float64]:
    """Differences, mean after - before, with the sides of some clusters exchanged: [flip, metric].

    The first row is the observed one.
    """
    place = np.empty(len(clusters.order), dtype=np.intp)  # [row] number of its cluster
    place[clusters.order] = np.repeat(np.arange(clusters.count), clusters.lengths)
    found = []
    for signs in _sign_flips(clusters.count, flips=flips, seed=seed):
        swap = signs[place]
        sides = [(_Swapped(before, after, swap), _Swapped(after, before, swap)) for after in afters]
        found.append([_difference(metric, sides) for metric in metrics])
    return np.array(found).reshape(len(found), len(metrics))


def permutation_p(difference: float, flipped: Column) -> float:
    """Share of sign flips, the identity among them, with as large a difference; two-sided.

    1 for a difference within `ROUNDING`; nan where nothing can be flipped.
    """
    finite = flipped[np.isfinite(flipped)]
    if len(finite) == 0 or not math.isfinite(difference):
        return math.nan
    if abs(difference) <= ROUNDING:
        return 1.0
    return float(np.mean(np.abs(finite) >= abs(difference) * (1.0 - _TOLERANCE)))


def smallest_p(clusters: int) -> float:
    """What the exact test of so many clusters can reach: the observed signs and their mirror."""
    return 2.0 ** (1 - clusters)


def _difference(metric: Metric, sides: Sequence[tuple[Columns, Columns]]) -> float:
    gaps = [metric.of(after) - metric.of(before) for before, after in sides]
    return math.fsum(gaps) / len(gaps)


def _sign_flips(count: int, *, flips: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Which clusters to exchange, the identity first: all ways when few, else a seeded sample.

    Of all ways those that leave the first cluster as it is: exchanging every cluster turns the
    difference's sign and nothing else, so that the other half would count the same again.
    """
    if flips == 0 or count == 0:
        return
    if 2 ** (count - 1) <= max(flips, FEWEST_FLIPS):
        for signs in itertools.product((False, True), repeat=count - 1):
            yield np.array((False, *signs))
        return
    yield np.zeros(count, dtype=bool)
    generator = np.random.default_rng((seed, 1))  # another stream than the bootstrap's
    for _ in range(flips):
        yield generator.random(count) < 0.5


class _Swapped(Mapping[str, Column]):
    """One side's columns with the other side's values in the rows to exchange."""

    def __init__(self, columns: Columns, other: Columns, swap: NDArray[np.bool_]) -> None:
        self._columns, self._other, self._swap = columns, other, swap
        self._found: dict[str, Column] = {}

    def __getitem__(self, key: str) -> Column:
        if key.startswith("@"):
            return self._columns[key]
        if key not in self._found:
            mixed = np.where(self._swap, self._other[key], self._columns[key])
            self._found[key] = cast(Column, mixed)
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
