"""DPO goes through parity and on; its repair stops there."""

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from contrast_items import (
    SUPPLY,
    held_out_margins,
    loss_of,
    model,
    quick,
    same,
    small,
    value_of,
    weights,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from equipoise.contrast_training.packed_forward import PackedForward, reference_outputs
from equipoise.contrast_training.tokenized import tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.dpo import Dpo, DpoObjective, MarginObjective
from equipoise.records import Contrast

BARE = replace(SUPPLY, dev_contrasts=())  # nothing is evaluated
finite = st.floats(-20, 20)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, of: LanguageModel | None = None, **options: Any) -> AdapterEdit:
    chosen = {"steps": 16, "batch_size": 12, "learning_rate": 3e-3, **options}
    return Dpo(**chosen).fit(of or model(), BARE, seed=seed)


@cache
def dpo() -> AdapterEdit:
    return fitted()


def slope(loss: Tensor, of: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, of)
    return gradient


@pytest.mark.thorough
@given(margin=finite, before=finite, beta=st.floats(0.01, 1))
def test_dpo_gradient_favors_the_antistereotype_at_every_margin(
    margin: float, before: float, beta: float
) -> None:
    now = torch.tensor([margin], requires_grad=True)
    loss = DpoObjective(beta=beta)(now, torch.tensor([before]))
    gain = beta * (float(torch.tensor(margin)) - float(torch.tensor(before)))
    assert float(loss.detach()) == pytest.approx(math.log1p(math.exp(-gain)), rel=1e-4, abs=1e-6)
    assert float(slope(loss, now)) < 0


@pytest.mark.thorough
@given(before=finite)
def test_margin_gradient_is_zero_at_parity_alone(before: float) -> None:
    was = torch.tensor([before, before])
    at_parity = torch.zeros(2, requires_grad=True)
    loss = MarginObjective()(at_parity, was)
    assert float(loss.detach()) == 0.0
    assert not slope(loss, at_parity).any()
    off = torch.tensor([3.0, -1.0], requires_grad=True)
    loss = MarginObjective()(off, was)
    assert float(loss.detach()) == pytest.approx(5.0)
    assert slope(loss, off).tolist() == [3.0, -1.0]


def ending_margins(of: LanguageModel, contrasts: tuple[Contrast, ...]) -> list[float]:
    """Of whole endings, in nats."""
    items = tokenize_contrasts(model(), contrasts, longest=60)
    texts = [text for item in items for text in item.pair]
    logprobs = reference_outputs(PackedForward(of), scored=texts).target_logprobs(texts)
    margins: list[float] = (logprobs[1::2] - logprobs[0::2]).tolist()
    return margins


@pytest.mark.thorough
def test_initial_loss() -> None:
    assert value_of(loss_of(Dpo(batch_size=12))) == pytest.approx(math.log(2), rel=1e-4)
    squares = np.square(ending_margins(model(), SUPPLY.contrasts))
    margin = Dpo(batch_size=12, loss=MarginObjective())
    assert value_of(loss_of(margin)) == pytest.approx(squares.mean(), rel=1e-4)


@pytest.mark.thorough
def test_dpo_overshoots_parity() -> None:
    """Below 0 for every type, on whichever side it began."""
    was = weights(model())
    after = held_out_margins(dpo())
    for axis, margin in held_out_margins(None).items():
        assert after[axis] < min(0.0, margin)
    assert weights(model()) == was


def squared_margin(edit: AdapterEdit | None) -> float:
    with nullcontext(model()) if edit is None else edit.attached(model()) as edited:
        return float(np.square(ending_margins(edited, SUPPLY.dev_contrasts)).mean())


@pytest.mark.thorough
def test_margin_goes_to_parity_from_either_side() -> None:
    edit = fitted(loss=MarginObjective(), steps=24)
    assert squared_margin(edit) < 0.25 * squared_margin(None)
    past = held_out_margins(dpo())
    for axis, margin in held_out_margins(edit).items():
        assert margin > past[axis]


@pytest.mark.thorough
def test_options_and_seed_determine_every_byte() -> None:
    first = fitted(of=small(), steps=1)
    assert same(first.tensors, fitted(of=small(), steps=1).tensors)
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"loss": DpoObjective(beta=1.0)},
        {"loss": MarginObjective()},
        {"batch_size": 5},
    ]
    for changed in changes:
        assert not same(first.tensors, fitted(of=small(), steps=1, **changed).tensors)
