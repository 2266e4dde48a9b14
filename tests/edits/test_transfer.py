"""Transfer of adapters: what must fit, what is recorded, the control and the scale."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO, adapter_for, effect, logits, sibling_of, vocabulary, weights
from torch import Tensor

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import Edit
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.token_tables import PREFIX
from equipoise.edits.transfer import (
    norm_matched_random,
    scale_update,
    transfer_adapter,
    update_norm,
)
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import vocabulary_of
from equipoise.records import JSON
from equipoise.testing import tiny_model

BASE = tiny_model("llama")
SIBLING = sibling_of(BASE)
EDIT = adapter_for(BASE)
PATTERNS: dict[str, JSON] = {"alpha_pattern": {"layers.1.self_attn.q_proj": 7}, "use_rslora": True}


def test_the_same_tensors_are_bound_to_the_sibling(tmp_path: Path) -> None:
    before = weights(SIBLING)
    moved = transfer_adapter(EDIT, SIBLING, vocabulary=vocabulary(EDIT))
    assert weights(SIBLING) == before
    assert moved.tensors == EDIT.tensors
    assert moved.info.base == "tiny-instruct@0"
    assert (moved.info.trained_on, moved.info.origin) == ({"ab"}, "here")
    assert moved.info.report["from_base"] == BASE.identity
    assert moved.info.report["from_content"] == EDIT.content
    assert moved.info.report["from_options"] == {"beta": 0.1}
    assert moved.info.report["notes"] == []
    assert "base_model_name_or_path" not in moved.config  # it was of the other base
    for edit, other in ((moved, BASE), (EDIT, SIBLING)):
        with pytest.raises(ModelError):
            edit.apply(other)
    moved.save(tmp_path / "moved")
    config = json.loads((tmp_path / "moved" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-instruct"
    again = load_edit(tmp_path / "moved")
    assert (again.info, again.content) == (moved.info, moved.content)
    card = (tmp_path / "moved" / "README.md").read_text(encoding="utf-8")
    assert "learnt on tiny-llama@0 and put on this base as it is" in card
    with again.attached(SIBLING) as edited:
        assert edited.identity.startswith("tiny-instruct@0+transfer:")
        assert edited.trained_on == {"ab"}


@pytest.mark.thorough
def test_a_sibling_keeps_most_of_the_effect_and_the_base_all_of_it() -> None:
    moved = transfer_adapter(EDIT, SIBLING, vocabulary=vocabulary(EDIT))
    on_base, on_sibling = effect(EDIT, BASE).flatten(), effect(moved, SIBLING).flatten()
    assert float(on_base.norm()) > 0.1
    assert float(torch.cosine_similarity(on_base, on_sibling, dim=0)) > 0.9
    same = transfer_adapter(EDIT, BASE, vocabulary=vocabulary(EDIT))
    torch.testing.assert_close(effect(same, BASE), effect(EDIT, BASE), rtol=0, atol=0)
    assert same.info.base_fingerprint == EDIT.info.base_fingerprint


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (tiny_model("gpt2"), "Target modules"),
        (tiny_model("llama", blocks=3), "layers.2"),
        (tiny_model("llama", blocks=1), "layers.1"),
        (tiny_model("llama", width=64), "[2, 32]"),
        (tiny_model("bert"), "masked"),
    ],
)
def test_other_modules_and_shapes_are_refused_and_nothing_changes(
    other: LanguageModel, word: str
) -> None:
    before, modules = weights(other), [id(module) for module in other.module.modules()]
    with pytest.raises(ModelError) as caught:
        transfer_adapter(EDIT, other, vocabulary=vocabulary(EDIT))
    assert word in str(caught.value)
    assert weights(other) == before
    assert [id(module) for module in other.module.modules()] == modules


def test_the_vocabularies_must_be_the_same() -> None:
    masked = vocabulary_of(tiny_model("bert").tokenizer)
    with pytest.raises(ModelError, match=r"\(259:.* and 261:"):
        transfer_adapter(EDIT, SIBLING, vocabulary=masked)
    more = sibling_of(BASE)
    more.tokenizer.add_tokens(["<user>"])
    with pytest.raises(ModelError, match=r"\(260:.* and 259:"):
        transfer_adapter(EDIT, more, vocabulary=vocabulary(EDIT))


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (WeightEdit(info=INFO, tensors={"model.norm.weight": torch.ones(32)}), "WeightEdit"),
        (PromptEdit(info=INFO, prompts=("Be fair. ",)), "PromptEdit"),
        (replace(EDIT, config={**EDIT.config, "bias": "all"}), "bias: 'all'"),
        (replace(EDIT, config={**EDIT.config, "modules_to_save": ["norm"]}), "['norm']"),
        (replace(EDIT, config={**EDIT.config, "init_lora_weights": "pissa"}), "pissa"),
        (
            replace(EDIT, tensors={name: 0 * tensor for name, tensor in EDIT.tensors.items()}),
            "norm 0.0",
        ),
        (
            replace(
                EDIT, tensors={name: math.nan * tensor for name, tensor in EDIT.tensors.items()}
            ),
            "must be finite",
        ),
    ],
)
def test_what_cannot_be_transferred_is_refused_with_the_reason(edit: Edit, word: str) -> None:
    before = weights(BASE)
    with pytest.raises(ModelError) as caught:
        transfer_adapter(edit, BASE, vocabulary=vocabulary(EDIT))
    assert word in str(caught.value)
    assert weights(BASE) == before


def test_an_adapter_without_a_record_of_its_texts_is_noted() -> None:
    foreign = replace(EDIT, info=replace(EDIT.info, trained_on=frozenset()))
    moved = transfer_adapter(foreign, BASE, vocabulary=vocabulary(EDIT))
    (note,) = moved.info.report["notes"]  # type: ignore[misc, union-attr]
    assert "a leak cannot be detected" in str(note)


# --- the control and the scale, compared with PEFT's own update --------------------------------


def updates(edit: AdapterEdit) -> dict[str, Tensor]:
    """What PEFT adds to each module's weights."""
    with edit.attached(BASE):
        return {
            name: module.get_delta_weight("equipoise").detach()
            for name, module in BASE.module.named_modules()
            if name.endswith(("q_proj", "v_proj"))
        }


