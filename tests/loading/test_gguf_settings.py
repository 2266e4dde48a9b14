"""What a GGUF says beside its weights, taken over; needs no package but transformers."""

import pytest
from transformers import Gemma2Config, Gemma3TextConfig, Phi3Config, PreTrainedConfig

from equipoise.errors import ModelError
from equipoise.loading.gguf_settings import restore_config, restore_tokenizer
from equipoise.testing import tiny_tokenizer

_WIDE = Gemma3TextConfig(hidden_size=5376, num_attention_heads=32, head_dim=128)


def settings(architecture: str, **values: object) -> dict[str, object]:
    named = {f"{architecture}.{name.replace('__', '.')}": value for name, value in values.items()}
    return {"general.architecture": architecture, **named}


@pytest.mark.parametrize(
    ("config", "architecture", "blocks", "size"),
    [
        (_WIDE, "gemma3", 62, 168),
        (Gemma3TextConfig(hidden_size=640, num_attention_heads=4, head_dim=256), "gemma3", 18, 256),
        (Gemma2Config(hidden_size=4608, num_attention_heads=32, head_dim=128), "gemma2", 46, 144),
    ],
)
def test_attention_is_scaled_as_gemma_was_trained(
    config: PreTrainedConfig, architecture: str, blocks: int, size: int
) -> None:
    restore_config(config, settings(architecture, block_count=blocks), None)
    assert config.query_pre_attn_scalar == size


def test_what_a_class_leaves_at_its_default_is_set() -> None:
    config = Gemma2Config(head_dim=256)
    given = settings(
        "gemma2", block_count=26, attn_logit_softcapping=20.0, final_logit_softcapping=10.0
    )
    assert restore_config(config, given, None) == []
    assert (config.attn_logit_softcapping, config.final_logit_softcapping) == (20.0, 10.0)
    config = Phi3Config(hidden_size=3072, num_attention_heads=24)
    given = settings("phi3", rope__dimension_count=96, attention__sliding_window=300)
    restore_config(config, given, None)
    assert config.rope_parameters["partial_rotary_factor"] == 0.75
    assert config.sliding_window == 300


def test_what_nobody_reads_is_named() -> None:
    given = settings("phi3", unheard__of=1)
    assert restore_config(Phi3Config(), given, None) == ["unheard.of"]
    with pytest.raises(ModelError, match="logit_scale = 2"):
        restore_config(Phi3Config(), settings("phi3", logit_scale=2.0), None)


def test_words_of_llama_3_stand_before_merges_and_after_a_bos() -> None:
    tokenizer = tiny_tokenizer()
    given = settings("llama", context_length=77) | {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"
    }  # fmt: skip
    assert restore_tokenizer(tokenizer, given)
    assert tokenizer.backend_tokenizer.model.ignore_merges
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.model_max_length == 77


@pytest.mark.parametrize(
    ("name", "known"),
    [("gpt-2", True), ("smollm", True), ("gpt-4o", True), ("default", False), ("poro", False)],
)
def test_a_name_that_is_not_known_is_said(name: str, known: bool) -> None:
    given = settings("llama") | {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": name}
    assert restore_tokenizer(tiny_tokenizer(), given) is known
