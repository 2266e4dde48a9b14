"""Parity: the loss against plain sums, margins go to zero from either side, the rest is kept."""

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from contrast_items import (
    LEARNT,
    SUPPLY,
    contrasts,
    held_out_margins,
    loss_of,
    model,
    quick,
    same,
    small,
    value_of,
    weights,
)
from pydantic import ValidationError
from torch import Tensor

from equipoise.contrast_training.evaluation import margin_spreads, margins_of
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import TokenizedContrast, tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.parity import Parity, ParityKl, ParityLoss, ParityTarget, squared_mean
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.rows import text_sha256


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


# --- the loss -------------------------------------------------------------------------------------


@cache
def items() -> list[TokenizedContrast]:
    return tokenize_contrasts(model(), SUPPLY.contrasts, longest=60)


@cache
def margins() -> np.ndarray:
    return margins_of(PackedForward(model()), items())


def parity_loss(
    *,
    batch: int,
    of: ParityTarget = "mean",
    kl: ParityKl | None = None,
    supply: Supply = SUPPLY,
) -> ParityLoss:
    loss = loss_of(Parity(batch_size=batch, of=of, kl=kl), supply)
    assert isinstance(loss, ParityLoss)
    return loss


def by_type() -> list[np.ndarray]:
    return [margins()[[item.axis == axis for item in items()]] for axis in ("color", "size")]


@pytest.mark.thorough
def test_parity_of_all_items_is_the_square_of_each_types_mean() -> None:
    """In units of its spread, so that it is as much for texts of any length."""
    expected = np.mean([(values.mean() / values.std()) ** 2 for values in by_type()])
    assert value_of(parity_loss(batch=12)) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.thorough
def test_parity_of_shares_smooths_each_preference() -> None:
    expected = np.mean([np.tanh(4 * values / values.std()).mean() ** 2 for values in by_type()])
    assert value_of(parity_loss(batch=12, of="share")) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("of", ["mean", "share"])
def test_parity_of_some_items_is_right_on_average(of: ParityTarget) -> None:
    """Over whole epochs of three steps, many of them."""
    loss = parity_loss(batch=4, of=of)
    value = {item.id: margin for item, margin in zip(items(), margins(), strict=True)}
    spreads = margin_spreads(PackedForward(model()), items())

    def estimate(group: list[TokenizedContrast]) -> float:
        leans = np.array([value[item.id] / spreads[item.axis] for item in group])
        if of == "share":
            leans = np.tanh(4 * leans)
        pairs = leans.prod()
        return float(pairs + (np.square(leans).mean() - pairs) / 6)

    average = np.mean([[estimate(group) for group in loss.draw(step)] for step in range(600)])
    assert average == pytest.approx(value_of(parity_loss(batch=12, of=of)), abs=0.05)
    expected = np.mean([estimate(group) for group in loss.draw(5)])
    assert value_of(loss, step=5) == pytest.approx(expected, rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("batch", "count", "epoch"), [(2, 2, 3), (9, 4, 1), (12, 6, 1), (99, 6, 1)]
)
def test_each_step_has_equally_many_different_items_of_each_type(
    batch: int, count: int, epoch: int
) -> None:
    loss = parity_loss(batch=batch)
    drawn = [loss.draw(step) for step in range(30 * epoch)]
    for groups in drawn:
        assert [group[0].axis for group in groups] == ["color", "size"]
        assert all(len({item.id for item in group}) == len(group) == count for group in groups)
    colors = [[item.id for item in groups[0]] for groups in drawn]
    for begin in range(0, len(colors), epoch):  # no item comes twice in an epoch
        ids = [name for group in colors[begin : begin + epoch] for name in group]
        assert len(set(ids)) == len(ids)
    assert len({name for group in colors for name in group}) == 6  # each epoch drops others
    assert colors[:epoch] != colors[epoch : 2 * epoch]