@pytest.mark.parametrize(("options", "dtype"), [({}, torch.bfloat16), (PATTERNS, torch.float32)])
def test_a_random_adapter_has_the_norm_of_every_module(
    options: dict[str, JSON], dtype: torch.dtype
) -> None:
    edit = adapter_for(BASE, **options)
    edit = replace(edit, tensors={name: t.to(dtype) for name, t in edit.tensors.items()})
    random = norm_matched_random(edit, seed=3)
    learnt, drawn = updates(edit), updates(random)
    for name, update in learnt.items():
        assert float(drawn[name].norm()) == pytest.approx(float(update.norm()), rel=1e-5)
        alike = torch.cosine_similarity(update.flatten(), drawn[name].flatten(), dim=0)
        assert abs(float(alike)) < 0.5
        assert torch.linalg.matrix_rank(drawn[name]) == 2
    total = sum(float(update.norm()) ** 2 for update in learnt.values()) ** 0.5
    assert update_norm(edit) == pytest.approx(total, rel=1e-5)
    assert update_norm(random) == pytest.approx(total, rel=1e-5)
    assert random.info.options["control"] == "random"
    assert norm_matched_random(edit, seed=3).content == random.content
    assert norm_matched_random(edit, seed=4).content != random.content


def test_a_module_without_update_stays_without_one() -> None:
    name = next(tensor for tensor in EDIT.tensors if tensor.endswith("lora_B.weight"))
    tensors = {**EDIT.tensors, name: torch.zeros_like(EDIT.tensors[name])}
    random = norm_matched_random(replace(EDIT, tensors=tensors), seed=0)
    assert not random.tensors[name].any()
    assert update_norm(random) > 0


@pytest.mark.parametrize(("options", "scale"), [({}, 1.5), (PATTERNS, 0.5)])
def test_the_update_is_linear_in_the_scale(options: dict[str, JSON], scale: float) -> None:
    edit = adapter_for(BASE, **options)
    scaled = scale_update(edit, scale)
    whole, part = updates(edit), updates(scaled)
    for name, update in whole.items():
        torch.testing.assert_close(part[name], scale * update)
    assert scaled.info.report["update_norm"] == pytest.approx(scale * update_norm(edit))
    assert scaled.info.options["scale"] == scale


def test_scale_zero_is_the_model_itself() -> None:
    plain = logits(BASE)
    with scale_update(EDIT, 0.0).attached(BASE) as edited:
        assert torch.equal(logits(edited), plain)


@pytest.mark.parametrize("scale", [-0.5, float("nan"), float("inf")])
def test_other_scales_are_refused(scale: float) -> None:
    with pytest.raises(ModelError):
        scale_update(EDIT, scale)


@pytest.mark.parametrize("change", [{"use_dora": True}, {"peft_type": "LOHA"}])
def test_what_is_not_plain_lora_has_no_control_and_no_scale(change: dict[str, JSON]) -> None:
    odd = replace(EDIT, config={**EDIT.config, **change})
    with pytest.raises(ModelError, match="must be plain LoRA"):
        scale_update(odd, 0.5)
    with pytest.raises(ModelError, match="must be plain LoRA"):
        norm_matched_random(odd, seed=0)


def test_whole_tables_of_the_base_are_not_put_on_a_sibling() -> None:
    model = tiny_model("llama")
    edit, sibling = adapter_for(model), sibling_of(model)
    name = "model.embed_tokens.weight"
    held = replace(
        edit, tensors={**edit.tensors, PREFIX + name: model.module.get_parameter(name).detach()}
    )
    with pytest.raises(ModelError, match=r"'model.embed_tokens.weight' of .* whole"):
        transfer_adapter(held, sibling, vocabulary=vocabulary(edit))
    # a sibling whose tables were never trained has the same
    sibling.module.get_parameter(name).data = model.module.get_parameter(name).detach().clone()
    transfer_adapter(held, sibling, vocabulary=vocabulary(edit))
