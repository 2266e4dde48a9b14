"""Random projection of gradients to a few thousand numbers, for comparison with what needs none.

Signs drawn by a seed, divided by the root of the dimension: inner products are kept up to an error
of about the root of (1 + cos^2) / dimension. Park et al. 2023 ("TRAK"); LESS projects to 8,192.
The scores here need no projection: they are inner products with a vector for each group of probes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_CHUNK = 2**24  # signs at a time


class Projection:
    """A sum over matrices of the adapter, each multiplied with signs of its own.

    `half`: numbers are rounded to float16 before, as the program of LESS does.
    """

    def __init__(self, dimension: int, *, seed: int, half: bool = False) -> None:
        self.dimension, self.seed, self.half = dimension, seed, half

    def project(
        self, number: int, values: Float[Tensor, "text parameter"]
    ) -> Float[Tensor, "text dimension"]:
        """What matrix `number` adds to the projection."""
        if self.half:
            values = values.half().float()
        # on the processor, whatever the device: the signs are the same everywhere
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        total: Tensor = values.new_zeros(len(values), self.dimension)
        step = max(1, _CHUNK // self.dimension)
        for start in range(0, values.shape[1], step):
            part = values[:, start : start + step]
            bits = torch.randint(
                0, 2, (part.shape[1], self.dimension), generator=generator, dtype=torch.int8
            )
            total += part @ bits.to(values.device, values.dtype).mul_(2).sub_(1)
        return total.div_(self.dimension**0.5)
