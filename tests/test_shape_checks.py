"""Shapes are checked in a function within a function as in any other, by checks made once."""

from collections.abc import Callable

import pytest
import shape_checks
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor


def within(rows: int) -> Callable[..., Tensor]:
    @jaxtyped(typechecker=shape_checks.checked)
    def added(
        first: Float[Tensor, "row feature"], second: Float[Tensor, f"{rows} feature"]
    ) -> Float[Tensor, "row feature"]:
        return first if len(first) == len(second) else first[0]

    return added


def test_a_function_within_a_function_is_checked_at_every_definition() -> None:
    before = len(shape_checks._made)
    for rows in (2, 2, 3):
        added, row = within(rows), torch.zeros(rows, 5)
        assert added(row, row) is row
        with pytest.raises(TypeCheckError, match=r"parameters of .*added"):
            added(row, torch.zeros(rows, 4))
        with pytest.raises(TypeCheckError, match=r"parameters of .*added"):
            added(row, torch.zeros(rows + 1, 5))
        with pytest.raises(TypeCheckError, match=r"return value of .*added"):
            added(torch.zeros(7, 5), row)
    # of two annotations, without and with the result
    assert len(shape_checks._made) == before + 4
