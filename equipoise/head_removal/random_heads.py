"""Random heads in place of chosen heads: what removing any heads of that kind would do."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from equipoise.edits.head_scales import Head

#: How random heads are matched: as many of the same blocks, or of similar output.
KINDS: Final = ("layer", "norm")
_NEAREST = 5  # heads of similar output that a replacement is drawn from
_IN_VAIN = 500  # draws in a row that bring nothing new: there is nothing else to draw


def draw_sets(
    kind: str, chosen: Sequence[Head], norms: NDArray[np.float64], *, most: int, seed: int
) -> list[tuple[Head, ...]]:
    """Up to `most` different sets of random heads, matched to the chosen by "layer" or "norm".

    Drawn without replacement, so that there are fewer where there are no more; never the chosen
    set itself, and none where every head is chosen. `norms`: as in `by_norm`.
    """
    sets: dict[tuple[Head, ...], None] = {}
    if len(set(chosen)) == norms.size:
        return []
    if kind == "layer":
        most = min(most, count_by_layer(chosen, heads=norms.shape[1]))
    rng = np.random.default_rng([seed, int(kind == "norm")])
    in_vain = 0
    while len(sets) < most and (kind == "layer" or in_vain < _IN_VAIN):
        if kind == "layer":
            drawn = by_layer(chosen, heads=norms.shape[1], rng=rng)
        else:
            drawn = by_norm(chosen, norms, rng=rng)
        in_vain = in_vain + 1 if drawn in sets else 0
        sets[drawn] = None
    return list(sets)


def count_by_layer(chosen: Sequence[Head], *, heads: int) -> int:
    """How many different sets `by_layer` may draw; 0 where the chosen are all of their blocks."""
    counts = Counter(number for number, _ in set(chosen)).values()
    if all(count == heads for count in counts):
        return 0
    others = [(count, heads - count) for count in counts]
    return math.prod(
        math.comb(left, count) if left >= count else math.comb(count, count - left)
        for count, left in others
    )


def by_layer(chosen: Sequence[Head], *, heads: int, rng: np.random.Generator) -> tuple[Head, ...]:
    """As many heads of each block as are chosen there, drawn from those that are not chosen.

    `heads`: how many a block has. Where too few are left, all of these are taken, and chosen
    heads fill up.
    """
    drawn: list[Head] = []
    for number, count in sorted(Counter(number for number, _ in chosen).items()):
        taken = [head for head in range(heads) if (number, head) in chosen]
        others = [head for head in range(heads) if (number, head) not in chosen]
        if len(others) < count:
            rest = rng.choice(taken, size=count - len(others), replace=False)
            drawn += [(number, int(head)) for head in (*others, *rest)]
        else:
            picked = rng.choice(others, size=count, replace=False)
            drawn += [(number, int(head)) for head in picked]
    return tuple(sorted(drawn))


def by_norm(
    chosen: Sequence[Head], norms: NDArray[np.float64], *, rng: np.random.Generator
) -> tuple[Head, ...]:
    """For each chosen head another whose output has a similar length, from any block.

    `norms`: [block, head], mean length of what a head adds (`head_activity.measure_heads`). Drawn
    from the 5 nearest in the logarithm that are neither chosen nor drawn yet; where none is left,
    from those that are not drawn yet.
    """
    blocks, heads = norms.shape
    sizes = np.log(np.maximum(norms, np.finfo(np.float64).tiny))
    every = [(number, head) for number in range(blocks) for head in range(heads)]
    drawn: list[Head] = []
    for index in rng.permutation(len(chosen)):
        left = [head for head in every if head not in drawn and head not in chosen]
        left = left or [head for head in every if head not in drawn]
        distances = [abs(float(sizes[head] - sizes[chosen[index]])) for head in left]
        nearest = np.argsort(distances, kind="stable")[:_NEAREST]
        drawn.append(left[int(rng.choice(nearest))])
    return tuple(sorted(drawn))


def empirical_p(value: float, controls: Sequence[float]) -> float:
    """How often a control leaves as little strength as the chosen heads, the +1 rule; in (0, 1].

    `value` and `controls` are strengths after removal, of different sets of heads; small: the
    chosen heads do more than chance. The least that can be had is 1 / (1 + controls).
    """
    return (1 + sum(control <= value for control in controls)) / (1 + len(controls))
