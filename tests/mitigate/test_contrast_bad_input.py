"""What every method that learns contrasts refuses, before anything is trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from contrast_items import HELD, SUPPLY, contrasts, model, quick, weights

from equipoise.contrast_training.steps import ForwardKl
from equipoise.errors import EquipoiseError, ModelError, RecipeError
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.cda import Cda
from equipoise.mitigate.parity import Parity, ParityKl
from equipoise.records import Contrast, Supply
from equipoise.testing import tiny_model
from equipoise.training import loop as training

METHODS = (BiasUnlearn(), Cda())  # all have it from `ContrastTraining`


@pytest.fixture(autouse=True)
def _nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(training, "_Training", lambda *_, **__: pytest.fail("it is refused before"))


def refused(method: Any, supply: Supply, error: type[EquipoiseError], message: str) -> None:
    before = weights(model())
    with pytest.raises(error, match=message):
        method.fit(model(), supply, seed=0)
    assert weights(model()) == before


every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)


@every_method
def test_shared_target_terms_are_listed(method: Any) -> None:
    shared = replace(SUPPLY, dev_contrasts=contrasts(("cook", *HELD)))
    refused(method, shared, RecipeError, "'by hand' shares 2: color/cook, size/cook; leave them")


@every_method
def test_a_type_without_held_out_contrasts_is_named(method: Any) -> None:
    half = replace(SUPPLY, dev_contrasts=contrasts(HELD, ("size",)))
    refused(method, half, RecipeError, r"has only one of the two for \['color'\]")


def lengthened(items: Sequence[Contrast]) -> tuple[Contrast, ...]:
    return tuple(
        replace(item, context=f"{item.context} {'very ' * 15}")
        if item.groups["axis"] == "size"
        else item
        for item in items
    )


@every_method
@pytest.mark.parametrize("parts", [("contrasts",), ("dev_contrasts",)])
def test_type_with_only_too_long_contrasts_is_named(method: Any, parts: tuple[str, ...]) -> None:
    long = replace(SUPPLY, **{part: lengthened(getattr(SUPPLY, part)) for part in parts})
    message = r"at most 60 tokens, 'by hand' has only longer ones of \['size'\]; raise 'longest'"
    refused(replace(method, longest=60), long, RecipeError, message)


@every_method
def test_no_contrasts(method: Any) -> None:
    none = replace(SUPPLY, contrasts=(), dev_contrasts=())
    refused(method, none, RecipeError, "must have contrasts of at most 100 tokens, got 0 of any")


@every_method
def test_all_contrasts_are_too_long(method: Any) -> None:
    refused(replace(method, longest=9), SUPPLY, RecipeError, "at most 9 tokens, got 12 of any")


@every_method
def test_a_masked_model(method: Any) -> None:
    with pytest.raises(ModelError, match="tiny-roberta@0 is masked: use a causal model"):
        method.fit(tiny_model("roberta"), SUPPLY, seed=0)


@every_method
def test_target_module_without_a_layer(method: Any) -> None:
    refused(replace(method, targets=("c_attn",)), SUPPLY, ModelError, "LoRA's target 'c_attn'")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "method", [BiasUnlearn(kl=ForwardKl(texts="neutral")), Parity(kl=ParityKl(texts="neutral"))]
)
def test_kl_needs_neutral_texts(method: Any) -> None:
    refused(method, replace(SUPPLY, texts=()), RecipeError, "must have neutral texts")
    suffix = replace(method, kl=replace(method.kl, over="after_filler"))
    refused(suffix, SUPPLY, RecipeError, "must have neutral texts with a part 'after_filler'")


@pytest.mark.parametrize("method", [BiasUnlearn(), Parity()])
def test_kl_needs_unrelated_texts(method: Any) -> None:
    bare = replace(
        SUPPLY,
        contrasts=tuple(replace(contrast, unrelated=None) for contrast in SUPPLY.contrasts),
    )
    refused(method, bare, RecipeError, "must have unrelated texts with a part 'text'")


SAID = "keep_lms needs held-out contrasts about 2 or more target terms with an unrelated text"


@every_method
@pytest.mark.parametrize("known", [1])
def test_keep_lms_needs_two_target_terms(method: Any, known: int) -> None:
    keeping = replace(method, keep_lms=2.0)
    few = tuple(
        dev_contrast
        if dev_contrast.groups["target"] in HELD[:known]
        else replace(dev_contrast, unrelated=None)
        for dev_contrast in SUPPLY.dev_contrasts
    )
    message = f"{SAID}, got {known} such terms from 'by hand'"
    refused(keeping, replace(SUPPLY, dev_contrasts=few), RecipeError, message)


@every_method
def test_keep_lms_needs_held_out_contrasts(method: Any) -> None:
    keeping = replace(method, keep_lms=2.0)
    refused(keeping, replace(SUPPLY, dev_contrasts=()), RecipeError, f"{SAID}, got 0 such")
