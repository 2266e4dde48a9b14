"""The elbow of a curve: a known breakpoint comes back, and a flat curve has none."""

import numpy as np
import pytest

from equipoise.stats.elbow import curve_of, find_elbow

GRID = (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50)


def noisy(breakpoint: float, *, seed: int, noise: float = 0.5, examples: int = 24) -> np.ndarray:
    """Curves of examples that fall by 0.2 a head until the breakpoint."""
    rng = np.random.default_rng(seed)
    mean = 3.0 - 0.2 * np.minimum(GRID, breakpoint)
    levels = rng.normal(0, 1.0, size=examples)  # an example's own, at every count
    return mean[:, None] + levels + rng.normal(0, noise, size=(len(GRID), examples))


@pytest.mark.parametrize("breakpoint", [4, 9, 15, 22, 33])
def test_a_known_breakpoint_is_recovered_within_two(breakpoint: int) -> None:
    errors = [
        find_elbow(GRID, noisy(breakpoint, seed=seed), draws=50).k - breakpoint
        for seed in range(10)
    ]
    assert max(map(abs, errors)) <= 2


def test_without_noise_the_fit_is_exact() -> None:
    elbow = find_elbow(GRID, noisy(7.0, seed=0, noise=0.0), draws=50)
    assert elbow.k == 7
    assert elbow.slope == pytest.approx(0.2)
    assert elbow.start - elbow.floor == pytest.approx(1.4)
    assert (elbow.low, elbow.high) == (7, 7)
    assert elbow.saturated
    assert curve_of(elbow, 50) == pytest.approx(elbow.floor)
    assert curve_of(elbow, 2) == pytest.approx(elbow.start - 0.4)


def test_a_breakpoint_between_two_heads_is_rounded_up() -> None:
    assert find_elbow(GRID, noisy(6.3, seed=0, noise=0.0), draws=10).k == 7


def test_a_fall_with_the_first_head_ends_there() -> None:
    elbow = find_elbow((0, 1, 2, 3), np.array([[2.0] * 3, [0.5] * 3, [0.5] * 3, [0.5] * 3]))
    assert (elbow.k, elbow.breakpoint, elbow.slope) == (1, 1.0, pytest.approx(1.5))


@pytest.mark.thorough
def test_a_flat_curve_has_no_elbow() -> None:
    flat = find_elbow(GRID, np.ones((len(GRID), 5)), draws=20)
    assert (flat.k, flat.floor) == (0, flat.start)
    assert "no effect found" in str(flat.reason)
    # a free breakpoint finds a fall in most noise, and the interval tells that it is none
    chosen = [find_elbow(GRID, noisy(0.0, seed=seed), draws=300).k for seed in range(40)]
    assert sum(k > 0 for k in chosen) <= 4


def test_a_rising_curve_has_no_elbow() -> None:
    elbow = find_elbow(GRID, -noisy(20, seed=0), draws=50)
    assert elbow.k == 0
    assert "does not fall" in str(elbow.reason)
    assert np.isnan(elbow.slope)


def test_a_fall_without_an_end_takes_all_and_says_so() -> None:
    elbow = find_elbow(GRID, noisy(50, seed=0, noise=0.0), draws=50)
    assert (elbow.k, elbow.saturated) == (50, False)


def test_of_a_single_example_the_fit_decides() -> None:
    elbow = find_elbow(GRID, noisy(8, seed=0, noise=0.0, examples=1))
    assert elbow.k == 8
    assert np.isnan([elbow.low, elbow.high, elbow.fall_low]).all()


def test_the_interval_holds_the_breakpoint() -> None:
    held = 0
    for seed in range(20):
        elbow = find_elbow(GRID, noisy(12, seed=seed), draws=300)
        held += elbow.low <= 12 <= elbow.high
    assert held >= 16


def test_copies_of_an_example_do_not_narrow_the_interval() -> None:
    curves = noisy(9.0, seed=1, examples=8)
    alone = find_elbow(GRID, curves, draws=200)
    names = [str(number) for number in range(8)]
    copied = np.tile(curves, 4)
    whole = find_elbow(GRID, copied, clusters=names * 4, draws=200)
    assert whole.fall_low == pytest.approx(alone.fall_low)
    assert whole.fall_high == pytest.approx(alone.fall_high)
    pooled = find_elbow(GRID, copied, draws=200)
    assert pooled.fall_high - pooled.fall_low < 0.7 * (whole.fall_high - whole.fall_low)
