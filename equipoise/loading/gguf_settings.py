"""What a GGUF says of a model beside its weights, and transformers does not take over.

The names of pre-tokenizers are llama.cpp's (`src/llama-vocab.cpp`); what they mean was compared
with the tokenizer classes of transformers that have the same vocabulary (StarCoder's and SmolLM's
digits, Cohere's and Qwen's normal form). Attention is scaled as llama.cpp does it (`llama-model`).
"""

from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from equipoise.errors import ModelError

_LONG = 64  # arrays with more values are vocabularies
_SPLIT_DIGITS = {"smollm", "starcoder", "refact", "command-r"}
_NORMAL_FORM = {"qwen2", "qwen35", "deepseek-r1-qwen", "command-r"}  # NFC
_WHOLE_WORDS = {"llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "tekken"}  # and a BOS
_VERIFIED = {"gpt-2", *_SPLIT_DIGITS, *_NORMAL_FORM, *_WHOLE_WORDS}
#: Of a setting without its architecture: the attribute of a configuration.
_ATTRIBUTES = {
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "logit_scale": "logit_scale",
    "residual_scale": "residual_multiplier",
    "embedding_scale": "embedding_multiplier",
    "attention.scale": "attention_multiplier",
    "expert_weights_norm": "norm_topk_prob",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
_SHAPES = {"attention.key_length", "expert_feed_forward_length"}  # a wrong shape does not load
_HANDLED = {
    "attention.causal",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
}
_GEMMA_27B = {"gemma2": 46, "gemma3": 62}  # blocks

Settings = Mapping[str, Any]


def read(reader: Any) -> dict[str, Any]:
    """Every setting of a GGUF but the long arrays, by its name."""
    return {
        name: field.contents() for name, field in reader.fields.items() if len(field.data) <= _LONG
    }


def read_rope_factors(reader: Any) -> Tensor | None:
    """By how much each frequency of the rotation is divided; None: by nothing.

    Raises `ModelError` for factors that depend on a text's length.
    """
    for tensor in reader.tensors:
        if tensor.name.startswith("rope_factors_"):
            raise ModelError(
                f"the GGUF must turn positions alike in short and long texts, it has {tensor.name} "
                "(longrope), which transformers does not read; take the model's safetensors"
            )
        if tensor.name == "rope_freqs.weight":
            factors = torch.tensor(tensor.data, dtype=torch.float32).flatten()
            return None if bool((factors == 1).all()) else factors
    return None


def name_quantization(settings: Settings) -> str | None:
    """The file's quantization as llama.cpp calls it, "Q4_1" or "Q4_K_M"; None: it does not say."""
    from gguf import LlamaFileType

    try:
        name: str = LlamaFileType(settings["general.file_type"]).name
    except (KeyError, ValueError):
        return None
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")


def restore_config(
    config: PreTrainedConfig, settings: Settings, factors: Tensor | None
) -> list[str]:
    """Set what transformers leaves at the defaults of a class; gives what nobody reads.

    Raises `ModelError` for a setting that changes numbers and that the class does not have.
    """
    architecture = settings["general.architecture"]
    given = {
        name.removeprefix(f"{architecture}."): value
        for name, value in settings.items()
        if name.startswith(f"{architecture}.")
    }
    if given.get("attention.causal") is False:
        raise ModelError(
            f"the GGUF must be of a causal model, it is an encoder ({architecture}); "
            "take a language model"
        )
    read_anyway = {
        name
        for name, attribute in GGUF_CONFIG_MAPPING.get(architecture, {}).items()
        if attribute is not None
    }
    for name in sorted(given.keys() & _ATTRIBUTES.keys() - read_anyway):
        attribute, value = _ATTRIBUTES[name], given[name]
        harmless = name in _SHAPES or (
            name == "attention.sliding_window" and value >= given.get("context_length", 0)
        )
        if attribute in vars(config):
            setattr(config, attribute, value)
        elif not harmless:
            raise _refusal(f"{name} = {value}", type(config).__name__)
    _restore_rope(config, given, factors)
    if architecture in _GEMMA_27B:
        wide = given["block_count"] == _GEMMA_27B[architecture]
        size = config.hidden_size // config.num_attention_heads if wide else config.head_dim
        config.query_pre_attn_scalar = size
    known = read_anyway | _ATTRIBUTES.keys() | _HANDLED
    return sorted(given.keys() - known) if architecture in GGUF_CONFIG_MAPPING else []


def restore_tokenizer(tokenizer: PreTrainedTokenizerBase, settings: Settings) -> bool:
    """Cut texts as the original does, and know the model's limit.

    Returns whether the meaning of the pre-tokenizer's name is known here; if not, texts are cut as
    transformers takes it to be, for most names as GPT-2 does.
    """
    architecture = settings["general.architecture"]
    limit = settings.get(f"{architecture}.context_length")
    if limit is not None:
        tokenizer.model_max_length = int(limit)
    if settings.get("tokenizer.ggml.model") != "gpt2":
        return True  # SentencePiece: its vocabulary says all
    name, core = settings.get("tokenizer.ggml.pre", "default"), tokenizer.backend_tokenizer
    if name in _SPLIT_DIGITS:
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
            ]
        )
    if name in _NORMAL_FORM:
        core.normalizer = normalizers.NFC()
    if name in _WHOLE_WORDS:
        core.model.ignore_merges = True
        if "tokenizer.ggml.add_bos_token" not in settings and tokenizer.bos_token is not None:
            tokenizer.add_bos_token = True
    return name in _VERIFIED or name in GGUF_PRE_TOKENIZER_SPLITS


