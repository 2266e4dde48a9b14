"""What every edit shares: fingerprints, names, and the refusal of another base."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO

from equipoise.edits.base import described
from equipoise.edits.edit import EditInfo, check_base, fingerprint, tensor_bytes
from equipoise.edits.prompts import PromptEdit
from equipoise.errors import ModelError
from equipoise.testing import tiny_model

NAME = "model.norm.weight"


def info(base_fingerprint: str = "", *, trained_on: frozenset[str] = frozenset()) -> EditInfo:
    return replace(INFO, base_fingerprint=base_fingerprint, trained_on=trained_on)


def test_equal_weights_have_equal_fingerprints_and_others_do_not() -> None:
    first, second, other = (tiny_model(seed=seed).module for seed in (0, 0, 1))
    assert fingerprint(first, [NAME]) == fingerprint(second, [NAME])
    assert fingerprint(first, [NAME]) != fingerprint(other, [NAME])
    assert fingerprint(first, [NAME]) != fingerprint(
        first, ["model.layers.0.input_layernorm.weight"]
    )


def test_a_bfloat16_checkpoint_has_one_fingerprint_in_both_dtypes() -> None:
    rounded = tiny_model().module.to(torch.bfloat16)
    in_bfloat16 = fingerprint(rounded, [NAME])
    assert fingerprint(rounded.float(), [NAME]) == in_bfloat16
    assert fingerprint(tiny_model().module, [NAME]) != in_bfloat16


def test_order_of_names_does_not_matter_and_none_are_equal_for_all() -> None:
    model, other = tiny_model().module, tiny_model("gpt2").module
    both = [NAME, "lm_head.weight"]
    assert fingerprint(model, both) == fingerprint(model, both[::-1])
    assert fingerprint(model, []) == fingerprint(other, [])


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ModelError, match=r"GPT2LMHeadModel must have the parameter 'model\.norm"):
        fingerprint(tiny_model("gpt2").module, [NAME])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_fingerprint_does_not_depend_on_memory_layout(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    assert tensor_bytes(tensor) == tensor_bytes(tensor.T.contiguous().T)
    assert len(tensor_bytes(tensor)) == tensor.numel() * tensor.element_size()
    assert tensor_bytes(tensor) != tensor_bytes(tensor.T)


def test_another_base_is_refused_with_both_names() -> None:
    mine, other = tiny_model(seed=0), tiny_model(seed=1)
    about = info(fingerprint(mine.module, [NAME]))
    check_base(mine, about, [NAME])
    with pytest.raises(ModelError, match=r"learnt on, tiny-llama@0, got tiny-llama@1"):
        check_base(other, about, [NAME])


def test_an_edit_without_a_fingerprint_is_let_through() -> None:
    check_base(tiny_model(seed=1), info(""), [NAME])


def test_the_edited_model_is_named_recorded_and_knows_what_it_learnt() -> None:
    model = replace(tiny_model(), trained_on=frozenset({"a"}))
    edit = PromptEdit(info=info(trained_on=frozenset({"b"})), prompts=("x ",))
    once = described(model, edit)
    twice = described(once, edit)
    assert once.identity == f"tiny-llama@0+unlearn:{edit.content[:8]}"
    assert twice.identity == f"{once.identity}+unlearn:{edit.content[:8]}"
    assert once.trained_on == {"a", "b"}
    counts = [len(each.source.get("edits", [])) for each in (model, once, twice)]  # type: ignore[arg-type]
    assert counts == [0, 1, 2]
    (record,) = once.source["edits"]  # type: ignore[misc, union-attr]
    assert record["base"] == "tiny-llama@0"  # type: ignore[index, call-overload]
    assert record["options"] == {"beta": 0.1}  # type: ignore[index, call-overload]


def test_prompts_families_multiply_and_the_weights_stay(tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    edit = PromptEdit(info=info(), prompts=("Be fair. ", "Be kind. "))
    edit.save(tmp_path / "prompts")
    again = PromptEdit.load(tmp_path / "prompts")
    assert again == edit
    with (
        again.attached(model) as once,
        PromptEdit(info=info(), prompts=("Well, ",)).attached(once) as twice,
    ):
        assert once.prompts == ("Be fair. ", "Be kind. ")
        assert twice.prompts == ("Be fair. Well, ", "Be kind. Well, ")
        assert twice.module is model.module
    assert model.prompts == ("",)


def test_an_empty_family_of_prompts_is_refused() -> None:
    with pytest.raises(ModelError, match=r"got \(\)"):
        PromptEdit(info=info(), prompts=())
