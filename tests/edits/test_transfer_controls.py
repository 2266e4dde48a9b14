"""Controls of a transfer: norms, permutations and scales, held against PEFT's own update."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_adapters import adapter_for, effect, logits, weights
from torch import Tensor

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.edit import tensor_bytes
from equipoise.edits.transfer_controls import (
    layers_shuffled,
    norm_matched_random,
    scaled,
    update_norm,
    update_norms,
    varied,
)
from equipoise.errors import ModelError
from equipoise.fakes import tiny_model
from equipoise.records import JSON

BASE = tiny_model("llama", blocks=4)
EDIT = adapter_for(BASE)
PATTERNS: dict[str, JSON] = {"alpha_pattern": {"layers.1.self_attn.q_proj": 7}, "use_rslora": True}


def updates(edit: AdapterEdit) -> dict[str, Tensor]:
    """What PEFT adds to each module's weights."""
    with edit.attached(BASE):
        return {
            name: one.get_delta_weight("equipoise").detach()
            for name, one in BASE.module.named_modules()
            if name.endswith(("q_proj", "v_proj"))
        }


def contents(edit: AdapterEdit) -> Counter[bytes]:
    return Counter(tensor_bytes(tensor) for tensor in edit.tensors.values())


@pytest.mark.parametrize("options", [{}, PATTERNS], ids=["plain", "patterns"])
def test_norms_are_those_of_peft(options: dict[str, JSON]) -> None:
    edit = adapter_for(BASE, **options)
    theirs = {f"base_model.model.{name}": float(one.norm()) for name, one in updates(edit).items()}
    assert update_norms(edit) == pytest.approx(theirs, rel=1e-5)
    total = sum(their**2 for their in theirs.values()) ** 0.5
    assert update_norm(edit) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("options", [{}, PATTERNS], ids=["plain", "patterns"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_random_adapter_has_the_norm_of_every_module(
    options: dict[str, JSON], dtype: torch.dtype
) -> None:
    edit = adapter_for(BASE, **options)
    edit = replace(edit, tensors={name: one.to(dtype) for name, one in edit.tensors.items()})
    made = norm_matched_random(edit, seed=3)
    assert update_norms(made) == pytest.approx(update_norms(edit), rel=1e-5)
    learnt, drawn = updates(edit), updates(made)
    for name, one in learnt.items():
        assert float(drawn[name].norm()) == pytest.approx(float(one.norm()), rel=1e-5)
        alike = torch.cosine_similarity(one.flatten(), drawn[name].flatten(), dim=0)
        assert abs(float(alike)) < 0.5
        assert torch.linalg.matrix_rank(drawn[name]) == 2
    assert made.info.options["control"] == "random"


def test_a_seed_repeats_and_another_differs() -> None:
    edit = EDIT
    for make in (norm_matched_random, layers_shuffled):
        assert make(edit, seed=1).content == make(edit, seed=1).content
    assert norm_matched_random(edit, seed=1).content != norm_matched_random(edit, seed=2).content
    assert len({layers_shuffled(edit, seed=seed).content for seed in range(8)}) > 1


def test_a_module_without_update_stays_without_one() -> None:
    edit = EDIT
    name = next(tensor for tensor in edit.tensors if tensor.endswith("lora_B.weight"))
    tensors = {**edit.tensors, name: torch.zeros_like(edit.tensors[name])}
    made = norm_matched_random(replace(edit, tensors=tensors), seed=0)
    assert not made.tensors[name].any()
    assert update_norm(made) > 0


@given(seed=st.integers(min_value=0, max_value=2**31))
def test_shuffled_layers_are_a_permutation_that_keeps_none(seed: int) -> None:
    made = layers_shuffled(EDIT, seed=seed)
    assert contents(made) == contents(EDIT)
    origin = made.info.report["layers_from"]
    assert isinstance(origin, dict)
    assert sorted(origin) == ["0", "1", "2", "3"]
    assert {str(one) for one in origin.values()} == set(origin)
    for target, source in origin.items():
        assert target != str(source)
        for name, one in made.tensors.items():
            if f"layers.{target}." in name:  # a layer moves as a whole
                whence = name.replace(f"layers.{target}.", f"layers.{source}.")
                assert torch.equal(one, EDIT.tensors[whence])


def test_layers_move_among_those_of_equal_shape_and_scaling() -> None:
    edit = adapter_for(
        BASE,
        rank_pattern={r"layers\.[01]\..*": 3},
        alpha_pattern={r"layers\.[01]\..*": 6},
    )
    made = layers_shuffled(edit, seed=0)
    assert made.info.report["layers_from"] == {"0": 1, "1": 0, "2": 3, "3": 2}
    assert update_norm(made) == pytest.approx(update_norm(edit), rel=1e-6)
    alone = adapter_for(BASE, alpha_pattern={r"layers\.3\..*": 5})
    assert "3" not in layers_shuffled(alone, seed=0).info.report["layers_from"]  # type: ignore[operator]


def test_a_single_layer_cannot_be_shuffled() -> None:
    edit = adapter_for(BASE, layers_to_transform=[2], layers_pattern="layers")
    with pytest.raises(ModelError, match="has 1 layers, no two alike; take the random control"):
        layers_shuffled(edit, seed=0)


@pytest.mark.parametrize("options", [{}, PATTERNS], ids=["plain", "patterns"])
@pytest.mark.parametrize("scale", [0.0, 0.25, 0.5, 1.0, 1.5])
def test_the_update_is_linear_in_the_scale(options: dict[str, JSON], scale: float) -> None:
    edit = adapter_for(BASE, **options)
    made = scaled(edit, scale)
    whole, part = updates(edit), updates(made)
    for name, one in whole.items():
        torch.testing.assert_close(part[name], scale * one)
    assert update_norm(made) == pytest.approx(scale * update_norm(edit))
    assert made.info.options["scale"] == scale
    assert scaled(made, 2.0).info.options["scale"] == 2.0 * scale


def test_scale_zero_is_the_model_itself() -> None:
    edit = scaled(EDIT, 0.0)
    before, plain = weights(BASE), logits(BASE)
    with edit.attached(BASE) as edited:
        assert float((logits(edited) - plain).abs().max()) == 0.0
    assert weights(BASE) == before


@pytest.mark.parametrize("scale", [-0.5, float("nan"), float("inf")])
def test_other_scales_are_refused(scale: float) -> None:
    with pytest.raises(ModelError, match=r"a scale must be from 0 to 1e\+06, got"):
        scaled(EDIT, scale)


def test_a_control_at_a_scale_is_both() -> None:
    edit = EDIT
    made = varied(edit, control="random", scale=0.5, seed=4)
    assert update_norm(made) == pytest.approx(0.5 * update_norm(edit), rel=1e-5)
    assert made.info.seed == 4
    assert varied(edit, control="none", scale=1.0, seed=0).content == edit.content
    assert float(effect(made, BASE).abs().max()) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [({"use_dora": True}, "use_dora: True"), ({"peft_type": "LOHA"}, "the type LOHA")],
)
def test_what_is_not_plain_lora_is_refused(options: dict[str, JSON], said: str) -> None:
    edit = EDIT
    odd = replace(edit, config={**edit.config, **options})
    for make in (
        lambda: scaled(odd, 0.5),
        lambda: norm_matched_random(odd, seed=0),
        lambda: layers_shuffled(odd, seed=0),
    ):
        with pytest.raises(ModelError, match=f"must be plain LoRA .* this one has {said}"):
            make()


def test_half_an_update_is_refused() -> None:
    edit = EDIT
    name = next(tensor for tensor in edit.tensors if tensor.endswith("lora_B.weight"))
    rest = {key: one for key, one in edit.tensors.items() if key != name}
    with pytest.raises(ModelError, match="without its other half"):
        scaled(replace(edit, tensors=rest), 0.5)
