"""Several seeds of a method as one answer, whose interval holds their scatter, too.

What is asked is how the method does, not how one run of it did. Items are resampled together for
all seeds; to each draw of their mean is added a draw from Student's t of k - 1 degrees, scaled to
the standard error of a mean of k seeds. That is the parametric bootstrap of a mean; resampling two
or three seeds themselves would say that they scatter less than they do.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column


def seed_noise(seeds: int, *, draws: int, seed: int) -> Column:
    """Draws of Student's t with seeds - 1 degrees: [draw]; zeros for a single seed."""
    if seeds < 2:
        return np.zeros(draws)
    return np.random.default_rng((seed, 2)).standard_t(seeds - 1, size=draws)


def pooled(
    values: Sequence[float], drawn: NDArray[np.float64], noise: Column
) -> tuple[float, Column]:
    """The mean over seeds, and its draws with the seeds' scatter.

    `values`: one per seed; `drawn`: [seed, draw] of the same number; `noise` from `seed_noise`.
    """
    if len(values) == 1:
        return values[0], drawn[0]
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), drawn.mean(axis=0) + noise * error


def spread(values: Sequence[float]) -> float:
    """Standard deviation (ddof 1) over seeds; nan for one seed, or where a value is nan."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
