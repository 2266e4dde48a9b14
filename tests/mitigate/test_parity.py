"""Parity: the loss against plain sums, margins go to zero from either side, the rest is kept."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
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

from equipoise.contrast_training.evaluation import margin_spreads, margins_of
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import TokenizedContrast, tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.parity import Parity, ParityKl, ParityLoss, ParityTarget
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply, text_sha256


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


def test_parity_of_all_items_is_the_square_of_each_types_mean() -> None:
    """In units of its spread, so that it is as much for texts of any length."""
    expected = np.mean([(values.mean() / values.std()) ** 2 for values in by_type()])
    assert value_of(parity_loss(batch=12)) == pytest.approx(float(expected), rel=1e-3)


def test_parity_of_shares_smooths_each_preference() -> None:
    expected = np.mean([np.tanh(4 * values / values.std()).mean() ** 2 for values in by_type()])
    assert value_of(parity_loss(batch=12, of="share")) == pytest.approx(float(expected), rel=1e-3)


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

    average = np.mean([[estimate(group) for group in loss.draw(step)] for step in range(3000)])
    assert average == pytest.approx(value_of(parity_loss(batch=12, of=of)), abs=0.02)
    expected = np.mean([estimate(group) for group in loss.draw(5)])
    assert value_of(loss, step=5) == pytest.approx(expected, rel=1e-3)


def test_each_step_has_equally_many_different_items_of_each_type() -> None:
    for batch, count in ((2, 2), (9, 4), (12, 6), (99, 6)):
        loss = parity_loss(batch=batch)
        for step in range(8):
            groups = loss.draw(step)
            assert [group[0].axis for group in groups] == ["color", "size"]
            assert all(len({item.id for item in group}) == len(group) == count for group in groups)


def test_a_type_of_one_item_has_its_own_square() -> None:
    single = contrasts(LEARNT[:1], ("color",))
    supply = replace(SUPPLY, contrasts=single, dev_contrasts=())
    (margin,) = margins_of(PackedForward(model()), tokenize_contrasts(model(), single, longest=60))
    assert value_of(parity_loss(batch=4, supply=supply)) == pytest.approx(margin**2, rel=1e-3)


def test_the_divergence_is_added_by_its_weight_and_begins_at_zero() -> None:
    kept = parity_loss(batch=12, kl=ParityKl(weight=50.0, batch=4))
    assert value_of(kept) == pytest.approx(value_of(parity_loss(batch=12)), abs=1e-4)


# --- the method -----------------------------------------------------------------------------------


def fitted(*, seed: int = 0, **options: Any) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "kl": ParityKl(batch=4), **options}
    of = small() if chosen["steps"] == 2 else model()  # where it does not matter what is learnt
    return Parity(**chosen).fit(of, SUPPLY, seed=seed)


@cache
def baseline() -> AdapterEdit:
    return fitted()


@cache
def before() -> dict[str, float]:
    return held_out_margins(None)


@pytest.mark.parametrize("of", ["mean", "share"])
def test_held_out_margins_go_towards_zero(of: str) -> None:
    was = weights(model())
    edit = fitted(steps=6, rank=8, learning_rate=6e-3, of=of)
    after = held_out_margins(edit)
    for axis, margin in before().items():
        assert abs(after[axis]) < 0.5 * abs(margin)
    assert weights(model()) == was
    assert edit.info.report["last_loss"] < edit.info.report["first_loss"]  # type: ignore[operator]


def test_it_does_not_go_through_to_the_other_side() -> None:
    """Where bias_unlearn, after as many steps, would need a turn."""
    after = held_out_margins(fitted(steps=24, rank=8, learning_rate=3e-3))
    for axis, margin in before().items():
        assert abs(after[axis]) < 0.6 * abs(margin)


@pytest.mark.parametrize(
    "changed",
    [
        {"of": "share"},
        {"batch_size": 4},
        {"kl": None},
        {"kl": ParityKl(batch=4, weight=5.0)},
        {"kl": ParityKl(batch=4, texts="neutral")},
        {"kl": ParityKl(batch=4, over="span")},
        {"kl": ParityKl(batch=3)},
        {"evaluate_every": 1, "seed": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, Any]) -> None:
    assert not same(baseline().tensors, fitted(**changed).tensors)


def test_evaluating_changes_nothing() -> None:
    assert same(baseline().tensors, fitted(evaluate_every=1).tensors)


def test_texts_of_the_kl_were_learnt_from_too() -> None:
    neutral = {text_sha256(text) for text in SUPPLY.texts}
    assert neutral <= fitted(kl=ParityKl(texts="neutral")).info.trained_on
    assert not neutral & baseline().info.trained_on


def test_what_it_needs() -> None:
    bare = Supply(origin="by hand", contrasts=SUPPLY.contrasts)
    with pytest.raises(RecipeError, match="must have neutral texts with a part 'text'"):
        Parity(kl=ParityKl(texts="neutral")).fit(model(), bare, seed=0)
    with pytest.raises(ValidationError, match="batch_size"):
        Parity(batch_size=1)
    assert build(Mitigation, name_of(Parity()), {"of": "share"}) == Parity(of="share")
    assert options_of(build(Mitigation, "parity", {"kl": "forward"})) == options_of(Parity())
    assert Parity().kl == ParityKl(weight=1.0, batch=28, texts="unrelated", over="text")
