#!/usr/bin/env bash
# PEFT: merging LoRA into tied embeddings adds the update of each of the two layers to both.
#
# Expected: a model returned by merge_and_unload() gives the logits that the model gave with its
#   adapter, or merging is refused where that cannot be. At least so with ensure_weight_tying=True,
#   which a warning of PEFT names where it is left out, and with which both layers share one update.
# Happens: input and output embeddings stay one table, and the table receives the update of
#   embed_tokens and that of lm_head. Where they are two updates, neither layer is as it was; with
#   ensure_weight_tying=True the one update is added twice. A warning while merging speaks of
#   complications and proposes to untie first; the merge goes through, and the result is another
#   model. An untied model merges exactly.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0, peft 0.21.2
# Seen: 2026-11-30
# Output seen:
#   tied=True, ensure_weight_tying=False
#     adapter changes logits by 0.601
#     merging changes them by   1.186 (warned: True)
#   tied=True, ensure_weight_tying=True
#     adapter changes logits by 0.968
#     merging changes them by   1.139 (warned: True)
#   tied=False, ensure_weight_tying=False
#     adapter changes logits by 0.715
#     merging changes them by   0.000 (warned: False)
#   both updates are in the one table; the untied model merges exactly
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" transformers==5.24.0 peft==0.21.2

export HF_HUB_OFFLINE=1
"$work/venv/bin/python" - <<'PY'
import warnings

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.arange(1, 17).unsqueeze(0)


def largest(difference):
    return difference.abs().max().item()


@torch.no_grad()
def merge(tied, shared):
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            tie_word_embeddings=tied,
        )
    ).eval()
    base = model(IDS).logits
    lora = LoraConfig(
        r=4,
        lora_alpha=4,
        target_modules=["embed_tokens", "lm_head"],
        ensure_weight_tying=shared,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = get_peft_model(model, lora).eval()
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
        given = adapted(IDS).logits
        table = model.model.embed_tokens.base_layer.weight.clone()
        update_in = model.model.embed_tokens.get_delta_weight("default").clone()
        update_out = model.lm_head.get_delta_weight("default").clone()
        caught.clear()
        merged = adapted.merge_and_unload()
    warned = any("can lead to complications" in str(item.message) for item in caught)
    after = merged.model.embed_tokens.weight
    error = largest(merged(IDS).logits - given)
    print(f"tied={tied}, ensure_weight_tying={shared}")
    print(f"  adapter changes logits by {largest(given - base):.3f}")
    print(f"  merging changes them by   {error:.3f} (warned: {warned})")
    return {
        "error": error,
        "one update": torch.equal(update_in, update_out) and largest(update_in) > 0.01,
        "both added": largest(after - table - update_in - update_out) < 1e-6,
        "one table": after.data_ptr() == merged.lm_head.weight.data_ptr(),
    }


separate, shared, untied = merge(True, False), merge(True, True), merge(False, False)
assert separate["one table"] and shared["one table"] and not untied["one table"]
assert separate["both added"] and not separate["one update"] and separate["error"] > 0.1
assert shared["both added"] and shared["one update"] and shared["error"] > 0.1
assert not untied["both added"] and untied["error"] < 1e-5
print("both updates are in the one table; the untied model merges exactly")
PY
