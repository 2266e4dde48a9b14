"""BiasEdit's losses: by hand, at parity, and the faults of the released code's, each shown."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.mitigate import bias_edit as losses
from equipoise.mitigate.bias_edit import Scores

PROBABILITIES = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6)


def text(*probabilities: float) -> Scores:
    """One text whose tokens have these probabilities."""
    return Scores([torch.tensor(probabilities, dtype=torch.float64).log()])


def test_scores_of_two_texts_by_hand() -> None:
    scores = Scores([torch.tensor([0.5, 0.25]).log(), torch.tensor([0.1]).log()])
    torch.testing.assert_close(scores.total, torch.tensor([math.log(0.125), math.log(0.1)]))
    torch.testing.assert_close(scores.mean, torch.tensor([math.log(0.125) / 2, math.log(0.1)]))
    torch.testing.assert_close(scores.mean_probability, torch.tensor([0.375, 0.1]))


def test_the_squared_margin_is_the_squared_log_ratio_and_0_at_parity() -> None:
    assert float(losses.squared_margin(text(0.5), text(0.125))) == pytest.approx(math.log(4) ** 2)
    assert float(losses.squared_margin(text(0.5, 0.25), text(0.25, 0.5))) == pytest.approx(0)


@pytest.mark.thorough
@settings(max_examples=20)
@given(shared=PROBABILITIES, stereotype=PROBABILITIES, antistereotype=PROBABILITIES)
def test_shared_tokens_cancel_in_the_squared_margin(
    shared: list[float], stereotype: list[float], antistereotype: list[float]
) -> None:
    alone = losses.squared_margin(text(*stereotype), text(*antistereotype))
    within = losses.squared_margin(text(*shared, *stereotype), text(*shared, *antistereotype))
    torch.testing.assert_close(alone, within)
    torch.testing.assert_close(
        alone, losses.squared_margin(text(*antistereotype), text(*stereotype))
    )


def test_the_reference_losses_are_the_closed_forms_of_the_released_code() -> None:
    s, a = text(0.5, 0.125), text(0.25, 0.25)
    ms, ma = 0.3125, 0.25
    ls, la = math.log(0.0625) / 2, math.log(0.25)
    expected = ms * (math.log(ms) - la) + ma * (math.log(ma) - ls)
    assert float(losses.reference_debias(s, a)) == pytest.approx(expected)
    assert float(losses.reference_retention(s, a)) == pytest.approx(ms * (math.log(ms) - la))


def test_fault_the_reference_loss_is_above_0_for_equal_texts() -> None:
    equal = text(0.9, 0.1)
    assert float(losses.reference_debias(equal, equal)) > 0.1
    assert float(losses.squared_margin(equal, equal)) == 0


def test_fault_the_reference_loss_is_not_least_at_parity() -> None:
    at_parity = losses.reference_debias(text(0.9, 0.1), text(0.9, 0.1))
    apart = losses.reference_debias(text(0.3, 0.3), text(0.2, 0.2))
    assert float(apart) < float(at_parity)


@settings(max_examples=20)
@given(stereotype=PROBABILITIES, antistereotype=PROBABILITIES, share=st.floats(0.01, 0.9))
def test_fault_the_reference_loss_shrinks_as_both_texts_become_less_likely(
    stereotype: list[float], antistereotype: list[float], share: float
) -> None:
    before = losses.reference_debias(text(*stereotype), text(*antistereotype))
    damaged = losses.reference_debias(
        text(*(share * p for p in stereotype)), text(*(share * p for p in antistereotype))
    )
    torch.testing.assert_close(damaged, share * before, rtol=1e-6, atol=1e-9)


def test_fault_the_reference_retention_rewards_likelier_unrelated_text() -> None:
    before = text(0.01, 0.2)
    unchanged = losses.reference_retention(before, before)
    raised = losses.reference_retention(before, text(0.9, 0.9))
    assert float(unchanged) > 0  # although nothing changed
    assert float(raised) < 0  # although the meaningless text is nearly certain


def test_fault_a_longer_shared_beginning_hides_the_difference_from_the_reference_loss() -> None:
    def gradient(shared: int) -> float:
        differing = torch.tensor([math.log(0.5)], requires_grad=True)
        same = torch.full((shared,), math.log(0.5))
        first = Scores([torch.cat([same, differing])])
        second = Scores([torch.cat([same, torch.tensor([math.log(0.1)])])])
        losses.reference_debias(first, second).sum().backward()
        assert differing.grad is not None
        return abs(float(differing.grad))

    assert gradient(9) < gradient(0) / 5
