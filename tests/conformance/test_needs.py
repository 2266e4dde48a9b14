"""What each built-in method says it needs is what it needs: of a supply, of a model, of a seed."""

from dataclasses import replace
from typing import Any

import pytest

from equipoise.attribute.base import Attributor
from equipoise.errors import ModelError, RecipeError
from equipoise.mitigate.base import Mitigation, single_parts
from equipoise.plugins import available, build, find, options_of
from equipoise.records import JSON, NextToken, Supply
from equipoise.testing import tiny_model, tiny_supply

from .test_built_ins import NEEDED

#: Parts of a supply that an option asks for, beside those that the method always needs.
OPTIONS: dict[str, list[tuple[dict[str, JSON], tuple[str, ...]]]] = {
    "lftf": [({"keep_hints": 1.0}, ("prompts", "hinted"))],
    "word_table": [({"strength": 1.0}, ("contrasts",))],
    "cda": [({"source": "texts"}, ("texts",))],
    "bias_unlearn": [({"controller": "none"}, ("contrasts",))],
    "npo": [({"attributor": "influence"}, ("rows", "probes"))],
    "head_steering": [({"heads": []}, ("questions", "paragraphs"))],
    "combined": [({"first": "prompt_explain", "second": "dpo"}, ("contrasts",))],
}
METHODS = [name for name in available(Mitigation) if name != "transfer"]


def quick(name: str) -> Mitigation:
    """The method with the fewest steps."""
    needed = NEEDED.get(name, {})
    known = options_of(build(Mitigation, name, needed))
    smaller: dict[str, JSON] = {"steps": 2, "epochs": 1, "edit_size": 8, "value_steps": 2}
    if "retention_weight" in known or "locality_weight" in known:
        smaller["rank"] = 32
    if "value_steps" in known:
        smaller["prefixes"] = 0
    if "corpus_texts" in known:
        smaller |= {"prefixes": 0, "limit": 3, "covariance": "identity"}
    if "training" in known:
        smaller["training"] = {"epochs": 1, "rank": 2, "learning_rate": 1e-2}
        smaller |= {"attributor": "loss", "most_rise": None}
    chosen = {option: value for option, value in smaller.items() if option in known}
    return build(Mitigation, name, {**needed, **chosen})


def answers(method: Mitigation, seed: int) -> list[float]:
    model = tiny_model("llama", context=512)
    with method.fit(model, tiny_supply(), seed=seed).attached(model) as edited:
        request = NextToken(context="The nurse", words=(" he", " she"))
        scored = [variant.next_token([request])[0] for variant in edited.variants()]
    return [float(value) for answer in scored for value in answer.logprobs]


@pytest.mark.thorough
@pytest.mark.parametrize("name", METHODS)
def test_without_what_is_required_it_cannot_learn_and_with_it_alone_it_can(name: str) -> None:
    method, model, supply = quick(name), tiny_model("llama", context=512), tiny_supply()
    assert method.lacks(supply) == ()
    alone: dict[str, Any] = {"measured": supply.measured if method.item_info else ()}
    for part in method.required:
        fields = part.split(" or ")
        less = replace(supply, **dict.fromkeys(fields, ()))
        assert method.lacks(less) == (part,)
        with pytest.raises(RecipeError):
            method.fit(model, less, seed=0)
        alone |= {fields[0]: getattr(supply, fields[0])}
    method.fit(model, Supply(origin="alone", **alone), seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("name", METHODS)
def test_a_kind_of_model_that_it_does_not_name_is_refused(name: str) -> None:
    method, masked = quick(name), tiny_model("bert", context=512)
    able = all("masked" in part.kinds for part in single_parts(method))
    try:
        with method.fit(masked, tiny_supply(), seed=0).attached(masked):
            pass
    except ModelError:
        assert not able
    else:
        assert able


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in METHODS if not quick(name).uses_seed])
def test_what_uses_no_seed_is_the_same_with_another(name: str) -> None:
    method = quick(name)
    assert answers(method, 0) == answers(method, 1)


@pytest.mark.thorough
def test_which_use_no_seed() -> None:
    once = {name for name in METHODS if not quick(name).uses_seed}
    assert once == {
        *("cafie", "self_debias", "word_table"),
        *("prompt_avoid", "prompt_debias", "prompt_explain", "prompt_prefix", "prompt_rewrite"),
    }
    assert build(Mitigation, "word_table", {"shuffled": True}).uses_seed
    both = {"first": "prompt_explain", "second": "cafie"}
    assert not build(Mitigation, "combined", both).uses_seed


@pytest.mark.parametrize(
    ("name", "options", "required"),
    [(name, *case) for name, cases in OPTIONS.items() for case in cases],
)
def test_options_ask_for_more_or_less(
    name: str, options: dict[str, JSON], required: tuple[str, ...]
) -> None:
    assert build(Mitigation, name, options).required == required


@pytest.mark.parametrize("name", available(Attributor))
def test_which_attributors_read_probes(name: str) -> None:
    training: JSON = {"name": "lora", "rank": 2, "epochs": 1, "targets": ["q_proj"]}
    known = options_of(build(Attributor, name))
    attributor = build(Attributor, name, {"training": training} if "training" in known else {})
    model, rows = tiny_model("llama", context=512), tiny_supply().rows
    if find(Attributor, name).reads_probes:
        with pytest.raises(RecipeError, match="probes"):
            attributor.attribute(model, rows, (), seed=0)
    else:
        attributor.attribute(model, rows, (), seed=0)
