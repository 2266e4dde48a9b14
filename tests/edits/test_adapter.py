"""PEFT adapters: in and out without a trace, saved so that PEFT reads them too."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_adapters import CONFIG, INFO, logits, quiet, weights

from equipoise.edits.adapter import AdapterEdit, read_adapter, sits_on
from equipoise.edits.edit import fingerprint
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON
from equipoise.testing import tiny_model

TARGETS = {"gpt2": ["c_attn", "c_proj"], "llama": ["q_proj", "v_proj"], "bert": ["query"]}


def write_adapter(family: str, folder: Path, **options: Any) -> Path:
    """An adapter folder as PEFT writes it, with weights that are not zero."""
    config = peft.LoraConfig(
        r=2, target_modules=TARGETS[family], fan_in_fan_out=family == "gpt2", **options
    )
    base = tiny_model(family).module
    base.name_or_path = "tiny"
    with quiet():
        wrapped = peft.get_peft_model(base, config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name or parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator))
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    return folder


def read_by_peft(model: LanguageModel, folder: Path) -> peft.PeftModel:
    with quiet():
        return peft.PeftModel.from_pretrained(model.module, folder).eval()


def with_fingerprint(model: LanguageModel, edit: AdapterEdit) -> AdapterEdit:
    """The adapter as a mitigation of ours would hand it over, with a fingerprint."""
    stamp = fingerprint(model.module, sits_on(model, edit.config))
    return replace(edit, info=replace(INFO, base=model.identity, base_fingerprint=stamp))


@pytest.mark.thorough
@pytest.mark.parametrize("family", TARGETS)
def test_attached_and_detached_bit_for_bit(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    edit = read_adapter(write_adapter(family, tmp_path / "adapter"))
    modules = {name: id(module) for name, module in model.module.named_modules()}
    before, scores, attributes = weights(model), logits(model), set(vars(model.module))
    state = torch.get_rng_state()
    with edit.attached(model) as edited:
        assert not torch.allclose(logits(edited), scores)
        assert edited.identity == f"tiny-{family}@0+adapter:{edit.content[:8]}"
        assert not any(module.training for module in model.module.modules())
    assert weights(model) == before
    assert torch.equal(logits(model), scores)
    assert {name: id(module) for name, module in model.module.named_modules()} == modules
    assert set(vars(model.module)) == attributes
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.thorough
@pytest.mark.parametrize("family", TARGETS)
def test_it_scores_as_peft_itself_does(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    edit = read_adapter(write_adapter(family, tmp_path / "adapter"))
    theirs = read_by_peft(tiny_model(family), tmp_path / "adapter")
    with edit.attached(model) as edited, torch.no_grad():
        ids = torch.tensor([[3, 70, 80, 90]])
        torch.testing.assert_close(logits(edited), theirs(input_ids=ids).logits)


@pytest.mark.thorough
def test_an_adapter_that_trained_biases_and_whole_modules_is_undone_too(tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    folder = write_adapter("gpt2", tmp_path / "a", bias="all", modules_to_save=["ln_f"])
    edit = read_adapter(folder)
    assert any(name.endswith("bias") for name in edit.tensors)
    before, modules = weights(model), [id(module) for module in model.module.modules()]
    with edit.attached(model) as edited:
        theirs = read_by_peft(tiny_model("gpt2"), folder)
        with torch.no_grad():
            expected = theirs(input_ids=torch.tensor([[3, 70, 80, 90]])).logits
        torch.testing.assert_close(logits(edited), expected)
    assert weights(model) == before
    assert [id(module) for module in model.module.modules()] == modules


@pytest.mark.thorough
def test_restored_when_the_body_raises(tmp_path: Path) -> None:
    model = tiny_model("llama")
    edit = read_adapter(write_adapter("llama", tmp_path / "adapter"))
    before = weights(model)
    with pytest.raises(ZeroDivisionError), edit.attached(model):
        logits(model).fill_(1 / 0)
    assert weights(model) == before


@pytest.mark.thorough
def test_saved_folder_is_an_edit_and_a_peft_adapter(tmp_path: Path) -> None:
    model = tiny_model("llama")
    edit = with_fingerprint(model, read_adapter(write_adapter("llama", tmp_path / "theirs")))
    edit.save(tmp_path / "ours")
    again = load_edit(tmp_path / "ours")
    assert isinstance(again, AdapterEdit)
    assert (again.info, again.content) == (edit.info, edit.content)
    theirs = read_by_peft(tiny_model("llama"), tmp_path / "ours")
    with again.attached(model) as edited, torch.no_grad():
        expected = theirs(input_ids=torch.tensor([[3, 70, 80, 90]])).logits
        torch.testing.assert_close(logits(edited), expected)
        assert edited.trained_on == {"ab"}


@pytest.mark.thorough
def test_a_fingerprint_refuses_another_base_and_restores_it(tmp_path: Path) -> None:
    model, other = tiny_model("llama", seed=0), tiny_model("llama", seed=1)
    edit = with_fingerprint(model, read_adapter(write_adapter("llama", tmp_path / "adapter")))
    before, modules = weights(other), [id(module) for module in other.module.modules()]
    with pytest.raises(ModelError, match=r"tiny-llama@0, got tiny-llama@1"), edit.attached(other):
        pytest.fail("attached to another base")
    assert weights(other) == before
    assert [id(module) for module in other.module.modules()] == modules


def test_adapted_weights_are_named() -> None:
    config: Mapping[str, JSON] = {"peft_type": "LORA", "target_modules": ["q_proj"], "r": 2}
    assert sits_on(tiny_model("llama"), config) == (
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.self_attn.q_proj.weight",
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (tiny_model("gpt2"), r"must fit tiny-gpt2@0, got: Target modules"),
        (tiny_model("llama", width=64), r"must have the shapes of tiny-llama@0, got: .*size"),
        (tiny_model("llama", blocks=3), r"must fit tiny-llama@0, but '.*layers\.2.* 3 more"),
        (tiny_model("llama", blocks=1), r"must fit tiny-llama@0, but '.*layers\.1.* 3 more"),
    ],
)
def test_an_adapter_of_another_base_is_refused(
    other: LanguageModel, message: str, tmp_path: Path
) -> None:
    edit = read_adapter(write_adapter("llama", tmp_path / "adapter"))
    before = weights(other)
    with pytest.raises(ModelError, match=message), edit.attached(other):
        pytest.fail("attached to another base")
    assert weights(other) == before


def test_a_second_adapter_is_refused(tmp_path: Path) -> None:
    model = tiny_model("llama")
    edit = read_adapter(write_adapter("llama", tmp_path / "adapter"))
    with (
        edit.attached(model) as once,
        pytest.raises(ModelError, match="must have no adapter"),
        edit.attached(once),
    ):
        pytest.fail("attached twice")


@pytest.mark.thorough
def test_weights_under_an_adapter_can_be_replaced(tmp_path: Path) -> None:
    model = tiny_model("llama")
    adapter = read_adapter(write_adapter("llama", tmp_path / "adapter"))
    name = "model.layers.0.self_attn.q_proj.weight"
    info = replace(INFO, base_fingerprint=fingerprint(model.module, [name]))
    change = WeightEdit(info=info, tensors={name: torch.zeros(32, 32)})
    before = weights(model)
    with change.attached(model) as once, adapter.attached(once) as twice:
        expected = logits(twice)
    with adapter.attached(model) as once, change.attached(once) as twice:
        assert torch.equal(logits(twice), expected)
    assert weights(model) == before


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    folder = write_adapter("llama", tmp_path / "adapter")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"pickled weights .* save_pretrained to convert"):
        read_adapter(folder)


def test_faults_in_an_adapter_folder_are_named(tmp_path: Path) -> None:
    folder = write_adapter("llama", tmp_path / "adapter")
    path = folder / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"adapter_model\.safetensors must be a safetensors file"):
        read_adapter(folder)
    path.unlink()
    with pytest.raises(
        StoreError, match=r"adapter_model\.safetensors must be a safetensors file, got: .*No such"
    ):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(StoreError, match="must name its peft_type"):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text('{"peft')
    with pytest.raises(StoreError, match=r"adapter_config\.json must be JSON"):
        read_adapter(folder)


@pytest.mark.thorough
def test_an_adapter_with_a_weight_too_many_is_refused(tmp_path: Path) -> None:
    folder = write_adapter("llama", tmp_path / "adapter")
    path = folder / "adapter_model.safetensors"
    save_file({**load_file(path), "base_model.model.more.lora_A.weight": torch.zeros(2)}, path)
    model = tiny_model("llama")
    with (
        pytest.raises(ModelError, match=r"'more\.lora_A\.weight' and 0 more names"),
        read_adapter(folder).attached(model),
    ):
        pytest.fail("attached")


@pytest.mark.thorough
def test_a_copy_of_the_base_s_embeddings_is_read_but_not_another_one(tmp_path: Path) -> None:
    config = peft.LoraConfig(r=2, target_modules=["embed_tokens"], init_lora_weights=False)
    with quiet(), torch.random.fork_rng():
        wrapped = peft.get_peft_model(tiny_model("llama").module, config)
    wrapped.save_pretrained(tmp_path / "a", save_embedding_layers=True)
    edit = read_adapter(tmp_path / "a")
    assert any("base_layer" in name for name in edit.tensors)
    model, other = tiny_model("llama"), tiny_model("llama", seed=1)
    scores = logits(model)
    with edit.attached(model) as edited:
        assert not torch.allclose(logits(edited), scores)
    assert torch.equal(logits(model), scores)
    with pytest.raises(ModelError, match=r"base_layer\.weight"), edit.attached(other):
        pytest.fail("attached to another base")


def test_a_kind_of_adapter_that_changes_no_module_is_refused() -> None:
    config: Mapping[str, JSON] = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "num_virtual_tokens": 2,
    }
    with pytest.raises(ModelError, match="PROMPT_TUNING does not: it puts learnt virtual tokens"):
        sits_on(tiny_model("llama"), config)


def test_configuration_is_kept_unchanged(tmp_path: Path) -> None:
    folder = write_adapter("llama", tmp_path / "adapter")
    edit = read_adapter(folder)
    assert dict(edit.config) == json.loads((folder / "adapter_config.json").read_text())
    assert edit.info.base == "tiny"


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_an_adapter_whose_start_changes_the_base_is_refused(start: str, tmp_path: Path) -> None:
    edit = read_adapter(write_adapter("llama", tmp_path / "adapter"))
    changing = replace(edit, config={**edit.config, "init_lora_weights": start})
    model = tiny_model("llama")
    before = weights(model)
    with pytest.raises(ModelError, match=f"init_lora_weights: '{start}'"), changing.attached(model):
        pytest.fail("attached, and the base was changed")
    assert weights(model) == before


KINDS: Mapping[str, Mapping[str, Any]] = {
    "VERA": {"r": 4},
    "VBLORA": {"num_vectors": 8, "vector_length": 8, "topk": 2},
    "RANDLORA": {"r": 4},
    "UNILORA": {"r": 4},
    "TINYLORA": {"r": 2},
    "LOHA": {"r": 4},
    "HRA": {"r": 4},
    "OFT": {"r": 0, "oft_block_size": 4},
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_other_than_lora_score_as_peft_has_them(kind: str, tmp_path: Path) -> None:
    if kind not in set(peft.PeftType):
        pytest.skip(f"this peft has no {kind}")
    config = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(kind)](
        task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], **KINDS[kind]
    )
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        wrapped = peft.get_peft_model(tiny_model("llama").module, config)
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
        wrapped.save_pretrained(tmp_path / "a")
        theirs = read_by_peft(tiny_model("llama"), tmp_path / "a")
    model = tiny_model("llama")
    plain, before, attributes = logits(model), weights(model), set(vars(model.module))
    with read_adapter(tmp_path / "a").attached(model) as edited, torch.no_grad():
        ids = torch.tensor([[3, 70, 80, 90]])
        torch.testing.assert_close(logits(edited), theirs(input_ids=ids).logits)
        assert not torch.allclose(logits(edited), plain, atol=1e-2)
    assert (weights(model), set(vars(model.module))) == (before, attributes)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("PREFIX_TUNING", "it puts learnt keys and values before each text"),
        ("P_TUNING", "it puts learnt virtual tokens before each text"),
        ("POLY", "it needs the number of a task"),
        ("ADAPTION_PROMPT", "it replaces attention"),
    ],
)
def test_kinds_that_are_no_change_of_weights_are_refused_with_the_reason(
    kind: str, reason: str
) -> None:
    config: Mapping[str, JSON] = {"peft_type": kind, "task_type": "CAUSAL_LM"}
    with pytest.raises(ModelError, match=rf"{kind} does not: {reason}.*; train a LoRA adapter"):
        sits_on(tiny_model("llama"), config)


def test_an_adapter_that_sets_in_behind_tokens_is_refused() -> None:
    config: Mapping[str, JSON] = {**CONFIG, "alora_invocation_tokens": [3, 70]}
    with pytest.raises(ModelError, match=r"\(\[3, 70\]\) does not: it sets in behind these tokens"):
        sits_on(tiny_model("llama"), config)


@pytest.mark.thorough
def test_repeated_blocks_are_undone_with_their_number(tmp_path: Path) -> None:
    config = peft.LoraConfig(
        target_modules=["q_proj"], layer_replication=[[0, 2], [1, 2]], init_lora_weights=False
    )
    with quiet(), torch.random.fork_rng():
        peft.get_peft_model(tiny_model("llama").module, config).save_pretrained(tmp_path / "a")
        theirs = read_by_peft(tiny_model("llama"), tmp_path / "a")
    model = tiny_model("llama")
    before, scores = model.module.config.to_dict(), logits(model)
    with read_adapter(tmp_path / "a").attached(model) as edited, torch.no_grad():
        ids = torch.tensor([[3, 70, 80, 90]])
        torch.testing.assert_close(logits(edited), theirs(input_ids=ids).logits)
    assert model.module.config.to_dict() == before
    assert torch.equal(logits(model), scores)


def test_the_revision_of_the_base_is_kept(tmp_path: Path) -> None:
    folder = write_adapter("llama", tmp_path / "a")
    file = folder / "adapter_config.json"
    stated = json.loads(file.read_text())
    for base, revision, expected in (
        ("some/base", "v2", "some/base@v2"),
        ("some/base", None, "some/base"),
        (str(tmp_path), "v2", str(tmp_path)),  # a folder has no revisions
    ):
        stated |= {"base_model_name_or_path": base, "revision": revision}
        file.write_text(json.dumps(stated))
        info = read_adapter(folder).info
        assert (info.base, info.base_name) == (base, expected)


def test_a_kind_of_a_newer_peft_is_named() -> None:
    with pytest.raises(ModelError, match=r"that peft \d.* knows, got 'SOMETHING_NEW'"):
        sits_on(tiny_model("llama"), {"peft_type": "SOMETHING_NEW"})
