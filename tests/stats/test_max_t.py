"""Family-wise p: by hand, at its extremes, and how often it errs where nothing is there."""

import itertools

import numpy as np
import pytest

from equipoise.stats.max_t import max_t_p


def test_of_few_examples_every_flip_is_tried() -> None:
    """Means 2 and 0.5 over three examples; |t| in the form |mean| / root mean square."""
    values = np.array([[1.0, 1.0], [2.0, -1.5], [3.0, 2.0]])
    sizes = np.sqrt((values**2).mean(0))
    observed = np.abs(values.mean(0)) / sizes
    flips = [
        np.abs(np.array(s) @ values / 3 / sizes).max() for s in itertools.product((1, -1), repeat=3)
    ]
    expected = [np.mean([flip >= each - 1e-9 for flip in flips]) for each in observed]
    assert max_t_p(values, flips=10, seed=0) == pytest.approx(expected)
    # all alike and all turned, and two flips in which the other component goes farther, of eight
    assert expected[0] == 0.5


def test_one_component_is_an_ordinary_sign_flip_test() -> None:
    values = np.arange(1.0, 9.0)[:, None]
    assert max_t_p(values, flips=10, seed=0) == pytest.approx([2 / 2**8])


def test_a_component_of_zeros_and_constants() -> None:
    values = np.column_stack([np.zeros(8), np.full(8, 0.5)])
    assert max_t_p(values, flips=10, seed=0) == pytest.approx([1.0, 2 / 2**8])


def test_turning_signs_of_a_component_and_scaling_change_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(30, 5)) + np.array([0, 0, 1, 0, 0.3])
    p = max_t_p(values, flips=400, seed=3)
    assert max_t_p(values * np.array([-1, 2, 1, 5, 0.1]), flips=400, seed=3) == pytest.approx(p)
    assert p[2] < 0.01 < p[0]


@pytest.mark.thorough
def test_where_nothing_is_there_one_family_in_twenty_errs() -> None:
    """Components that share most of their noise: a Bonferroni correction would be too strict."""
    generator = np.random.default_rng(1)
    erred = 0
    for trial in range(200):
        common = generator.normal(size=(20, 1))
        values = common + 0.3 * generator.normal(size=(20, 30))
        erred += bool((max_t_p(values, flips=200, seed=trial) < 0.05).any())
    assert 2 <= erred <= 20  # 10 expected
