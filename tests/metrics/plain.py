"""Functions of columns and weights on all rows, each once."""

from collections.abc import Callable

import numpy as np

from equipoise.metrics.weighted import Weights
from equipoise.records import Column


def plain(function: Callable[..., Column], *columns: Column, terms: Column | None = None) -> float:
    """The function's value; rows stand alone, or in clusters with the codes `terms`."""
    codes = np.arange(len(columns[0]), dtype=float) if terms is None else terms
    return float(function(*columns, Weights.once(codes)))
