"""Sign-flip permutation of whole clusters between the sides of a pair.

Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 3: under no effect
the two answers of a cluster can be exchanged, so that the test is exact.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import Column, Columns, Metric
from equipoise.stats.draws import BLOCK, Clusters, LazyColumns

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

    The first row is what was observed.
    """
    blocks = []
    for signs in _sign_flips(clusters.count, flips=flips, seed=seed):
        gaps = np.empty((len(afters), len(signs), len(metrics)))
        for index, after in enumerate(afters):
            joined = {key: np.concatenate([before[key], after[key]]) for key in before}
            for k, metric in enumerate(metrics):
                if isinstance(metric.of, Weighted):
                    gaps[index, :, k] = _weighted_gaps(metric.of, joined, clusters, signs)
            plain = [k for k, metric in enumerate(metrics) if not isinstance(metric.of, Weighted)]
            for row, swap in enumerate(signs[:, clusters.numbers] if plain else ()):
                sides = _swapped(after, before, swap), _swapped(before, after, swap)
                for k in plain:
                    gaps[index, row, k] = metrics[k].of(sides[0]) - metrics[k].of(sides[1])
        blocks.append(gaps.mean(axis=0))
    return np.concatenate(blocks) if blocks else np.empty((0, len(metrics)))


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
    """The smallest p of the exact test: the observed signs and their mirror, of all there are."""
    return 2.0 ** (1 - clusters)


def _weighted_gaps(
    metric: Weighted, joined: Columns, clusters: Clusters, signs: NDArray[np.bool_]
) -> Column:
    """After - before per flip: of both sides' clusters each is there once, here or there."""
    numbers = np.concatenate([clusters.numbers, clusters.numbers + clusters.count])
    before, after = (
        metric.values(joined, Weights(numbers, np.hstack([~swap, swap]).astype(float)))
        for swap in (signs, ~signs)
    )
    return after - before


def _sign_flips(count: int, *, flips: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Which clusters to exchange, the identity first: all ways when few, else a seeded sample.

    [flip, cluster], in blocks. Of all ways those that leave the first cluster as it is: exchanging
    every cluster turns the difference's sign and nothing else, so that the other half would count
    the same again.
    """
    if flips == 0 or count == 0:
        return
    if 2 ** (count - 1) <= max(flips, FEWEST_FLIPS):
        yield np.array(
            [(False, *rest) for rest in itertools.product((False, True), repeat=count - 1)]
        )
        return
    yield np.zeros((1, count), dtype=bool)
    generator = np.random.default_rng((seed, 1))  # another stream than the bootstrap's
    size = max(1, BLOCK // (2 * count))
    for start in range(0, flips, size):
        yield generator.random((min(size, flips - start), count)) < 0.5


def _swapped(columns: Columns, other: Columns, swap: NDArray[np.bool_]) -> LazyColumns:
    """One side's columns with the other side's values in the rows to exchange."""

    def mix(key: str) -> Column:
        if key.startswith("@"):
            return columns[key]
        return cast(Column, np.where(swap, other[key], columns[key]))

    return LazyColumns(columns, mix)
