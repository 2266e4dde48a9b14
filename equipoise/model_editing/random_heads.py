"""Random heads in place of chosen ones: what removing any heads of that kind would do."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.edits.head_scales import Head

_NEAREST = 5  # heads of similar output that a replacement is drawn from


def by_layer(chosen: Sequence[Head], *, heads: int, rng: np.random.Generator) -> tuple[Head, ...]:
    """As many heads of each block as are chosen there, drawn from those that are not chosen.

    `heads`: how many a block has. Where too few are left, all of the block's are drawn from.
    """
    drawn: list[Head] = []
    for number, count in sorted(Counter(number for number, _ in chosen).items()):
        others = [head for head in range(heads) if (number, head) not in chosen]
        pool = others if len(others) >= count else list(range(heads))
        drawn += [(number, int(head)) for head in rng.choice(pool, size=count, replace=False)]
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

    `value` and `controls` are strengths after removal; small: the chosen heads do more than chance.
    """
    return (1 + sum(control <= value for control in controls)) / (1 + len(controls))