@pytest.mark.thorough
def test_a_type_of_one_item_has_its_own_square() -> None:
    single = contrasts(LEARNT[:1], ("color",))
    supply = replace(SUPPLY, contrasts=single, dev_contrasts=())
    (margin,) = margins_of(PackedForward(model()), tokenize_contrasts(model(), single, longest=60))
    assert value_of(parity_loss(batch=4, supply=supply)) == pytest.approx(margin**2, rel=1e-3)


@pytest.mark.thorough
def test_the_divergence_is_added_by_its_weight_and_begins_at_zero() -> None:
    kept = parity_loss(batch=12, kl=ParityKl(weight=50.0, batch=4))
    assert value_of(kept) == pytest.approx(value_of(parity_loss(batch=12)), abs=1e-4)


# --- squared means by hand ------------------------------------------------------------------------


def slope(value: Tensor, of: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, of)
    return gradient


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


# --- the method -----------------------------------------------------------------------------------


def fitted(*, seed: int = 0, **options: Any) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "kl": ParityKl(batch=4), **options}
    if chosen["steps"] > 2:
        return Parity(**chosen).fit(model(), SUPPLY, seed=seed)
    bare = replace(SUPPLY, dev_contrasts=())  # it does not matter what is learnt
    return Parity(**chosen).fit(small(), bare, seed=seed)


@cache
def baseline() -> AdapterEdit:
    return fitted()


@cache
def before() -> dict[str, float]:
    return held_out_margins(None)


@pytest.mark.thorough
@pytest.mark.parametrize("of", ["mean", "share"])
def test_held_out_margins_go_towards_zero(of: str) -> None:
    was = weights(model())
    edit = fitted(steps=6, rank=8, learning_rate=6e-3, of=of)
    after = held_out_margins(edit)
    for axis, margin in before().items():
        assert abs(after[axis]) < 0.5 * abs(margin)
    assert weights(model()) == was
    assert edit.info.report["last_loss"] < edit.info.report["first_loss"]  # type: ignore[operator]


@pytest.mark.slow
def test_parity_is_not_overshot() -> None:
    """Where bias_unlearn, after as many steps, would need a turn."""
    after = held_out_margins(fitted(steps=24, rank=8, learning_rate=3e-3))
    for axis, margin in before().items():
        assert abs(after[axis]) < 0.6 * abs(margin)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [
        {"of": "share"},
        {"batch_size": 4},
        {"kl": None},
        {"kl": ParityKl(batch=4, weight=5.0)},
        {"kl": ParityKl(batch=4, texts="neutral")},
        {"seed": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, Any]) -> None:
    assert not same(baseline().tensors, fitted(**changed).tensors)


@pytest.mark.thorough
def test_evaluating_changes_nothing() -> None:
    often = Parity(steps=2, rank=2, kl=ParityKl(batch=4), evaluate_every=1)
    assert same(baseline().tensors, often.fit(small(), SUPPLY, seed=0).tensors)


@pytest.mark.thorough
def test_texts_of_the_kl_were_learnt_from_too() -> None:
    neutral = {text_sha256(text) for text in SUPPLY.texts}
    assert neutral <= fitted(kl=ParityKl(texts="neutral")).info.trained_on
    assert not neutral & baseline().info.trained_on


def test_requirements() -> None:
    bare = Supply(origin="by hand", contrasts=SUPPLY.contrasts)
    with pytest.raises(RecipeError, match="must have neutral texts with a part 'text'"):
        Parity(kl=ParityKl(texts="neutral")).fit(model(), bare, seed=0)
    with pytest.raises(ValidationError, match="batch_size"):
        Parity(batch_size=1)
    assert build(Mitigation, name_of(Parity()), {"of": "share"}) == Parity(of="share")
    assert options_of(build(Mitigation, "parity", {"kl": "forward"})) == options_of(Parity())
    assert Parity().kl == ParityKl(weight=1.0, batch=28, texts="unrelated", over="text")
