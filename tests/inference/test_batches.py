"""Batches: everything once, longest first, halved when memory runs out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import ModelError
from equipoise.inference.batches import run_in_batches
from equipoise.models.kernels import evaluating
from equipoise.testing import tiny_model

MODEL = tiny_model("gpt2", blocks=1)


@pytest.mark.thorough
@given(st.lists(st.integers(0, 3000)))
def test_every_text_is_run_once_longest_first(lengths: list[int]) -> None:
    order: list[int] = []
    run_in_batches(MODEL, lengths, order.extend)
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)


def test_out_of_memory_halves_the_batch() -> None:
    sizes: list[int] = []

    def run(batch: list[int]) -> None:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("too much")

    run_in_batches(MODEL, [4] * 10, run)
    assert sizes == [10, 5, 2, 2, 2, 2, 2]


def test_out_of_memory_on_one_text_is_an_error() -> None:
    def run(_: list[int]) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte")

    with pytest.raises(ModelError, match="tiny-gpt2@0 ran out of it on a row of 7 tokens"):
        run_in_batches(MODEL, [7, 7], run)


def test_other_errors_are_not_hidden() -> None:
    def run(_: list[int]) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run_in_batches(MODEL, [7], run)


def test_no_gradients_and_no_dropout_inside() -> None:
    module = tiny_model("gpt2", blocks=1).module.train()

    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert all(part.training for part in module.modules())
    recording: list[bool] = []
    run_in_batches(MODEL, [1], lambda _: recording.append(torch.is_grad_enabled()))
    assert recording == [False]
