"""BiasUnlearn as a mitigation: its options, what it does to margins, and what it refuses."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from contrast_items import SUPPLY, held_out_biases, model, quick, same, small, weights
from pydantic import ValidationError

from equipoise.contrast_training.early_stopping import (
    Controller,
    EquivalenceStopping,
    NoController,
    PaperSwapping,
    ProportionalSwapping,
    ReferenceSwapping,
)
from equipoise.contrast_training.evaluation import TypeBias
from equipoise.contrast_training.steps import ForwardKl, PaddedKl, ReverseKl
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_unlearn import (
    BiasUnlearn,
    HeadAdversarial,
    Likelihood,
    Npo,
    StratifiedAdversarial,
)
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON
from equipoise.testing import tiny_model

QUICK: dict[str, Any] = {
    "steps": 8,
    "evaluate_every": 4,
    "first_evaluation": 4,
    "retain": Likelihood(batch=8),
    "kl": ForwardKl(batch=4),
    "learning_rate": 5e-3,
}


BARE = replace(SUPPLY, dev_contrasts=())  # nothing is evaluated


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: Any) -> AdapterEdit:
    return BiasUnlearn(**{**QUICK, **options}).fit(model(), SUPPLY, seed=seed)


def brief(*, seed: int = 0, **options: Any) -> AdapterEdit:
    chosen = {**QUICK, "steps": 2, "controller": NoController(), "rank": 2, **options}
    supply = BARE if chosen["controller"] == NoController() else SUPPLY
    return BiasUnlearn(**chosen).fit(small(), supply, seed=seed)


@cache
def baseline() -> AdapterEdit:
    return brief()


@cache
def before() -> dict[str, TypeBias]:
    return held_out_biases(None)


@pytest.mark.thorough
def test_held_out_margins_shrink_from_either_side() -> None:
    was = weights(model())
    edit = fitted()
    after = held_out_biases(edit)
    for axis, bias in before().items():
        assert abs(after[axis].margin.value) < 0.5 * abs(bias.margin.value)
    assert weights(model()) == was
    last = edit.info.report["evaluations"][-1]  # type: ignore[index,call-overload]
    if last["steps"] == edit.info.report["steps"]:  # dropout has no part in evaluations
        for axis, bias in after.items():
            assert last["types"][axis]["margin"] == pytest.approx(bias.margin.value, abs=1e-4)


@pytest.mark.thorough
def test_without_swapping_it_moves_away_from_stereotypes() -> None:
    """Margins fall, also those that were below 0."""
    method = BiasUnlearn(**{**QUICK, "steps": 6, "controller": NoController()})
    after = held_out_biases(method.fit(model(), BARE, seed=0))
    for axis, bias in before().items():
        assert after[axis].margin.value < bias.margin.value - 0.1


@pytest.mark.thorough
def test_seed_determines_every_byte() -> None:
    edit, again, reseeded = baseline(), brief(), brief(seed=1)
    assert edit.info == again.info
    assert same(edit.tensors, again.tensors)
    assert not same(edit.tensors, reseeded.tensors)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [
        {"forget": Npo(beta=1.0)},
        {"forget": Npo(reduction="batch_mean")},
        {"forget": Npo(adversarial=HeadAdversarial())},
        {"retain": None},
        {"retain": Likelihood(batch=8, by_token=True)},
        {"kl": None},
        {"kl": ReverseKl(batch=4)},
        {"kl": ForwardKl(batch=4, texts="neutral", over="span")},
        {"controller": ProportionalSwapping(), "first_evaluation": 0, "evaluate_every": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, Any]) -> None:
    # a KL has no gradient where training begins: it takes a second step to tell
    assert not same(baseline().tensors, brief(**changed).tensors)


@pytest.mark.parametrize(
    ("option", "controller"),
    [
        ("equivalence", EquivalenceStopping(band=5.0, judge="margin")),
        (
            {"name": "equivalence", "band": 3, "judge": "ss"},
            EquivalenceStopping(band=3, judge="ss"),
        ),
        ({"name": "proportional", "band": 3.0}, ProportionalSwapping(band=3.0)),
        ("paper", PaperSwapping(near=2.0)),
        ({"name": "reference", "bases": {"race": 48.5}}, ReferenceSwapping(bases={"race": 48.5})),
        ("none", NoController()),
    ],
)
def test_controllers_by_name(option: Any, controller: Controller) -> None:
    method: Any = build(Mitigation, "bias_unlearn", {"controller": option})
    assert method.controller == controller


def test_the_defaults_are_the_papers() -> None:
    plain = BiasUnlearn()
    assert plain.forget == Npo(
        weight=0.4,
        batch=4,
        beta=0.1,
        reduction="per_seq_sum",
        adversarial=StratifiedAdversarial(share=0.25),
    )
    assert plain.retain == Likelihood(weight=0.4, batch=28, by_token=False)
    assert plain.kl == ForwardKl(weight=0.2, batch=28, texts="unrelated", over="text")
    assert (plain.rank, plain.alpha, plain.dropout) == (8, 16.0, 0.1)
    assert (plain.steps, plain.warmup, plain.max_gradient) == (1000, 10, 1.0)


def test_reference_options_are_the_released_code() -> None:
    released = BiasUnlearn.released(steps=7)
    assert released.forget == Npo(weight=0.5, reduction="batch_mean")
    assert released.retain == Likelihood(weight=0.3)
    assert released.kl == PaddedKl(weight=0.2)
    bases = {"gender": 49.0, "profession": 49.0, "race": 49.0, "religion": 48.0}
    assert released.controller == ReferenceSwapping(bases=bases, near=2.0)
    assert released.steps == 7


def test_as_printed_is_a_single_switch_and_says_what_it_uses() -> None:
    printed = build(Mitigation, "bias_unlearn", {"preset": "printed"})
    assert isinstance(printed, BiasUnlearn)
    options = options_of(printed)
    assert printed.kl == ReverseKl(weight=0.2, batch=28, texts="unrelated", over="text")
    assert options["controller"] == {"name": "paper", "near": 2.0}
    assert options["learning_rate"] == 5e-5
    assert (options["forget"], options["retain"]) == (
        options_of(BiasUnlearn())["forget"], options_of(BiasUnlearn())["retain"],
    )  # fmt: skip
    assert build(Mitigation, "bias_unlearn", options) == printed
    assert replace(printed, steps=5).controller == printed.controller


def test_an_option_that_is_given_goes_before_the_preset() -> None:
    given: dict[str, JSON] = {"preset": "printed", "kl": None, "learning_rate": 2e-5}
    method = build(Mitigation, "bias_unlearn", given)
    assert isinstance(method, BiasUnlearn)
    assert (method.kl, method.learning_rate) == (None, 2e-5)
    with pytest.raises(RecipeError, match=r"preset.*'own', 'printed' or 'released', got 'prited'"):
        build(Mitigation, "bias_unlearn", {"preset": "prited"})


def test_a_base_of_no_type_is_named() -> None:
    method = BiasUnlearn(controller=ReferenceSwapping(bases={"Color": 80.0}))
    with pytest.raises(RecipeError, match="got 'Color'; did you mean 'color'"):
        method.fit(small(), SUPPLY, seed=0)


def test_options_round_trip() -> None:
    method = BiasUnlearn(
        forget=Npo(adversarial=None),
        retain=None,
        kl=ReverseKl(weight=0.5),
        controller=ReferenceSwapping(bases={"race": 48.0}),
    )
    assert build(Mitigation, name_of(method), options_of(method)) == method


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"forget": None, "retain": None}, "forget or retain must be given"),
        ({"controller": {"name": "paper", "band": 3.0}}, "no option 'band'"),
        ({"controller": {"name": "equivalence", "band": 50.0}}, "band"),
        ({"controller": {"name": "equivalence", "bases": {"race": 48.0}}}, "no option 'bases'"),
        ({"forget": {"name": "npo", "beta": 0.0}}, "beta"),
        ({"forget": {"name": "npo", "weight": 0.0}}, "weight"),
        ({"forget": {"name": "npo", "adversarial": {"name": "head", "share": 1.1}}}, "share"),
        ({"kl": "backward"}, "no choice 'backward'"),
        ({"steps": 0}, "steps"),
    ],
    ids=str,
)
def test_invalid_values(options: dict[str, Any], error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        build(Mitigation, "bias_unlearn", options)
    with pytest.raises(ValidationError):
        BiasUnlearn(forget=None, retain=None)


def test_controllers_need_held_out_contrasts() -> None:
    with pytest.raises(RecipeError, match="must have held-out contrasts to stop on, got 0"):
        BiasUnlearn().fit(small(), BARE, seed=0)
    report = baseline().info.report
    assert report["held_out_items"] == 0
    assert "evaluations" not in report


@pytest.mark.thorough
def test_stops_within_the_band_with_the_reason() -> None:
    edit = fitted(controller=EquivalenceStopping(band=49.99))
    assert edit.info.report["steps"] in (4, 8)
    assert "is within 49.99 points of SS of parity" in str(edit.info.report["stopped"])


@pytest.mark.thorough
def test_another_family_whose_logits_are_capped() -> None:
    method = BiasUnlearn(**{**QUICK, "steps": 1, "controller": NoController()})
    edit = method.fit(tiny_model("gemma2", blocks=1), BARE, seed=0)
    assert all(torch.isfinite(tensor).all() for tensor in edit.tensors.values())
