#!/usr/bin/env bash
# dattri-llm: LESS gives the same training rows other scores at another batch size.
#
# Expected: a row's score is the cosine of a probe's gradient with the Adam step that the row alone
#   would cause (Xia et al. 2024). It does not depend on how many rows go through the model at
#   once; `per_device_train_batch_size` (8 by default) is described as the size of the batches in
#   which training examples are gone through.
# Happens: with the default loss (`model(**batch).loss`, a mean over the batch) what is captured of
#   a row is its share of that mean, 1/8 of its own gradient. A cosine of gradients would not mind;
#   Adam's step does, since it adds the gradient to the first moment and its square to the second.
#   The scores shrink towards those of the moments alone and their order changes; nothing is said.
#   At batch size 1, or with a loss that sums the rows' means, they are exact.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0, peft 0.21.2, dattri-llm 0.1.0
# Seen: 2026-11-30
# Output seen:
#   exact scores: from -0.178 to 0.065
#   default loss, batch size 1: largest gap 0.000, rank correlation 1.000
#   default loss, batch size 8 (the default): largest gap 0.070, rank correlation 0.891
#   sum of the rows' means, batch size 8: largest gap 0.000, rank correlation 1.000
#   the batch size is in the score, unless the loss is a sum over rows
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" \
  transformers==5.24.0 peft==0.21.2 accelerate==1.15.0 numpy==2.4.6 dattri-llm==0.1.0

export HF_HUB_OFFLINE=1
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import torch
from dattri_llm.attribution.algorithm.less import LESSAttributor
from dattri_llm.attribution.arguments import AttributionArguments
from dattri_llm.task import AttributionTask
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
base = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.2,
    )
)
lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
model = get_peft_model(base, lora).eval()
parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=1e-2)
ROWS, PROBES = torch.randint(1, 64, (32, 12)), torch.randint(1, 64, (4, 12))
for start in range(0, 32, 8):  # some steps, so that Adam has moments
    optimizer.zero_grad()
    model(input_ids=ROWS[start : start + 8], labels=ROWS[start : start + 8]).loss.backward()
    optimizer.step()
optimizer.zero_grad()


def gradient(row):
    loss = model(input_ids=row[None], labels=row[None]).loss
    parts = torch.autograd.grad(loss, parameters)
    return torch.cat([part.flatten() for part in parts]).double()


def exact():
    """The formula of the paper, a row at a time."""
    states = [optimizer.state[p] for p in parameters]
    m = torch.cat([state["exp_avg"].flatten() for state in states]).double()
    v = torch.cat([state["exp_avg_sq"].flatten() for state in states]).double()
    step = int(states[0]["step"]) + 1
    scores = []
    for row in ROWS:
        g = gradient(row)
        root = ((0.999 * v + 0.001 * g * g) / (1 - 0.999**step)).sqrt()
        feature = (0.9 * m + 0.1 * g) / (1 - 0.9**step) / (root + 1e-8)
        cosines = [torch.cosine_similarity(feature, probe, dim=0) for probe in probes]
        scores.append(torch.stack(cosines))
    return torch.stack(scores)


def sum_of_means(model, batch):
    logits = model(input_ids=batch["input_ids"]).logits[:, :-1].transpose(1, 2)
    losses = nn.functional.cross_entropy(logits, batch["labels"][:, 1:], reduction="none")
    return losses.mean(1).sum()


def less(batch, loss=None):
    arguments = AttributionArguments("out", use_cpu=True, per_device_train_batch_size=batch)
    data = [[{"input_ids": ids, "labels": ids} for ids in part] for part in (ROWS, PROBES)]
    attributor = LESSAttributor(
        arguments, task=AttributionTask(loss, model), optimizers=[optimizer]
    )
    return attributor.attribute(*data).scores.double()


def order(values):
    return values.flatten().argsort().argsort().double()


def show(name, scores):
    gap = (scores - truth).abs().max().item()
    ranks = torch.corrcoef(torch.stack([order(scores), order(truth)]))[0, 1].item()
    print(f"{name}: largest gap {gap:.3f}, rank correlation {ranks:.3f}")
    return gap, ranks


probes = [gradient(row) for row in PROBES]
truth = exact()
print(f"exact scores: from {truth.min():.3f} to {truth.max():.3f}")
alone, _ = show("default loss, batch size 1", less(1))
gap, ranks = show("default loss, batch size 8 (the default)", less(8))
summed, _ = show("sum of the rows' means, batch size 8", less(8, sum_of_means))
assert alone < 1e-4 and summed < 1e-4
assert gap > 0.05 and ranks < 0.99
print("the batch size is in the score, unless the loss is a sum over rows")
PY
