"""Sign-flip permutation of whole clusters between the sides of a pair.

Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 3: under no effect
the two answers of a cluster can be exchanged, so that the test is exact.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import CLUSTER, Weights, values_of
from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import BLOCK

#: A difference of this size is no evidence of anything: it is what a scorer may be off by.
ROUNDING = 1e-5
FEWEST_FLIPS = 512  # as many ways as 10 clusters have are all tried, however few are asked for
_TOLERANCE = 1e-9  # of the difference: permutations that tie with it but for rounding count


def flipped_differences(
    metrics: Sequence[Metric],
    befores: Sequence[Columns],
    afters: Sequence[Columns],
    *,
    flips: int,
    seed: int,
) -> NDArray[np.float64]:
    """Differences, mean after - before, with the sides of some clusters exchanged: [flip, metric].

    `befores`: that of every after, or a single one for all. The first row is what was observed.
    """
    once = Weights.once(befores[0][CLUSTER])
    count = len(once.counts)
    # Rows of both sides as one table, in which each cluster of each side counts once or not at all.
    numbers = np.concatenate([once.clusters, once.clusters + count])
    pairs = zip(befores if len(befores) > 1 else [*befores] * len(afters), afters, strict=True)
    both = [
        {key: np.concatenate([before[key], after[key]]) for key in before}
        for before, after in pairs
    ]
    blocks = []
    for swap in sign_flips(count, flips=flips, seed=seed):
        first = Weights(numbers, np.hstack([~swap, swap]).astype(float))
        second = Weights(numbers, np.hstack([swap, ~swap]).astype(float))
        gaps = np.empty((len(afters), len(swap), len(metrics)))
        for (index, columns), (k, metric) in product(enumerate(both), enumerate(metrics)):
            after = values_of(metric, columns, second)
            gaps[index, :, k] = after - values_of(metric, columns, first)
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


def sign_flips(count: int, *, flips: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Which clusters to exchange, the identity first: all ways when few, else a seeded sample.

    [flip, cluster], in blocks. Of all ways those that leave the first cluster as it is: exchanging
    every cluster turns the difference's sign and nothing else, so that the other half would count
    the same again.
    """
    if flips == 0 or count == 0:
        return
    if 2 ** (count - 1) <= max(flips, FEWEST_FLIPS):
        yield np.array([(False, *rest) for rest in product((False, True), repeat=count - 1)])
        return
    # What was observed is among the permutations: without it a sample could give a p of 0.
    yield np.zeros((1, count), dtype=bool)
    generator = np.random.default_rng((seed, 1))  # another stream than the bootstrap's
    size = max(1, BLOCK // (2 * count))
    for start in range(0, flips, size):
        yield generator.random((min(size, flips - start), count)) < 0.5
