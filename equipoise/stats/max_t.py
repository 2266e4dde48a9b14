"""Which of many means differ from 0? p-values corrected for all of them, by flipping signs.

Westfall and Young 1993, "Resampling-Based Multiple Testing" (single-step max-T); Nichols and Holmes
2002, whose voxels are components here. Under no effect the sign of an example's values is
arbitrary, for all components at once, so that what they have in common is accounted for.
"""

import numpy as np
from numpy.typing import NDArray

from equipoise.stats.permutation import sign_flips
from equipoise.stats.resample import BLOCK

_TOLERANCE = 1e-9  # flips that tie with what was observed but for rounding count


def max_t_p(values: NDArray[np.float64], *, flips: int, seed: int) -> NDArray[np.float64]:
    """Family-wise p of each component's mean: [component], two-sided, in (0, 1].

    `values`: [example, component]. The share of sign flips, the identity among them, in which the
    largest |t| of any component is as large as this component's. Of few examples every flip is
    tried; no p is then below 2 ** (1 - examples). A component that is 0 throughout has p = 1.
    """
    examples = len(values)
    sizes = np.sqrt((values**2).mean(0))
    scaled = values / np.where(sizes > 0, sizes, 1.0)
    # |mean| / root mean square grows with |t| and has no variance to divide by
    observed = np.abs(scaled.mean(0))
    reached, count = np.zeros(values.shape[1]), 0
    step = max(1, BLOCK // max(1, values.shape[1]))
    for block in sign_flips(examples, flips=flips, seed=seed):
        for start in range(0, len(block), step):
            signs = 1.0 - 2.0 * block[start : start + step]
            largest = np.abs(signs @ scaled / examples).max(axis=1)
            reached += (largest[:, None] >= observed * (1.0 - _TOLERANCE)).sum(axis=0)
            count += len(signs)
    return np.asarray(reached / count)
