"""Of a model for pictures and text the language model is measured, and edited."""

import json
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
import transformers
from tiny_adapters import quiet
from transformers import PreTrainedConfig, PreTrainedModel

from equipoise.api import measure
from equipoise.benchmarks.genbias import GenBias
from equipoise.errors import ModelError
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.models import anatomy
from equipoise.testing import tiny_tokenizer
from equipoise.training.lora import lora_config, lora_in_training

_TEXT = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
# as many blocks in the tower as in the language model
_EYE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
_QWEN_EYE = {
    "depth": 2,
    "hidden_size": 16,
    "out_hidden_size": 32,
    "num_heads": 2,
    "intermediate_size": 32,
}
_ROTATION = {"rope_type": "default", "mrope_section": [2, 1, 1]}
_CLIP = {**_EYE, "model_type": "clip_vision_model", "projection_dim": 16}
_SIGLIP = {**_EYE, "model_type": "siglip_vision_model"}
_PATCHES = {**_EYE, "model_type": "internvl_vision", "image_size": [28, 28], "patch_size": [14, 14]}


def text(kind: str | None = None, **other: object) -> dict[str, object]:
    return {**_TEXT, **({"model_type": kind} if kind else {}), **other}


#: A class without "ForConditionalGeneration" and "Config", to the parts of its configuration.
FAMILIES: dict[str, dict[str, object]] = {
    "Mistral3": {
        "text_config": text("mistral", head_dim=8),
        "vision_config": {**_EYE, "model_type": "pixtral", "head_dim": 8},
    },
    "Qwen2VL": {
        "text_config": text(rope_scaling=_ROTATION),
        "vision_config": {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2},
    },
    "Qwen2_5_VL": {
        "text_config": text(rope_scaling=_ROTATION),
        "vision_config": {**_QWEN_EYE, "fullatt_block_indexes": [1]},
    },
    "Qwen3VL": {
        "text_config": text(rope_scaling=_ROTATION, head_dim=8),
        "vision_config": {**_QWEN_EYE, "deepstack_visual_indexes": [0]},
    },
    "SmolVLM": {"text_config": text("llama"), "vision_config": _EYE, "scale_factor": 2},
    "Idefics3": {"text_config": text("llama"), "vision_config": _EYE, "scale_factor": 2},
    "Llava": {"text_config": text("llama"), "vision_config": _CLIP},
    "LlavaNext": {
        "text_config": text("mistral"),
        "vision_config": _CLIP,
        "image_grid_pinpoints": [[28, 28]],
    },
    "LlavaOnevision": {
        "text_config": text("qwen2"),
        "vision_config": _SIGLIP,
        "image_grid_pinpoints": [[28, 28]],
    },
    "InternVL": {"text_config": text("qwen2"), "vision_config": _PATCHES},
    "AyaVision": {"text_config": text("cohere2", head_dim=8), "vision_config": _SIGLIP},
    "PaliGemma": {
        "text_config": text("gemma2", head_dim=8),
        "vision_config": _SIGLIP,
        "projection_dim": 32,
    },
    "Gemma3": {
        "text_config": text("gemma3_text", head_dim=8),
        "vision_config": _SIGLIP,
        "mm_tokens_per_image": 4,
    },
}


def saved(folder: Path, family: str) -> PreTrainedModel:
    config: PreTrainedConfig = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    build: Callable[..., PreTrainedModel] = getattr(
        transformers, f"{family}ForConditionalGeneration"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(config).eval()
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(std=0.2)
    module.save_pretrained(folder)
    tiny_tokenizer(context=128).save_pretrained(folder)
    return module


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_model_is_measured(family: str, tmp_path: Path) -> None:
    whole = saved(tmp_path, family)
    model = load(str(tmp_path))
    ids = torch.arange(12)[None] + 5
    with torch.inference_mode():
        expected = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        assert torch.allclose(model.module(input_ids=ids).logits, expected, atol=1e-5)
    assert type(model.module) is type(whole)
    assert model.context_length == 128
    assert str(model.info["part"]).startswith("language model (")
    blocks = model.module.get_submodule(anatomy.anatomy(model.module).blocks)
    assert blocks is anatomy.blocks(model.module)
    assert anatomy.embeddings(model.module).weight.shape == (259, 32)
    assert anatomy.mlp_output(model.module, 1) in set(blocks.modules())
    result = measure(model, GenBias(), limit=2, data="planted:default")
    assert all(outcome.values for outcome in result.outcomes)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["Mistral3", "Llava", "LlavaOnevision"])
@pytest.mark.parametrize("targets", [("auto",), ("all-linear",), ("q_proj", "v_proj")])
def test_lora_sits_in_the_language_model(
    family: str, targets: tuple[str, ...], tmp_path: Path
) -> None:
    saved(tmp_path, family)
    model = load(str(tmp_path))
    config = lora_config(model.module, rank=2, alpha=4, dropout=0, targets=targets)
    path = anatomy.anatomy(model.module).blocks
    with lora_in_training(model, config, seed=0) as parameters:
        assert parameters
        assert all(name.startswith(f"{path}.") for name in parameters)


@pytest.mark.thorough
def test_a_template_of_the_processor_is_the_tokenizers(tmp_path: Path) -> None:
    saved(tmp_path, "Llava")
    template = "{{ messages[0]['content'] }}"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load(str(tmp_path)).tokenizer.chat_template == template


@pytest.mark.thorough
def test_what_was_trained_to_read_both_ways_is_noted(tmp_path: Path) -> None:
    saved(tmp_path, "PaliGemma")
    assert "both ways" in str(load(str(tmp_path)).info["part"])


@pytest.mark.thorough
def test_an_adapter_is_merged_into_the_whole_class(tmp_path: Path) -> None:
    whole = saved(tmp_path / "base", "Llava")
    config = peft.LoraConfig(target_modules=r".*language_model.*q_proj", init_lora_weights=False)
    with quiet(), torch.random.fork_rng():
        peft.get_peft_model(whole, config).save_pretrained(tmp_path / "a")
    edited = load(str(tmp_path / "a"), base=str(tmp_path / "base"))
    merge(edited, tmp_path / "m")
    ids = torch.arange(12)[None] + 5
    with torch.inference_mode():
        expected = edited.module(input_ids=ids).logits
        got = load(str(tmp_path / "m")).module(input_ids=ids).logits
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_a_model_that_only_describes_pictures_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "Llava")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"architectures": ["LlavaForSequenceClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="predicts no words"):
        load(str(tmp_path))
