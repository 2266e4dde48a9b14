"""Paraphrase floor: how much of a difference between groups mere rewording makes as well.

What a model writes changes with any change of its prompt. A counterfactual difference, of two texts
whose prompts differ in the group alone, says something of the group only as far as it is larger
than the difference of two texts whose prompts say the same of the same group in other words.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from equipoise.metrics.disparity import Compared
from equipoise.metrics.scale import Scale
from equipoise.metrics.weighted import CLUSTER, Codes, Weighted, Weights
from equipoise.records import Column, Columns, Estimate, Metric

#: Group key of the wording; texts with the same number are of prompts that differ in the group.
WORDING: Final = "wording"

_SOURCE: Final = "own: root of the mean over scenes of the squared difference of two means"


def rewording_metrics(scales: Sequence[Scale], compared: Compared) -> Iterator[Metric]:
    """Of each scale `name`: `name_swap`, `name_reword`, and `name_swap_over_reword`, their
    difference, which is 0 where the group matters no more than the wording.

    Rows are texts; clusters are scenes, which hold all groups and all wordings. `name_swap`: the
    root mean square difference of two groups' means within a scene, a domain (`compared.within`)
    and a wording. `name_reword`: that of two wordings' means within a scene and a group. Both hold
    as much noise: each mean is over the same texts, every domain of a scene counts alike however
    many groups it has, and of squares a group of few texts adds as much to either (of absolute
    differences it adds more to `name_swap`).
    """
    for scale in scales:
        width = scale.high - scale.low

        def of_swap(columns: Columns, weights: Weights, name: str = scale.name) -> Column:
            return _root_mean_square(columns, weights, name, compared, reworded=False)

        def of_reword(columns: Columns, weights: Weights, name: str = scale.name) -> Column:
            return _root_mean_square(columns, weights, name, compared, reworded=True)

        def of_both(columns: Columns, weights: Weights, name: str = scale.name) -> Column:
            return of_swap(columns, weights, name) - of_reword(columns, weights, name)

        for ending, of, low, ideal, needs in (
            ("swap", of_swap, 0.0, None, "texts of two groups in a scene"),
            ("reword", of_reword, 0.0, None, "scenes in two wordings"),
            ("swap_over_reword", of_both, -width, 0.0, "two groups and two wordings of a scene"),
        ):
            yield Metric(
                name=f"{scale.name}_{ending}", of=Weighted(of), unit=scale.unit, source=_SOURCE,
                ideal=ideal, low=low, high=width, needs=needs,
            )  # fmt: skip


def _root_mean_square(
    columns: Columns, weights: Weights, name: str, compared: Compared, *, reworded: bool
) -> Column:
    """Root of the mean over scenes and domains of pairs' squares: [draw]; nan without a pair."""
    rows = len(columns[CLUSTER])
    values = columns.get(name, np.full(rows, math.nan))
    same = np.zeros(rows)
    domain = same if compared.within is None else columns.get("@" + compared.within, same)
    keys = [
        weights.clusters,
        domain,
        columns.get("@" + compared.groups, np.full(rows, -1.0)),
        columns.get("@" + WORDING, same),
    ]
    known = ~np.isnan(values) & (keys[2] >= 0) & (keys[3] >= 0)
    cells, cell = np.unique(np.stack(keys)[:, known].astype(np.intp), axis=1, return_inverse=True)
    means = np.bincount(cell.ravel(), values[known]) / np.bincount(cell.ravel())
    varied = 3 if reworded else 2
    clusters, domains, squares = _pairs(cells, means, varied)
    if not len(clusters):
        return np.full(weights.counts.shape[:-1], math.nan)
    # each domain of a scene alike, and each scene, however many pairs it has
    parts, part = np.unique(np.stack([clusters, domains]), axis=1, return_inverse=True)
    within = np.bincount(part.ravel(), squares) / np.bincount(part.ravel())
    return np.sqrt(Weights(parts[0], weights.counts).macro(within))


def _pairs(cells: Codes, means: Column, varied: int) -> tuple[Codes, Codes, Column]:
    """Clusters, domains and squared differences of each two cells that differ in one key alone."""
    fixed = np.delete(cells, varied, axis=0)
    order = np.lexsort(fixed)
    new = (np.diff(fixed[:, order]) != 0).any(axis=0)
    parts = np.split(order, 1 + np.flatnonzero(new)) if len(order) else []
    pairs = [pair for part in parts for pair in combinations(part.tolist(), 2)]
    if not pairs:
        none = np.zeros(0, dtype=np.intp)
        return none, none, np.zeros(0)
    first, second = np.array(pairs).T
    return cells[0, first], cells[1, first], (means[first] - means[second]) ** 2


def read_rewording(estimates: Sequence[Estimate]) -> Iterator[str]:
    """A sentence for each scale whose groups differ no more than wordings, and each that does."""
    overall = {value.metric: value for value in estimates if not value.group}
    ending = "_swap_over_reword"
    for metric, value in overall.items():
        if not metric.endswith(ending):
            continue
        name = metric.removesuffix(ending)
        swap, reword = (overall[f"{name}_{part}"] for part in ("swap", "reword"))
        if math.isnan(value.low):
            yield f"{name}: no paraphrase floor ({value.reason}): read no difference as a group's"
            continue
        more = value.low > 0
        yield (
            f"{name}: exchanging the group changes it by {swap.value:.3g} {value.unit}, rewording "
            f"by {reword.value:.3g}, which is {'less' if more else 'not shown to be less'} "
            f"(difference {value.value:+.2g} [{value.low:+.2g}, {value.high:+.2g}])"
            + ("" if more else ": no more than any change of the prompt may do")
        )
