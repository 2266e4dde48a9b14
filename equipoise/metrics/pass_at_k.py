"""pass@k: does any of k programs that a model writes for a problem pass its tests?

Chen et al. 2021 (arXiv 2107.03374), section 2.1 and equation 1.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from equipoise.metrics import ability
from equipoise.records import Metric

_SOURCE: Final = "Chen et al. 2021, equation 1, mean over problems"


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that at least one of k programs drawn without replacement passes; in [0, 1].

    Unbiased for a problem of which `passed` of `samples` programs pass: 1 - C(n-c, k) / C(n, k).
    nan with fewer samples than k. Source: Chen et al. 2021, equation 1.
    """
    if not 0 <= passed <= samples:
        raise ValueError(f"passed must be from 0 to {samples}, got {passed}; count programs once")
    if not 1 <= k <= samples:
        return math.nan
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def values_of(
    endings: Sequence[str], ks: Iterable[int], failures: Sequence[str]
) -> dict[str, float]:
    """The values of a problem: `pass_at_K` for each k, and the share of programs by failure."""
    counts = Counter(endings)
    passes = {f"pass_at_{k}": pass_at_k(len(endings), counts["passed"], k) for k in ks}
    return passes | {failure: counts[failure] / len(endings) for failure in failures}


def metrics_of(ks: Sequence[int], samples: int, failures: Sequence[str]) -> tuple[Metric, ...]:
    """pass@k for each k, the first with a margin, and how often programs failed in which way."""
    first, *others = ks
    passes = [
        ability.share(
            f"pass_at_{first}", f"pass_at_{first}", source=_SOURCE, margin=2.0,
            grid=100.0 / samples if first == 1 else None,
        ),
        *(ability.share(f"pass_at_{k}", f"pass_at_{k}", source=_SOURCE) for k in others),
    ]  # fmt: skip
    endings = [
        ability.share(
            failure, failure, better=False, grid=100.0 / samples,
            source=f"own: programs that ended in '{failure}', of all that were run",
        )
        for failure in failures
    ]  # fmt: skip
    return (*passes, *endings)
