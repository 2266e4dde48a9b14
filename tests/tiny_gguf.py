"""Tiny models written as llama.cpp's converter writes them, with tokenizers of three kinds."""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import (
    GemmaTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from equipoise.testing import tiny_model

FAMILIES = ("llama", "qwen3", "gemma3")
TEXTS = (
    "The nurse said that she was 1234 years old in 2026.",
    "two  spaces  7 and 12\nlines,  1",
    "cafe\u0301 and café",  # the first e is followed by an accent of its own
    "<|im_start|>user\nHello",
)
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_PRE = {"llama": "smollm", "qwen3": "qwen2"}


def original(family: str, *, context: int = 128) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model with random weights, of widths for every quantization, and its tokenizer."""
    tokenizer = _gemma_tokenizer() if family == "gemma3" else _byte_tokenizer(family)
    # Gemma's sixth block is the first that looks back farther than a window
    blocks = 6 if family == "gemma3" else 2
    module = tiny_model(family, width=64, blocks=blocks, context=context).module
    with torch.random.fork_rng(devices=[]):
        module.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        torch.manual_seed(0)
        module.get_input_embeddings().weight.data.normal_(std=0.2)
    module.config.bos_token_id = tokenizer.bos_token_id
    module.config.eos_token_id = tokenizer.eos_token_id
    return module, tokenizer


def write_gguf(
    file: Path,
    module: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    quantization: str = "F32",
    settings: dict[str, object] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Path:
    """A model as a GGUF; `settings` and `tensors` are added to what the model has."""
    config = module.config
    architecture = "gemma3" if config.model_type == "gemma3_text" else config.model_type
    writer = gguf.GGUFWriter(file, architecture)
    share = "ALL" if quantization == "F32" else "MOSTLY"
    writer.add_file_type(gguf.LlamaFileType[f"{share}_{quantization}"])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if architecture == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    else:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer, config.model_type)
    for name, value in (settings or {}).items():
        kind = gguf.GGUFValueType.get_type(value)
        writer.add_key_value(f"{architecture}.{name}", value, kind)
    names = gguf.get_tensor_name_map(
        next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        config.num_hidden_layers,
    )
    for name, parameter in module.named_parameters():
        value = parameter.detach().float().numpy()
        if architecture == "llama" and "q_proj" in name:
            value = _interleave(value, config.num_attention_heads)
        if architecture == "llama" and "k_proj" in name:
            value = _interleave(value, config.num_key_value_heads)
        if architecture == "gemma3" and "norm" in name:
            value = value + 1
        stem, _, kind = name.rpartition(".")
        small = value.ndim == 1 or quantization == "F32"
        form = gguf.GGMLQuantizationType["F32" if small else quantization]
        writer.add_tensor(
            f"{names.get_name(stem)}.{kind}", gguf.quantize(value, form), raw_dtype=form
        )
    for name, value in (tensors or {}).items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def split_gguf(file: Path) -> list[Path]:
    """The same model in two shards, as llama.cpp splits it; the whole file is removed."""
    reader = gguf.GGUFReader(file)
    shards = []
    for number in range(2):
        shard = file.with_name(f"{file.stem}-{number + 1:05}-of-00002.gguf")
        writer = gguf.GGUFWriter(shard, reader.fields["general.architecture"].contents())
        fields = list(reader.fields.values()) if number == 0 else []
        for field in fields:
            if field.name.startswith("GGUF.") or field.name == "general.architecture":
                continue
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        for tensor in reader.tensors[number::2]:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        shards.append(shard)
    file.unlink()
    return shards


def _interleave(value: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbours, transformers the two halves of a head."""
    width = value.shape[0] // heads // 2
    return value.reshape(heads, 2, width, -1).swapaxes(1, 2).reshape(value.shape)


def _add_tokenizer(
    writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, family: str
) -> None:
    tokens = [tokenizer.convert_ids_to_tokens(number) for number in range(len(tokenizer))]
    special = set(tokenizer.all_special_tokens) | set(_SPECIALS)
    kinds = [
        gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens
    ]
    spelled = family == "gemma3_text"
    writer.add_tokenizer_model("llama" if spelled else "gpt2")
    writer.add_tokenizer_pre("default" if spelled else _PRE[family])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if spelled:
        writer.add_token_scores([-float(number) for number in range(len(tokens))])
        writer.add_add_space_prefix(False)
    else:
        core = tokenizer.backend_tokenizer
        writer.add_token_merges(
            [" ".join(pair) for pair in json.loads(core.to_str())["model"]["merges"]]
        )
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(spelled)
    writer.add_chat_template(TEMPLATE)


def _byte_tokenizer(family: str) -> PreTrainedTokenizerBase:
    core = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family == "llama")
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        [*TEXTS, "the nurse 12 said  7"],
        BpeTrainer(
            vocab_size=330,
            special_tokens=list(_SPECIALS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    # numbers are merged across digits above, which the original's own rules never do
    if family == "llama":
        digits = pre_tokenizers.Digits(individual_digits=True)
        core.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    else:
        core.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
        core.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )


def _gemma_tokenizer() -> PreTrainedTokenizerBase:
    letters = sorted({letter for text in TEXTS for letter in text if letter != " "})
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁▁", "12", "he", "▁s", "▁sa", "▁", *letters]
    merges = [("▁", "▁"), ("1", "2"), ("h", "e"), ("▁", "s"), ("▁s", "a")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return GemmaTokenizer(vocab=vocabulary, merges=merges)
