"""The next token: drawn at its probability, of the likeliest that are asked for."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equipoise.inference.token_choice import _draw_likely, draw, restrict, settings_beside
from equipoise.records import Generation


def _draws(shares: list[float], top_p: float, count: int, *, top_k: int = 0) -> Counter[int]:
    logits = torch.tensor(shares, dtype=torch.float64).log()
    request = Generation(context="", max_tokens=1, temperature=1.0, top_p=top_p, top_k=top_k)
    generator = torch.Generator().manual_seed(0)
    return Counter(draw(logits, request, generator) for _ in range(count))


@pytest.mark.thorough
def test_tokens_are_drawn_at_their_probabilities() -> None:
    drawn = _draws([0.1, 0.6, 0.0, 0.3], 1.0, 2000)
    assert drawn[2] == 0
    for token, share in enumerate((0.1, 0.6, 0.0, 0.3)):  # 5 standard errors
        assert abs(drawn[token] / 2000 - share) < 5 * (0.25 / 2000) ** 0.5


@pytest.mark.thorough
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p() -> None:
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.5, 300)) == {1}
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.51, 300)) == {1, 3}
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.76, 300)) == {1, 2, 3}


@pytest.mark.thorough
@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=9), st.floats(0.01, 1.0))
def test_drawn_tokens_are_in_the_nucleus(weights: list[float], top_p: float) -> None:
    shares = torch.tensor(weights, dtype=torch.float64).softmax(0)
    for token in _draws(shares.tolist(), top_p, 5):
        likelier = float(shares[shares > shares[token]].sum())
        assert likelier < top_p + 1e-9


@pytest.mark.thorough
@pytest.mark.parametrize("top_p", [1.0, 0.97, 0.5])
@pytest.mark.parametrize("spread", [0.3, 3.0, 9.0])
def test_the_likeliest_tokens_give_what_all_of_them_sorted_give(
    top_p: float, spread: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    settled = 0
    for _ in range(40):
        logits = torch.randn(5000, generator=generator, dtype=torch.float64) * spread
        shares = logits.round(decimals=1).softmax(0)  # rounded: many are as likely as others
        ordered, order = shares.sort(descending=True, stable=True)
        nucleus = ordered.cumsum(0) - ordered < top_p
        edges = (ordered * nucleus).cumsum(0)
        for number in torch.rand(5, 1, generator=generator, dtype=torch.float64):
            place = int(torch.searchsorted(edges, number * edges[-1], right=True))
            expected = int(order[min(place, int(nucleus.sum()) - 1)])
            token = _draw_likely(shares, number, top_p, 512)
            assert token in (None, expected)
            settled += token is not None
    assert settled >= {0.3: 0, 3.0: 20, 9.0: 190}[spread]  # of 200


@pytest.mark.thorough
@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0])
def test_a_wide_nucleus_gives_what_all_tokens_sorted_give(spread: float) -> None:
    """More than 512 tokens, and at the least spread more than 8,192."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(20_000, generator=generator, dtype=torch.float64) * spread
    ordered, order = logits.softmax(0).sort(descending=True, stable=True)
    edges = ordered.cumsum(0)
    size = int((edges - ordered < 0.9).sum())
    assert size > 512
    assert (size > 8192) == (spread == 1.0)
    request = Generation(context="", max_tokens=1, temperature=1.0, top_p=0.9)
    for seed in range(30):
        first, second = (torch.Generator().manual_seed(seed) for _ in range(2))
        number = torch.rand(1, generator=first, dtype=torch.float64)
        place = int(torch.searchsorted(edges[:size], number * edges[size - 1], right=True))
        assert draw(logits, request, second) == int(order[place])


@pytest.mark.thorough
def test_top_k_is_taken_before_top_p_and_keeps_equals() -> None:
    shares = [0.1, 0.4, 0.3, 0.2]
    assert set(_draws(shares, 1.0, 300, top_k=2)) == {1, 2}
    assert set(_draws(shares, 0.58, 300, top_k=2)) == {1, 2}  # of 0.7: 0.57 and 0.43
    assert set(_draws(shares, 0.57, 300, top_k=2)) == {1}
    assert set(_draws(shares, 0.58, 300)) == {1, 2}
    assert set(_draws(shares, 0.41, 300)) == {1, 2}
    assert set(_draws([0.4, 0.2, 0.2, 0.2], 1.0, 300, top_k=2)) == {0, 1, 2, 3}
    assert set(_draws(shares, 1.0, 300, top_k=9)) == {0, 1, 2, 3}
    drawn = _draws(shares, 1.0, 2000, top_k=2)
    assert abs(drawn[1] / 2000 - 4 / 7) < 5 * (0.25 / 2000) ** 0.5


def test_restricting_divides_what_occurred_and_bars_the_end() -> None:
    request = Generation(context="", max_tokens=4, min_tokens=2, repetition_penalty=2.0)
    logits = torch.tensor([4.0, -4.0, 4.0, -4.0, 1.0])
    early, late = logits.clone(), logits.clone()
    restrict(early, request, context=(0, 0), written=[1], ends={4})
    assert early.tolist() == [2.0, -8.0, 4.0, -4.0, -torch.inf]
    restrict(late, request, context=(0,), written=[0, 3], ends={4})
    assert late.tolist() == [2.0, -4.0, 4.0, -8.0, 1.0]
    plain = logits.clone()
    restrict(plain, Generation(context="", max_tokens=1), context=(0,), written=[1], ends={4})
    assert torch.equal(plain, logits)


def test_settings_at_their_defaults_are_no_part_of_a_seed() -> None:
    assert settings_beside(Generation(context="a", max_tokens=1, temperature=0.5, top_p=0.9)) == []
    request = Generation(context="a", max_tokens=3, min_tokens=2, top_k=4, repetition_penalty=1.5)
    assert settings_beside(request) == [
        ["min_tokens", 2], ["top_k", 4], ["repetition_penalty", 1.5],
    ]  # fmt: skip


@pytest.mark.parametrize("temperature", [1e-320, 1e-300])
def test_the_smallest_temperatures_take_the_likeliest(temperature: float) -> None:
    request = Generation(context="", max_tokens=1, temperature=temperature)
    logits = torch.tensor([-9.0, -3.0, -4.0, -torch.inf])
    for seed in range(3):
        assert draw(logits, request, torch.Generator().manual_seed(seed)) == 1
