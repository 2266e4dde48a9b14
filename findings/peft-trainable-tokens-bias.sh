#!/usr/bin/env bash
# PEFT: trainable tokens on an output layer leave out its bias until they are merged.
#
# Expected: an adapter that has just been made changes nothing: its rows begin as those of the base.
# Happens: where TrainableTokensConfig targets an output layer that has a bias (Phi, GPT-J), the
#   wrapped layer multiplies by the weight alone. Every logit, not only that of the named token,
#   differs by the bias; nothing is said. Merging gives the bias back, so that what was trained
#   without it is used with it. Without the output layer among the targets nothing changes.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0, peft 0.21.2
# Seen: 2026-11-30
# Output seen:
#   trainable tokens on embed_tokens: logits differ by 0.000, after merging by 0.000; from logits
#     without the bias by 1.957
#   trainable tokens on embed_tokens and lm_head: logits differ by 1.957, after merging by 0.000;
#     from logits without the bias by 0.000
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
import torch
from peft import TrainableTokensConfig, get_peft_model
from transformers import PhiConfig, PhiForCausalLM

IDS = torch.tensor([[1, 2, 5, 3, 7, 4]])


@torch.no_grad()
def change(modules, indices):
    torch.manual_seed(0)
    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            tie_word_embeddings=False,
        )
    ).eval()
    model.lm_head.bias.normal_()
    before = model(IDS).logits
    # a new adapter starts from the rows as they are: nothing has been trained
    adapted = get_peft_model(
        model, TrainableTokensConfig(target_modules=modules, token_indices=indices)
    ).eval()
    after = adapted(IDS).logits
    merged = adapted.merge_and_unload()(IDS).logits
    lost = (before - after - model.lm_head.bias).abs().max().item()
    return (before - after).abs().max().item(), lost, (before - merged).abs().max().item()


found = {}
for modules in (["embed_tokens"], ["embed_tokens", "lm_head"]):
    adapted, without_bias, merged = found[len(modules)] = change(modules, [9])
    print(
        f"trainable tokens on {' and '.join(modules)}: logits differ by {adapted:.3f}, "
        f"after merging by {merged:.3f}; from logits without the bias by {without_bias:.3f}"
    )

assert found[1][0] == 0 and found[1][2] == 0
assert found[2][0] > 0.1 and found[2][1] < 1e-5 and found[2][2] < 1e-5
PY
