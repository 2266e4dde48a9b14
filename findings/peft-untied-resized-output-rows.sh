#!/usr/bin/env bash
# PEFT: an adapter on one embedding layer of a resized, untied model is saved without the other.
#
# Expected: save_pretrained notices that the vocabulary was resized and stores what the base model
#   lacks, so that base + resize + adapter gives the same logits when it is loaded again. So it is
#   where no embedding layer is targeted: both tables are stored.
# Happens: where only the input embeddings are targeted (LoRA, or TrainableTokensConfig), the input
#   table is stored and the output layer is not, not even with save_embedding_layers=True: the
#   logits of the added tokens are others after loading. LoRA on lm_head alone loses the input
#   table instead, and in a text with an added token the logits of the old ones change as well.
#   The only warning at saving says that embedding layers are saved; loading is silent.
#   LoRA with trainable_token_indices, and LoRA on both layers, are stored in full.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0, peft 0.21.2
# Seen: 2026-11-30
# Output seen (the largest change of a logit, of the 64 old and of the 8 added tokens):
#   LoRA elsewhere: old 0.000, added 0.000; stored: embed_tokens, lm_head
#     warned: Setting `save_embedding_layers` to `True` as the embedding layer has been resized
#         during finetuning.
#   LoRA elsewhere and token rows: old 0.000, added 0.000; stored: embed_tokens, lm_head
#     warned: Setting `save_embedding_layers` to `True` as the embedding layer has been resized
#         during finetuning.
#   LoRA on both: old 0.000, added 0.000; stored: embed_tokens, lm_head
#     warned: Setting `save_embedding_layers` to `True` as embedding layers found in
#         `target_modules`.
#   LoRA on the input: old 0.000, added 2.390; stored: embed_tokens
#     warned: Setting `save_embedding_layers` to `True` as embedding layers found in
#         `target_modules`.
#   LoRA on the input, save_embedding_layers=True: old 0.000, added 2.390; stored: embed_tokens
#   trainable tokens: old 0.000, added 2.562; stored: embed_tokens
#     warned: Setting `save_embedding_layers` to `True` as the embedding layer has been resized
#         during finetuning.
#   LoRA on the output: old 3.780, added 2.688; stored: lm_head
#     warned: Setting `save_embedding_layers` to `True` as embedding layers found in
#         `target_modules`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" transformers==5.24.0 peft==0.21.2

export HF_HUB_OFFLINE=1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import torch
from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
IDS = torch.tensor([[1, 2, 65, 3, 70, 4]])
ADDED = list(range(64, 72))

torch.manual_seed(0)
LlamaForCausalLM(
    LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        tie_word_embeddings=False,
        initializer_range=0.2,
    )
).save_pretrained("base")


def resized():
    model = LlamaForCausalLM.from_pretrained("base")
    model.resize_token_embeddings(72)
    return model


@torch.no_grad()
def again(name, config, save_embedding_layers="auto"):
    torch.manual_seed(1)
    model = resized()
    # the added tokens start from words that the model knows
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight[64:] = layer.weight[8:16]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = get_peft_model(model, config).eval()
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
        adapted.save_pretrained(name, save_embedding_layers=save_embedding_layers)
        loaded = PeftModel.from_pretrained(resized(), name).eval()
    said = [str(item.message) for item in caught if item.category is UserWarning]
    keys = [
        key
        for key, value in load_file(f"{name}/adapter_model.safetensors").items()
        if value.shape == (72, 32)
    ]
    change = (adapted(IDS).logits - loaded(IDS).logits).abs().amax((0, 1))
    old, new = change[:64].max().item(), change[64:].max().item()
    tables = [part for part in ("embed_tokens", "lm_head") if any(part in key for key in keys)]
    print(f"{name}: old {old:.3f}, added {new:.3f}; stored: {', '.join(tables)}")
    for message in said:
        print(f"  warned: {message}")
    return tables, old, new


both = ["embed_tokens", "lm_head"]
for name, config in {
    "LoRA elsewhere": LoraConfig(target_modules=["q_proj"]),
    "LoRA elsewhere and token rows": LoraConfig(
        target_modules=["q_proj"], trainable_token_indices=ADDED
    ),
    "LoRA on both": LoraConfig(target_modules=both),
}.items():
    assert again(name, config) == (both, 0, 0)

on_input = LoraConfig(target_modules=["embed_tokens"])
for name, config, save in (
    ("LoRA on the input", on_input, "auto"),
    ("LoRA on the input, save_embedding_layers=True", on_input, True),
    ("trainable tokens", TrainableTokensConfig(token_indices=ADDED), "auto"),
):
    tables, old, new = again(name, config, save)
    assert tables == ["embed_tokens"] and old == 0 and new > 0.1

tables, old, new = again("LoRA on the output", LoraConfig(target_modules=["lm_head"]))
assert tables == ["lm_head"] and old > 0.1 and new > 0.1
PY