def check_rotation(module: PreTrainedModel, settings: Settings, factors: Tensor | None) -> None:
    """Raise `ModelError` unless the model turns positions as the GGUF says."""
    architecture = settings["general.architecture"]
    base = settings.get(f"{architecture}.rope.freq_base")
    scaling = settings.get(f"{architecture}.rope.scaling.type", "none")
    rotations = [
        (name.rpartition(".")[2], buffer)
        for name, buffer in module.named_buffers()
        if name.endswith("inv_freq") and "original" not in name and "sliding" not in name
    ]
    if base is None or scaling not in ("none", "linear"):
        return
    for name, frequencies in rotations:
        width = 2 * len(frequencies)
        width = settings.get(f"{architecture}.rope.dimension_count", width)
        expected = float(base) ** -(torch.arange(0, width, 2).float() / width)
        if factors is not None:
            expected = expected / factors
        if scaling == "linear":
            expected = expected / settings[f"{architecture}.rope.scaling.factor"]
        if frequencies.shape != expected.shape or not torch.allclose(
            frequencies.float(), expected, rtol=1e-3, atol=0
        ):
            raise _refusal(f"rotations other than those in {name}", type(module).__name__)


def _restore_rope(config: PreTrainedConfig, given: Settings, factors: Tensor | None) -> None:
    rope = vars(config).get("rope_parameters")
    if not isinstance(rope, dict):
        return
    # models with local and global attention have a rotation for each
    rope = rope.get("full_attention", rope)
    if "rope.freq_base" in given:
        rope["rope_theta"] = given["rope.freq_base"]
    size = vars(config).get("head_dim") or config.hidden_size // config.num_attention_heads
    share = given.get("rope.dimension_count", size) / size
    if share != 1 or "partial_rotary_factor" in rope:
        rope["partial_rotary_factor"] = share
    scaling = given.get("rope.scaling.type", "none")
    if factors is not None:  # Llama 3.1 and 3.2, whose other numbers are the same in all
        rope |= {
            "rope_type": "llama3",
            "factor": float(factors.max()),
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    elif scaling == "linear":
        rope |= {"rope_type": "linear", "factor": given["rope.scaling.factor"]}
    elif scaling != "none" and rope.get("rope_type") != scaling:
        raise _refusal(f"rope.scaling.type = {scaling}", type(config).__name__)


def _refusal(setting: str, kind: str) -> ModelError:
    return ModelError(
        f"the GGUF must say nothing that would be lost, it has {setting}, which transformers does "
        f"not read for {kind}; take the model's safetensors"
    )
