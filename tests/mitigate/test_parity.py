"""Parity as a mitigation: margins go to zero from either side, and the rest is held."""

from functools import cache

import pytest
from contrast_items import SUPPLY, model, quick, same, standings, weights
from pydantic import ValidationError

from equipoise.contrast_training.tokenized import tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.parity import Parity
from equipoise.plugins import build, name_of, options_of
from equipoise.records import text_sha256


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "kl_batch": 4, **options}
    return Parity(**chosen).fit(model(), SUPPLY, seed=seed)  # type: ignore[arg-type]


def margins(edit: AdapterEdit | None) -> dict[str, float]:
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    if edit is None:
        found = standings(model(), items)
    else:
        with edit.attached(model()) as edited:
            found = standings(edited, items)
    return {axis: one.margin.value for axis, one in found.items()}


@cache
def baseline() -> AdapterEdit:
    return fitted()


@cache
def before() -> dict[str, float]:
    return margins(None)


@pytest.mark.parametrize("of", ["mean", "share"])
def test_held_out_margins_go_towards_zero(of: str) -> None:
    was = weights(model())
    edit = fitted(steps=12, rank=8, learning_rate=3e-3, of=of)
    after = margins(edit)
    for axis, one in before().items():
        assert abs(after[axis]) < 0.5 * abs(one)
    assert weights(model()) == was
    assert edit.info.report["last_loss"] < edit.info.report["first_loss"]  # type: ignore[operator]


def test_it_does_not_go_through_to_the_other_side() -> None:
    """Where bias_unlearn, after as many steps, would need a turn."""
    after = margins(fitted(steps=24, rank=8, learning_rate=3e-3))
    for axis, one in before().items():
        assert abs(after[axis]) < 0.6 * abs(one)


@pytest.mark.parametrize(
    "changed",
    [
        {"of": "share"},
        {"batch_size": 4},
        {"kl_weight": 5.0},
        {"kl_weight": 0.0, "kl_batch": 28},
        {"kl_on": "neutral"},
        {"kl_places": "span"},
        {"kl_batch": 3},
        {"look_every": 1, "seed": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, object]) -> None:
    assert not same(baseline().tensors, fitted(**changed).tensors)  # type: ignore[arg-type]


def test_looking_changes_nothing() -> None:
    assert same(baseline().tensors, fitted(look_every=1).tensors)


def test_texts_that_only_hold_were_learnt_from_too() -> None:
    neutral = {text_sha256(text) for text in SUPPLY.texts}
    assert neutral <= fitted(kl_on="neutral").info.trained_on
    assert not neutral & baseline().info.trained_on


def test_what_it_needs() -> None:
    bare = type(SUPPLY)(origin="by hand", contrasts=SUPPLY.contrasts)
    with pytest.raises(RecipeError, match="must have neutral texts with places 'all'"):
        Parity(kl_on="neutral").fit(model(), bare, seed=0)
    with pytest.raises(ValidationError, match="batch_size"):
        Parity(batch_size=1)
    assert build(Mitigation, name_of(Parity(of="share")), {"of": "share"}) == Parity(of="share")
    assert options_of(Parity())["kl_weight"] == 1.0
