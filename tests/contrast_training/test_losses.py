"""The losses by hand: values, gradients, and where they are stationary."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from equipoise.contrast_training.losses import (
    Reduction,
    likelihood,
    mean_of,
    npo,
    squared_mean,
)

REDUCTIONS: tuple[Reduction, ...] = ("per_seq_sum", "per_seq_mean", "batch_mean")
TOKENS = torch.tensor([2.0, 5.0, 1.0])


def slope(value: Tensor, of: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, of)
    return gradient


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_npo_begins_at_two_ln_two_over_beta(reduction: Reduction) -> None:
    value = npo(torch.zeros(3), TOKENS, beta=0.1, reduction=reduction)
    assert float(value) == pytest.approx(13.862943611, abs=1e-5)
    half = npo(torch.zeros(3), TOKENS, beta=0.05, reduction=reduction)
    assert float(half) == pytest.approx(2 * 13.862943611, abs=1e-4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("beta", [0.1, 2.5])
def test_npo_begins_as_gradient_ascent(reduction: Reduction, beta: float) -> None:
    """Of the mean log-probability: summed over a text's tokens, or averaged over them."""
    logprobs = torch.tensor([-3.0, -8.0, -1.0], requires_grad=True)
    loss = npo(logprobs.detach() - logprobs, TOKENS, beta=beta, reduction=reduction)
    ones = torch.ones(3)
    ascent = -likelihood(logprobs, ones if reduction == "per_seq_sum" else TOKENS)
    torch.testing.assert_close(slope(loss, logprobs), slope(ascent, logprobs))


def test_npo_by_hand() -> None:
    gap = torch.tensor([10.0, -20.0])
    tokens = torch.tensor([5.0, 2.0])
    softplus = [math.log1p(math.exp(-x)) for x in (1.0, -2.0, 0.2, -1.0, -0.4)]
    values = [float(npo(gap, tokens, beta=0.1, reduction=each)) for each in REDUCTIONS]
    assert values == pytest.approx(
        [
            20 * (softplus[0] + softplus[1]) / 2,
            20 * (softplus[2] + softplus[3]) / 2,
            20 * softplus[4],  # r is the mean of 2 and -10: -4
        ],
        rel=1e-5,
    )


def test_npo_saturates_text_by_text_only_where_texts_are_apart() -> None:
    """A text that is forgotten already no longer pulls, unless the batch has one r."""
    gap = torch.tensor([80.0, 0.0, 0.0], requires_grad=True)
    apart = slope(npo(gap, TOKENS, beta=0.1), gap)
    assert float(apart[0] / apart[1]) < 1e-3
    joint = slope(npo(gap, torch.ones(3), beta=0.1, reduction="batch_mean"), gap)
    assert joint[0] == joint[1] == joint[2]


def test_likelihood_by_hand() -> None:
    logprobs = torch.tensor([-3.0, -8.0])
    tokens = torch.tensor([3.0, 4.0])
    assert float(likelihood(logprobs, tokens)) == pytest.approx(1.5)
    assert float(likelihood(logprobs, tokens, by_token=True)) == pytest.approx(11 / 7)


POPULATION = torch.tensor([0.5, -1.25, 3.0, 0.25, 1.0])


def samples(size: int) -> list[list[int]]:
    return [list(combination) for combination in itertools.combinations(range(5), size)]


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_squared_mean_is_unbiased_over_every_sample(size: int) -> None:
    """The square of a sample's mean is not, nor are pairs of different items alone."""
    truth = float(POPULATION.mean()) ** 2
    drawn = [POPULATION[sample] for sample in samples(size)]
    estimates = torch.stack([squared_mean(values, population=5) for values in drawn])
    assert float(estimates.mean()) == pytest.approx(truth, abs=1e-5)
    pairs = torch.stack([squared_mean(values, population=10**9) for values in drawn])
    assert float(pairs.mean()) < truth - 0.1
    if size < 5:
        assert (
            float(torch.stack([values.mean().square() for values in drawn]).mean()) > truth + 0.03
        )


def test_squared_mean_of_a_large_population_is_that_of_independent_draws() -> None:
    drawn = [POPULATION[list(rows)] for rows in itertools.product(range(5), repeat=3)]
    estimates = torch.stack([squared_mean(values, population=10**9) for values in drawn])
    assert float(estimates.mean()) == pytest.approx(float(POPULATION.mean()) ** 2, abs=1e-5)


def test_squared_mean_leaves_margins_that_cancel_alone() -> None:
    """On average over samples: it neither shrinks them nor drives them apart."""
    margins = torch.tensor([2.0, -2.0, 1.0, -2.0, 1.0], requires_grad=True)

    def drawn() -> list[Tensor]:
        return [margins[sample] for sample in samples(2)]

    ours = torch.stack([squared_mean(values, population=5) for values in drawn()]).mean()
    assert float(slope(ours, margins).abs().max()) < 1e-6
    means = torch.stack([values.mean().square() for values in drawn()]).mean()
    assert float((slope(means, margins) * margins.detach()).sum()) > 0.1  # shrinks
    pairs = torch.stack([squared_mean(values, population=10**9) for values in drawn()]).mean()
    assert float((slope(pairs, margins) * margins.detach()).sum()) < -0.1  # drives apart


def test_squared_mean_of_one_or_none() -> None:
    assert float(squared_mean(torch.tensor([-3.0]), population=1)) == 9.0
    assert float(squared_mean(torch.zeros(0), population=1)) == 0.0
    assert float(squared_mean(torch.tensor([1.0, -1.0]), population=10**9)) == pytest.approx(-1.0)
    assert float(squared_mean(torch.tensor([1.0, 2.0]), population=2)) == pytest.approx(2.25)


def test_mean_of_counts_texts_and_not_places() -> None:
    assert float(mean_of([torch.tensor([1.0]), torch.tensor([2.0, 4.0, 6.0])])) == 2.5
