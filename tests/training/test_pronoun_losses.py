"""The losses on a toy of four logits, where gradient and fixed point are known."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equipoise.training.next_token_logits import WordTree
from equipoise.training.pronoun_losses import (
    AbsoluteGap,
    CeBoth,
    MaximizeMass,
    MinimizeMass,
    Parity,
    SquaredLogOdds,
    divergence,
)

HE, SHE = 0, 1
NURSE = torch.tensor([0.048, 0.502, 0.30, 0.15]).log()


def words_of(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1)[:, [HE, SHE]]


def descended(loss: Callable[[Tensor], Tensor], *, steps: int = 200, rate: float = 1.0) -> Tensor:
    """Probabilities of the four symbols after plain gradient descent from the nurse's."""
    logits = NURSE.clone()[None].requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(logits), logits)
        logits = (logits - rate * gradient).detach().requires_grad_()
    return logits.detach().softmax(-1)[0]


@pytest.mark.thorough
@settings(max_examples=20)
@given(st.lists(st.floats(-4, 4), min_size=4, max_size=4))
def test_gradient_of_ce_both(values: list[float]) -> None:
    logits = torch.tensor([values], dtype=torch.float64, requires_grad=True)
    CeBoth().loss(words_of(logits)).backward()
    p = logits.detach().softmax(-1)[0]
    expected = torch.tensor([2 * p[0] - 1, 2 * p[1] - 1, 2 * p[2], 2 * p[3]])
    assert logits.grad is not None
    assert torch.allclose(logits.grad[0], expected.double(), atol=1e-6)


def test_ce_both_by_hand() -> None:
    words = torch.tensor([[0.25, 0.5], [0.125, 0.5]]).log()
    assert CeBoth().loss(words).item() == pytest.approx(math.log(8 * 16) / 2)
    assert CeBoth(terms="he").loss(words).item() == pytest.approx(math.log(4 * 8) / 2)


def test_an_equal_target_is_no_target() -> None:
    words = words_of(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(CeBoth(target=(0.5, 0.5)).loss(words), CeBoth().loss(words))


def test_reading_a_says_neither_word() -> None:
    p = descended(lambda z: MinimizeMass().loss(words_of(z)), steps=100, rate=200.0)
    assert p[HE] + p[SHE] < 1e-3


def test_reading_b_lets_the_winner_take_all() -> None:
    p = descended(lambda z: MaximizeMass().loss(words_of(z)), steps=100, rate=100.0)
    assert p[SHE] > 0.99
    assert p[SHE] / p[HE] > 10 * NURSE.exp()[SHE] / NURSE.exp()[HE]


@pytest.mark.thorough
def test_reading_c_shares_everything_equally() -> None:
    p = descended(lambda z: CeBoth().loss(words_of(z)))
    assert torch.allclose(p, torch.tensor([0.5, 0.5, 0.0, 0.0]), atol=3e-3)


@pytest.mark.thorough
def test_reading_c_has_the_target_as_its_fixed_point() -> None:
    p = descended(lambda z: CeBoth(target=(0.8, 0.2)).loss(words_of(z)))
    assert torch.allclose(p, torch.tensor([0.8, 0.2, 0.0, 0.0]), atol=3e-3)


@pytest.mark.thorough
def test_reading_d_closes_the_gap_and_leaves_the_others_among_themselves() -> None:
    p = descended(lambda z: SquaredLogOdds().loss(words_of(z)), steps=100, rate=0.2)
    assert p[HE].item() == pytest.approx(p[SHE].item(), abs=0.001)
    assert 0.2 < p[HE] + p[SHE] < 0.55
    assert (p[2] / p[3]).item() == pytest.approx(2.0, abs=0.01)


def test_the_absolute_gap_raises_the_others_in_proportion_to_their_size() -> None:
    """The gradient on another logit is -gap * p."""
    logits = NURSE.clone()[None].requires_grad_()
    AbsoluteGap().loss(words_of(logits)).backward()
    p = NURSE.softmax(-1)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, 2:], -(p[SHE] - p[HE]) * p[2:])
    assert logits.grad[0, SHE] > 0 > logits.grad[0, HE]


@pytest.mark.parametrize("loss", [AbsoluteGap().loss, SquaredLogOdds().loss])
def test_equal_words_have_no_gap(loss: Callable[..., Tensor]) -> None:
    assert loss(torch.tensor([[0.2, 0.2, 0.2]]).log()).item() == 0.0


def test_gaps_by_hand() -> None:
    words = torch.tensor([[0.1, 0.4]]).log()
    assert AbsoluteGap().loss(words).item() == pytest.approx(0.3)
    assert SquaredLogOdds().loss(words).item() == pytest.approx(math.log(4) ** 2)
    three = torch.tensor([[0.1, 0.2, 0.4]]).log()
    assert AbsoluteGap().loss(three).item() == pytest.approx(0.1 + 0.3 + 0.2)


@pytest.mark.thorough
def test_parity_shares_the_mass_that_was_there() -> None:
    tree = WordTree(((),), (((0, HE),), ((0, SHE),)))
    reference = tree.merged(NURSE[None, None].log_softmax(-1))

    def loss(logits: Tensor) -> Tensor:
        return Parity().loss(
            words_of(logits), tree.merged(logits[:, None].log_softmax(-1)), reference
        )

    p = descended(loss, steps=150, rate=0.2)
    assert torch.allclose(p, torch.tensor([0.275, 0.275, 0.30, 0.15]), atol=1e-3)


def test_merging_by_hand() -> None:
    logprobs = torch.tensor([[[0.1, 0.2, 0.3, 0.4], [1 / 6, 0.5, 1 / 6, 1 / 6]]]).log()
    one_token = WordTree(((),), (((0, 0),), ((0, 2),))).merged(logprobs[:, :1]).exp()
    assert torch.allclose(one_token, torch.tensor([[0.2, 0.4, 0.4]]))
    # Both begin with token 2, of probability 0.3: they have 0.05 and 0.15.
    longer = WordTree(((), (2,)), (((0, 2), (1, 0)), ((0, 2), (1, 1))))
    split = longer.merged(logprobs).exp()
    assert torch.allclose(split, torch.tensor([[0.1, 0.2, 0.4, 0.2, 0.1]]))


@settings(max_examples=20)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_divergence_is_positive_and_zero_for_equal_logits(values: list[float]) -> None:
    reference = torch.tensor([[0.1, -0.3, 0.7, 0.2]]).log_softmax(-1)
    other = torch.tensor([values]).log_softmax(-1)
    assert divergence(reference, other) >= -1e-6
    assert divergence(other, other).item() == 0.0


def test_divergence_by_hand() -> None:
    reference, model = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert divergence(reference, model).item() == pytest.approx(expected)
