"""Scaled heads: a hook and the weights do the same, to the bit at scale 0, and both are undone."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import INFO, adapter_for, logits, weights
from torch import Tensor

from equipoise.edits.edit import fingerprint
from equipoise.edits.head_scales import (
    Head,
    HeadScaleEdit,
    originals,
    output_projection,
    parse,
    weight_names,
)
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError, StoreError
from equipoise.fakes import CAUSAL_FAMILIES
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import heads
from equipoise.testing import tiny_model

CHOSEN: tuple[Head, ...] = ((0, 1), (0, 3), (1, 2))
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def edit_of(
    model: LanguageModel,
    chosen: tuple[Head, ...] = CHOSEN,
    *,
    scale: float = 0.0,
    means: Mapping[str, Tensor] | None = None,
) -> HeadScaleEdit:
    columns, biases = originals(model.module, chosen, biases=bool(means))
    stamp = fingerprint(model.module, weight_names(model.module, chosen))
    return HeadScaleEdit(
        info=replace(INFO, base=model.identity, base_fingerprint=stamp),
        heads=chosen,
        scale=scale,
        means=means or {},
        columns=columns,
        biases=biases,
    )


def some_means(model: LanguageModel) -> dict[str, Tensor]:
    size = heads(model.module).size
    return {f"{n}.{h}": torch.linspace(-1, 1, size) * (1 + n + h) for n, h in CHOSEN}


@contextmanager
def hooked(model: LanguageModel, edit: HeadScaleEdit) -> Iterator[None]:
    """The heads scaled by hooks written here, in place of the edit."""
    size, handles = heads(model.module).size, []

    def scaled(number: int, read: Tensor) -> Tensor:
        z = read.clone()
        for block, head in edit.heads:
            if block == number:
                place = slice(head * size, (head + 1) * size)
                z[..., place] = edit.scale * z[..., place]
                if edit.means:
                    mean = edit.means[f"{block}.{head}"].to(z)
                    z[..., place] += (1 - edit.scale) * mean
        return z

    for number in {block for block, _ in edit.heads}:
        handles.append(
            output_projection(model.module, number).register_forward_pre_hook(
                lambda _, args, number=number: (scaled(number, args[0]), *args[1:])
            )
        )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def applied(model: LanguageModel) -> str:
    """What results say of how the last edit is applied."""
    edits = model.info["edits"]
    assert isinstance(edits, list)
    assert isinstance(edits[-1], dict)
    return str(edits[-1]["applied"])


def quantized(model: LanguageModel) -> LanguageModel:
    """The same numbers, of which the configuration says that they are quantized."""
    model.module.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    return model


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hook_and_weights_are_equal_to_the_bit_at_scale_0(family: str, dtype: str) -> None:
    model = tiny_model(family)
    model.module.to(DTYPES[dtype])
    plain = logits(model)
    edit = edit_of(model)
    with edit.attached(model) as edited:
        written = logits(edited)
        assert applied(edited) == "weights"
    with hooked(model, edit):
        assert float((logits(model) - written).abs().max()) == 0.0
    assert float((plain - written).abs().max()) > 0.01
    # our own hook, which stands in where weights are quantized
    with edit.attached(quantized(model)) as edited:
        assert torch.equal(logits(edited), written)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_attached_and_detached_leaves_every_bit_and_the_bias_alone(family: str) -> None:
    model = tiny_model(family)
    before, plain = weights(model), logits(model)
    with edit_of(model).attached(model) as edited:
        changed = {name for name, value in weights(model).items() if value != before[name]}
        assert changed == set(weight_names(model.module, CHOSEN))  # no bias among them
        assert edited.trained_on == INFO.trained_on
    assert weights(model) == before
    assert torch.equal(logits(model), plain)


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [0.0, 0.3])
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_means_go_into_a_bias_that_is_made_where_there_is_none(family: str, scale: float) -> None:
    model = tiny_model(family)
    before, plain = weights(model), logits(model)
    edit = edit_of(model, scale=scale, means=some_means(model))
    with edit.attached(model):
        written = logits(model)
        assert output_projection(model.module, 0).get_parameter("bias") is not None
    assert weights(model) == before
    with hooked(model, edit):
        torch.testing.assert_close(written, logits(model), rtol=1e-5, atol=1e-5)
    assert float((written - plain).abs().max()) > 0.01


def test_scale_1_and_no_heads_change_nothing() -> None:
    model = tiny_model("llama")
    plain = logits(model)
    for edit in (edit_of(model, scale=1.0), edit_of(model, ())):
        with edit.attached(model):
            assert torch.equal(logits(model), plain)


def test_quantized_weights_are_left_alone_and_the_hook_is_said_and_removed() -> None:
    model = quantized(tiny_model("llama"))
    before, plain = weights(model), logits(model)
    edit = edit_of(model)
    assert not edit.columns
    with edit.attached(model) as edited:
        assert weights(model) == before
        assert not torch.equal(logits(model), plain)
        assert applied(edited) == "hook: the weights are quantized (gptq 4-bit)"
    assert torch.equal(logits(model), plain)
    with pytest.raises(ModelError, match="has those of 0 of 3 heads"):
        edit.restore(model)


@pytest.mark.thorough
def test_under_an_adapter_on_the_projection_a_hook_removes_all_of_the_head() -> None:
    model = tiny_model("llama")
    adapter = adapter_for(model, target_modules=["o_proj"])
    plain = logits(model)
    with adapter.attached(model) as adapted:
        edit = edit_of(adapted)
        with_adapter = logits(model)
        with edit.attached(adapted) as edited:
            written = logits(model)
            assert applied(edited) == "hook: an adapter sits on the projection"
        with hooked(model, edit):
            assert torch.equal(logits(model), written)
        assert torch.equal(logits(model), with_adapter)
        assert not torch.equal(written, with_adapter)
    assert torch.equal(logits(model), plain)


def test_under_an_adapter_elsewhere_the_weights_hold_it() -> None:
    model = tiny_model("llama")
    with adapter_for(model).attached(model) as adapted:
        edit = edit_of(adapted)
        with edit.attached(adapted) as edited:
            assert applied(edited) == "weights"
    # its own weights are the base's, too, but it was learnt on the model with the adapter
    with pytest.raises(ModelError, match="without unlearn:"), edit.attached(model):
        pass


@pytest.mark.thorough
@pytest.mark.parametrize("with_means", [False, True])
def test_saved_and_loaded_it_does_the_same(with_means: bool, tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    edit = edit_of(model, scale=0.25, means=some_means(model) if with_means else None)
    edit.save(tmp_path / "edit")
    again = load_edit(tmp_path / "edit")
    assert isinstance(again, HeadScaleEdit)
    assert (again.content, again.heads, again.info) == (edit.content, edit.heads, edit.info)
    with edit.attached(model):
        expected = logits(model)
    with again.attached(tiny_model("gpt2")) as edited:
        assert torch.equal(logits(edited), expected)


@pytest.mark.parametrize("with_means", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
def test_restored_for_good_every_bit_is_back(family: str, with_means: bool) -> None:
    model = tiny_model(family)
    before = weights(model)
    edit = edit_of(model, means=some_means(model) if with_means else None)
    edit.apply(model)
    assert weights(model) != before
    edit.restore(model)
    after = weights(model)
    assert {name: after[name] for name in before} == before
    added = {name: model.module.state_dict()[name] for name in set(after) - set(before)}
    assert all(not bool(bias.any()) for bias in added.values())
    with pytest.raises(ModelError, match="are not those that 'unlearn' leaves"):
        edit.restore(model)


def test_another_base_is_refused_before_anything_changes() -> None:
    edit, other = edit_of(tiny_model("llama")), tiny_model("llama", seed=1)
    before = weights(other)
    with pytest.raises(ModelError, match="tiny-llama@0, got tiny-llama@1"), edit.attached(other):
        pytest.fail("the edit was attached")
    assert weights(other) == before


@pytest.mark.parametrize(
    ("chosen", "message"),
    [(((0, 4),), r"head must be 0 to 3 .* got 0\.4"), (((7, 0),), "block must be 0 to 1")],
)
def test_a_head_that_is_not_there_is_refused(chosen: tuple[Head, ...], message: str) -> None:
    model = tiny_model("llama")
    edit = HeadScaleEdit(info=INFO, heads=chosen)
    with pytest.raises(ModelError, match=message), edit.attached(model):
        pytest.fail("the edit was attached")


def test_a_projection_that_reads_no_heads_is_refused_by_name() -> None:
    model = tiny_model("llama")
    edit = edit_of(model)
    model.module.config.head_dim = 4  # as of an attention whose heads are mixed before it
    with pytest.raises(ModelError, match=r"block 0 of LlamaForCausalLM reads 32 .* 4 heads of 4"):
        edit.put(model, ExitStack())


def test_what_is_no_head_or_no_head_edit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"got 'three\.1'; write 3\.7"):
        parse("three.1")
    stored = edit_of(tiny_model("llama")).stored()
    with pytest.raises(StoreError, match="must list heads and a scale"):
        HeadScaleEdit._from_stored(INFO, replace(stored, values={"heads": "3.7"}), tmp_path)
    odd = replace(stored, tensors={"odd.1": torch.ones(1)})
    with pytest.raises(StoreError, match=r"must hold no 'odd\.1'"):
        HeadScaleEdit._from_stored(INFO, odd, tmp_path)
