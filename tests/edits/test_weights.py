"""Replaced parameters: attached, nested, undone to the last bit, saved and read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO, logits, weights
from torch import Tensor

from equipoise.edits.edit import fingerprint
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.testing import tiny_model

NAMES = {
    "gpt2": ("transformer.h.1.attn.c_proj.weight", "transformer.wte.weight"),
    "llama": ("model.layers.1.mlp.up_proj.weight", "lm_head.weight"),
    "bert": ("bert.encoder.layer.0.output.dense.bias",),
}


def edit_of(model: LanguageModel, names: tuple[str, ...], *, plus: float = 0.5) -> WeightEdit:
    tensors = {name: model.module.get_parameter(name).detach() + plus for name in names}
    stamp = fingerprint(model.module, tensors)
    info = replace(INFO, base=model.identity, base_fingerprint=stamp)
    return WeightEdit(info=info, tensors=tensors)


@pytest.mark.parametrize("family", NAMES)
def test_attached_changes_and_detached_restores_every_bit(family: str) -> None:
    model = tiny_model(family)
    pointers = {name: p.data_ptr() for name, p in model.module.named_parameters()}
    before, scores = weights(model), logits(model)
    with edit_of(model, NAMES[family]).attached(model) as edited:
        assert weights(model) != before
        assert not torch.allclose(logits(edited), scores)
        assert edited.identity != model.identity
        assert edited.trained_on == {"ab"}
    assert weights(model) == before
    assert torch.equal(logits(model), scores)
    assert {name: p.data_ptr() for name, p in model.module.named_parameters()} == pointers


def test_tied_embeddings_change_and_come_back_together() -> None:
    model = tiny_model("gpt2")
    head, embeddings = model.module.lm_head, model.module.transformer.wte
    with edit_of(model, ("transformer.wte.weight",)).attached(model):
        assert head.weight is embeddings.weight
    assert head.weight is embeddings.weight


def test_restored_when_the_body_raises_or_writes_into_the_weights() -> None:
    model = tiny_model("llama")
    before = weights(model)
    name = NAMES["llama"][0]
    with (
        pytest.raises(ZeroDivisionError),
        edit_of(model, (name,)).attached(model),
        torch.no_grad(),
    ):
        model.module.get_parameter(name).fill_(1 / 0)
    assert weights(model) == before
    with edit_of(model, (name,)).attached(model), torch.no_grad():
        model.module.get_parameter(name).zero_()
    assert weights(model) == before


def test_the_edit_s_own_tensors_are_safe_from_the_body() -> None:
    model = tiny_model("llama")
    edit = edit_of(model, NAMES["llama"])
    content = edit.content
    with edit.attached(model), torch.no_grad():
        model.module.get_parameter(NAMES["llama"][0]).zero_()
    assert edit.content == content


def test_attachments_nest_on_other_and_on_the_same_parameters() -> None:
    model = tiny_model("llama")
    before = weights(model)
    outer, other = edit_of(model, NAMES["llama"][:1]), edit_of(model, NAMES["llama"][1:])
    with outer.attached(model) as once:
        middle = weights(model)
        with other.attached(once) as twice:
            inner = edit_of(twice, NAMES["llama"], plus=0.25)  # learnt on what is attached
            assert twice.identity.count("+") == 2
            with inner.attached(twice):
                assert weights(model) not in (middle, before)
        assert weights(model) == middle
    assert weights(model) == before


def test_the_same_edit_twice_is_another_base() -> None:
    model = tiny_model("llama")
    edit = edit_of(model, NAMES["llama"])
    with (
        edit.attached(model) as once,
        pytest.raises(ModelError, match=r"got tiny-llama@0\+unlearn:"),
        edit.attached(once),
    ):
        pytest.fail("the edit was attached twice")


def test_another_base_is_refused_before_anything_changes() -> None:
    edit = edit_of(tiny_model("llama", seed=0), NAMES["llama"])
    other = tiny_model("llama", seed=1)
    before = weights(other)
    with pytest.raises(ModelError, match="tiny-llama@0, got tiny-llama@1"), edit.attached(other):
        pytest.fail("the edit was attached")
    assert weights(other) == before


def test_another_shape_is_refused_with_both_shapes() -> None:
    edit = edit_of(tiny_model("llama"), NAMES["llama"])
    wide = tiny_model("llama", width=64)
    with (
        pytest.raises(ModelError, match=r"shape \(64, 32\) as in .*, got \(128, 64\)"),
        edit.attached(wide),
    ):
        pytest.fail("the edit was attached")


@pytest.mark.parametrize("family", NAMES)
def test_saved_and_loaded_it_scores_the_same(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    edit = edit_of(model, NAMES[family])
    edit.save(tmp_path / "fair")
    again = WeightEdit.load(tmp_path / "fair")
    with edit.attached(model) as edited:
        expected, identity = logits(edited), edited.identity
    with again.attached(tiny_model(family)) as edited:
        assert torch.equal(logits(edited), expected)
        assert edited.identity == identity
    assert again.info == edit.info
    assert again.content == edit.content


def test_content_hash_depends_on_values_alone() -> None:
    model = tiny_model("llama")
    edit = edit_of(model, NAMES["llama"])
    more = edit_of(model, NAMES["llama"], plus=0.25)
    turned: Mapping[str, Tensor] = dict(reversed(list(edit.tensors.items())))
    assert WeightEdit(info=more.info, tensors=turned).content == edit.content
    assert more.content != edit.content


def test_weights_are_cast_to_the_model_s_dtype() -> None:
    half = tiny_model("llama")
    half.module.to(torch.bfloat16)
    full = edit_of(half, NAMES["llama"])
    exact = {name: tensor.float() for name, tensor in full.tensors.items()}
    with WeightEdit(info=full.info, tensors=exact).attached(half):
        assert half.module.get_parameter(NAMES["llama"][0]).dtype == torch.bfloat16
