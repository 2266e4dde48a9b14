"""Probes with their two sentences exchanged at random: what scores would be if bias had no side.

Where a row says nothing of which sentence of a probe is the biased, what the probe adds to its
score has either sign with the same probability. Scores that are a mean over probes turn a probe's
sign when its sentences are exchanged, so that the test of a row over all exchanges is exact (Good
2005, chapter 3), whatever the probes' sizes. Probes must not depend on each other, or be exchanged
in clusters. Rows are chosen by their p with the false discovery rate controlled (Benjamini and
Hochberg 1995; under any dependence Benjamini and Yekutieli 2001).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column

_BLOCK: Final = 2**22  # numbers of a matrix [row, swap] at a time
_TOLERANCE: Final = 1e-9  # of a row's scores: swaps that tie but for rounding count

Table = NDArray[np.float64]


def swapped_scores(
    by_probe: Table, *, swaps: int, seed: int, clusters: Sequence[str] | None = None
) -> Iterator[Table]:
    """Scores with the sentences of random probes exchanged, in blocks: [row, swap].

    The first column of the first block is what was observed. All exchanges are tried when there
    are no more than `swaps`. `clusters`: [probe], those of a name are exchanged together.
    """
    rows, probes = by_probe.shape
    names = range(probes) if clusters is None else clusters
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    member = np.zeros((probes, len(number)))
    member[np.arange(probes), [number[name] for name in names]] = 1 / max(1, probes)
    parts = by_probe @ member
    size = max(1, _BLOCK // max(1, rows))
    for signs in _signs(len(number), swaps=swaps, seed=seed, size=size):
        yield parts @ signs.T


def support_p(
    by_probe: Table, *, swaps: int = 10_000, seed: int = 0, clusters: Sequence[str] | None = None
) -> Column:
    """For each row, the share of exchanges with as high a score, the observed among them: [row].

    Small: the row supports the bias beyond chance. One-sided; nan where a score is nan. It cannot
    be below 1 / (`swaps` + 1), or 2 to the minus number of probes (or clusters).
    """
    observed: Column | None = None
    reached, total = np.zeros(len(by_probe)), 0
    for scores in swapped_scores(by_probe, swaps=swaps, seed=seed, clusters=clusters):
        if observed is None:
            scale = np.abs(by_probe).max(axis=1, initial=0.0)
            observed = scores[:, 0] - _TOLERANCE * scale
        reached += (scores >= observed[:, None]).sum(1)
        total += scores.shape[1]
    if observed is None:
        return np.full(len(by_probe), math.nan)
    return np.where(np.isnan(observed), math.nan, reached / total)


def false_discovery_q(p: Column, *, dependence: Literal["positive", "any"] = "positive") -> Column:
    """The smallest false discovery rate at which each hypothesis is rejected: [hypothesis].

    Rejecting those at most q makes, on average, at most a share q of false rejections: Benjamini
    and Hochberg's step-up for independent or positively dependent p, Benjamini and Yekutieli's for
    "any" dependence. A nan is no hypothesis and stays nan.
    """
    q = np.full(len(p), math.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    count = len(order)
    if count == 0:
        return q
    ranks = np.arange(1, count + 1)
    factor = float(np.sum(1 / ranks)) if dependence == "any" else 1.0
    bounds = p[order] * count * factor / ranks
    q[order] = np.minimum(np.minimum.accumulate(bounds[::-1])[::-1], 1.0)
    return q


def _signs(count: int, *, swaps: int, seed: int, size: int) -> Iterator[Table]:
    """Signs of clusters, none turned first: [swap, cluster], in blocks."""
    if count == 0 or swaps < 1:
        return
    if count < 63 and 2**count <= swaps:
        every = np.array(list(product((1.0, -1.0), repeat=count)))
        for start in range(0, len(every), size):
            yield every[start : start + size]
        return
    # What was observed is among the swaps: without it a sample could give a p of 0.
    yield np.ones((1, count))
    generator = np.random.default_rng((seed, 2))  # another stream than the bootstrap's
    for start in range(0, swaps, size):
        yield np.where(generator.random((min(size, swaps - start), count)) < 0.5, -1.0, 1.0)
