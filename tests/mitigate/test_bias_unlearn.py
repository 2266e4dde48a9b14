"""BiasUnlearn as a mitigation: its switches, what it does to margins, and what it refuses."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from contrast_items import SUPPLY, model, quick, same, small, standings, weights
from pydantic import ValidationError

from equipoise.contrast_training.controllers import (
    Band,
    Controller,
    Equivalence,
    Fixed,
    Printed,
    Proportional,
    Released,
)
from equipoise.contrast_training.held_out_bias import Standing
from equipoise.contrast_training.tokenized import tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.plugins import build, name_of, options_of
from equipoise.testing import tiny_model

QUICK: dict[str, object] = {
    "steps": 12,
    "look_every": 4,
    "first_look": 4,
    "retain_batch": 8,
    "kl_batch": 4,
    "learning_rate": 3e-3,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: object) -> AdapterEdit:
    return BiasUnlearn(**{**QUICK, **options}).fit(model(), SUPPLY, seed=seed)  # type: ignore[arg-type]


def brief(*, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {**QUICK, "steps": 2, "controller": "none", "rank": 2, **options}
    return BiasUnlearn(**chosen).fit(small(), SUPPLY, seed=seed)  # type: ignore[arg-type]


@cache
def baseline() -> AdapterEdit:
    return brief()


@cache
def before() -> dict[str, Standing]:
    return held_out(None)


def held_out(edit: AdapterEdit | None) -> dict[str, Standing]:
    """Where the model stands on held-out contrasts, with the edit or without any."""
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    if edit is None:
        return standings(model(), items)
    with edit.attached(model()) as edited:
        return standings(edited, items)


def test_held_out_margins_shrink_whichever_side_they_are_on() -> None:
    was = weights(model())
    edit = fitted()
    after = held_out(edit)
    for axis, one in before().items():
        assert abs(after[axis].margin.value) < 0.5 * abs(one.margin.value)
    assert weights(model()) == was
    last = edit.info.report["looks"][-1]  # type: ignore[index,call-overload]
    if last["steps"] == edit.info.report["steps"]:  # dropout has no part in looking
        for axis, one in after.items():
            assert last["standings"][axis]["margin"] == pytest.approx(one.margin.value, abs=1e-4)


def test_without_turning_it_goes_away_from_stereotypes() -> None:
    """Margins fall, also those that were below 0."""
    after = held_out(fitted(controller="none"))
    for axis, one in before().items():
        assert after[axis].margin.value < one.margin.value - 0.1


def test_the_seed_settles_every_byte() -> None:
    one, again, other = baseline(), brief(), brief(seed=1)
    assert one.info == again.info
    assert same(one.tensors, again.tensors)
    assert not same(one.tensors, other.tensors)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": (0.4, 0.2, 0.2)},
        {"weights": (0.4, 0.0, 0.2), "retain_batch": 28},
        {"beta": 1.0},
        {"reduction": "per_seq_mean"},
        {"reduction": "batch_mean"},
        {"retain_by_token": True},
        {"kl": "reverse"},
        {"kl": "ce_all_positions"},
        {"kl_on": "neutral"},
        {"kl_places": "span"},
        {"kl_places": "after_filler"},
        {"adversarial": 0.9},
        {"adversarial_from": "head"},
        {"forget_batch": 3},
        {"retain_batch": 3},
        {"kl_batch": 3},
        {"kl_batch": 0},
        {"controller": "proportional", "first_look": 0, "look_every": 1},
        {"reference_mode": True, "controller": "reference", "first_look": 0, "look_every": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, object]) -> None:
    # a KL has no gradient where training begins: it takes a second step to tell
    assert not same(baseline().tensors, brief(**changed).tensors)


def controller_of(**options: object) -> Controller:
    return BiasUnlearn(**options).unlearning().controller  # type: ignore[arg-type]


def test_controllers_by_name() -> None:
    assert controller_of() == Equivalence(band=Band(points=5.0))
    assert controller_of(band=3.0, judge="ss") == Equivalence(band=Band(points=3.0, judge="ss"))
    assert controller_of(controller="proportional", band=3.0) == Proportional(band=Band(points=3.0))
    assert controller_of(controller="paper") == Printed(near=2.0)
    assert controller_of(controller="reference") == Released()
    based = controller_of(controller="reference", bases={"race": 48.5})
    assert based == Released(bases={"race": 48.5})
    assert controller_of(controller="none") == Fixed()


def test_the_defaults_are_the_papers() -> None:
    plain = BiasUnlearn()
    assert plain.weights == (0.4, 0.4, 0.2)
    assert (plain.beta, plain.reduction, plain.kl) == (0.1, "per_seq_sum", "forward")
    assert (plain.forget_batch, plain.retain_batch, plain.kl_batch) == (4, 28, 28)
    assert (plain.adversarial, plain.adversarial_from) == (0.25, "stratified")
    assert (plain.rank, plain.alpha, plain.dropout) == (8, 16.0, 0.1)
    assert (plain.steps, plain.warmup, plain.max_gradient) == (1000, 10, 1.0)


def test_reference_mode_is_the_released_code() -> None:
    used = BiasUnlearn(reference_mode=True, steps=7, beta=0.3).as_released()
    assert used.weights == (0.5, 0.3, 0.2)
    assert used.reduction == "batch_mean"
    assert used.kl == "ce_all_positions"
    bases = {"gender": 49.0, "profession": 49.0, "race": 49.0, "religion": 48.0}
    assert used.unlearning().controller == Released(bases=bases, near=2.0)
    assert (used.steps, used.beta) == (7, 0.3)
    # its defects in which tokens and items are trained are not switched on
    assert (used.adversarial_from, used.forget_batch, used.retain_batch) == ("stratified", 4, 28)


def test_reference_mode_equals_its_parts_spelt_out() -> None:
    switches = {"first_look": 1, "look_every": 1, "steps": 3}
    one = brief(reference_mode=True, controller="reference", **switches)
    other = BiasUnlearn(**{**QUICK, "rank": 2, **switches}).as_released()  # type: ignore[arg-type]
    assert same(one.tensors, other.fit(small(), SUPPLY, seed=0).tensors)
    assert one.info.options["reference_mode"] is True


@pytest.mark.parametrize(
    "changed",
    [{"weights": (0.5, 0.0, 0.2)}, {"controller": "none"}, {"kl": "reverse"}, {"bases": {"a": 1}}],
    ids=str,
)
def test_reference_mode_overrules_nothing_silently(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=f"reference_mode sets {next(iter(changed))} to"):
        BiasUnlearn(reference_mode=True, **changed)  # type: ignore[arg-type]


def test_a_base_of_no_type_is_named() -> None:
    method = BiasUnlearn(controller="reference", bases={"Color": 80.0})
    with pytest.raises(RecipeError, match="got 'Color'; did you mean 'color'"):
        method.fit(small(), SUPPLY, seed=0)


def test_options_survive() -> None:
    method = BiasUnlearn(weights=(1.0, 0.0, 0.5), controller="reference", bases={"race": 48.0})
    assert build(Mitigation, name_of(method), options_of(method)) == method


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": (0.0, 0.0, 0.0)}, "not all 0"),
        ({"weights": (0.4, -0.1, 0.2)}, "0 or more"),
        ({"weights": (0.0, 0.0, 1.0)}, "forgetting or retaining must have a weight and texts"),
        ({"weights": (0.0, 1.0, 1.0), "retain_batch": 0}, "must have a weight and texts"),
        ({"bases": {"race": 48.0}}, "bases are for controller 'reference'"),
        ({"band": 50.0}, "band"),
        ({"beta": 0.0}, "beta"),
        ({"adversarial": 1.1}, "adversarial"),
        ({"kl": "backward"}, "kl"),
        ({"steps": 0}, "steps"),
    ],
    ids=str,
)
def test_values_that_cannot_be(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BiasUnlearn(**options)  # type: ignore[arg-type]


def test_without_held_out_contrasts_only_the_fixed_controller_will_do() -> None:
    bare = replace(SUPPLY, dev_contrasts=())
    with pytest.raises(RecipeError, match="must have held-out contrasts to stop on, got 0"):
        BiasUnlearn().fit(model(), bare, seed=0)
    short = BiasUnlearn(**{**QUICK, "steps": 1, "controller": "none"})  # type: ignore[arg-type]
    report = short.fit(model(), bare, seed=0).info.report
    assert report["held_out_items"] == 0
    assert "looks" not in report


def test_it_stops_when_all_is_within_the_band_and_says_so() -> None:
    edit = fitted(band=49.99)
    assert edit.info.report["steps"] in (4, 8)
    assert "is within 49.99 points of SS of parity" in str(edit.info.report["stopped"])


def test_another_family_whose_logits_are_capped() -> None:
    of = tiny_model("gemma2")
    edit = BiasUnlearn(**{**QUICK, "steps": 2}).fit(of, SUPPLY, seed=0)  # type: ignore[arg-type]
    assert all(torch.isfinite(tensor).all() for tensor in edit.tensors.values())
