"""Files of tensors (safetensors), looked at without reading what is in them."""

import math
from pathlib import Path

from safetensors import safe_open


def count_numbers(file: Path) -> int:
    """How many numbers its tensors have, all together.

    Raises `SafetensorError` or `OSError` for what is no such file.
    """
    with safe_open(file, framework="numpy") as tensors:
        shapes = [tensors.get_slice(key).get_shape() for key in tensors.keys()]  # noqa: SIM118
    return sum(math.prod(shape) for shape in shapes)
