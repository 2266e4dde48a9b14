#!/usr/bin/env bash
# Transformers: what a Llama GGUF says of scaled rotary positions is dropped without a word.
#
# Expected: from_pretrained(..., gguf_file=...) takes over a file's rope scaling, which llama.cpp
#   reads from llama.rope.scaling.* (linear) or from a tensor rope_freqs.weight (Llama 3), or it
#   refuses or warns.
# Happens: the configuration has the default rotary positions, nothing is logged or warned of, the
#   loading info names no unexpected key, and the logits are far from those of the model that the
#   file was written from. With the rope parameters set by hand the same weights give them exactly.
#   A file of a model without scaling loads exactly.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0, gguf 0.19.0, numpy 2.4.6
# Seen: 2026-11-30
# Output seen:
#   default: the file states no scaling
#     loaded: {'rope_theta': 10000.0, 'rope_type': 'default'}, messages: []
#     largest logit 5.70, off by 0.00; set by hand: 0.00
#   linear: the file states llama.rope.scaling.type, llama.rope.scaling.factor
#     loaded: {'rope_theta': 10000.0, 'rope_type': 'default'}, messages: []
#     largest logit 6.75, off by 8.52; set by hand: 0.00
#   llama3: the file states rope_freqs.weight
#     loaded: {'rope_theta': 10000.0, 'rope_type': 'default'}, messages: []
#     largest logit 7.50, off by 8.82; set by hand: 0.00
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" \
    transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0 numpy==2.4.6

export HF_HUB_OFFLINE=1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import logging
import warnings

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging as transformers_logging

BLOCKS, HEADS, THETA, LENGTH = 2, 2, 10000.0, 128
SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": LENGTH,
    "initializer_range": 0.3,
}
ROPES = {
    "default": {"rope_type": "default", "rope_theta": THETA},
    "linear": {"rope_type": "linear", "rope_theta": THETA, "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": THETA,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
}
IDS = torch.arange(64).unsqueeze(0)
said = []


class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_warning()
logging.getLogger("transformers").addHandler(Keep())
warnings.simplefilter("always")
warnings.showwarning = lambda message, *rest: said.append(str(message))


def model_with(rope, weights=None):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=dict(ROPES[rope]))).eval()
    if weights is not None:
        model.load_state_dict(weights)
    return model


def write(file, model, rope):
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(LENGTH)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(THETA)
    writer.add_rope_dimension_count(config.head_dim)
    if rope == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(ROPES[rope]["factor"])
    if rope == "llama3":
        slowed = model_with("default").model.rotary_emb.inv_freq / model.model.rotary_emb.inv_freq
        writer.add_tensor("rope_freqs.weight", slowed.numpy())
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"word{number}" for number in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges([])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, BLOCKS)
    for key, value in model.state_dict().items():
        stem, kind = key.rsplit(".", 1)
        rows = value.numpy()
        if stem.endswith(("q_proj", "k_proj")):  # the halves of a head, interleaved
            rows = rows.reshape(HEADS, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
        writer.add_tensor(f"{names.get_name(stem)}.{kind}", np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def states(file):
    reader = gguf.GGUFReader(file)
    fields = [key for key in reader.fields if ".rope.scaling." in key]
    return fields + [tensor.name for tensor in reader.tensors if "rope" in tensor.name]


for rope in ROPES:
    original = model_with(rope)
    write(f"{rope}.gguf", original, rope)
    said.clear()
    loaded, info = AutoModelForCausalLM.from_pretrained(
        ".", gguf_file=f"{rope}.gguf", dtype=torch.float32, output_loading_info=True
    )
    by_hand = model_with(rope, loaded.state_dict())
    with torch.no_grad():
        given = original(IDS).logits
        error = (loaded(IDS).logits - given).abs().max().item()
        rest = (by_hand(IDS).logits - given).abs().max().item()
    stated = states(f"{rope}.gguf")
    print(f"{rope}: the file states {', '.join(stated) or 'no scaling'}")
    print(f"  loaded: {loaded.config.rope_parameters}, messages: {said}")
    print(f"  largest logit {given.abs().max():.2f}, off by {error:.2f}; set by hand: {rest:.2f}")
    assert not said and not any(info.values())
    assert loaded.config.rope_parameters == ROPES["default"]
    assert bool(stated) == (rope != "default")
    assert rest < 1e-4 and (error > 1 if stated else error < 1e-4)
PY
