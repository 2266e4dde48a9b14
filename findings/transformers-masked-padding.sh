#!/usr/bin/env bash
# Transformers: three masked models give other logits at real positions when a text is padded.
#
# Expected: a text padded to the length of a longer one, with an attention mask that leaves the
#   padding out, gives at its own positions the logits that it gives alone. BERT does.
# Happens: ConvBert, Nystromformer and Yoso take the mask without complaint, and yet their logits
#   at real positions change with the padding, and so do some of their most likely tokens. They
#   change, too, with which token the left-out positions hold, so that these are not left out. What
#   such a model says of a text depends on the batch that the text is in.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), transformers 5.24.0
# Seen: 2026-11-30
# Output seen:
#   Bert: largest logit 4.09; padding changes logits by 0.00 and 0 of 12 top tokens; another
#       left-out token by 0.00
#   ConvBert: largest logit 3.98; padding changes logits by 0.46 and 1 of 12 top tokens; another
#       left-out token by 0.51
#   Nystromformer: largest logit 4.02; padding changes logits by 3.07 and 6 of 12 top tokens;
#       another left-out token by 1.22
#   Yoso: largest logit 4.10; padding changes logits by 1.50 and 2 of 12 top tokens; another
#       left-out token by 1.90
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" transformers==5.24.0

export HF_HUB_OFFLINE=1
"$work/venv/bin/python" - <<'PY'
import torch
import transformers
from transformers import AutoModelForMaskedLM

SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
OTHER = {"ConvBert": {"embedding_size": 32}}
TEXT = torch.arange(5, 17).unsqueeze(0)
REAL = TEXT.shape[1]


def largest(difference):
    return difference.abs().max().item()


for family in ("Bert", "ConvBert", "Nystromformer", "Yoso"):
    config = getattr(transformers, f"{family}Config")(**SHAPE, **OTHER.get(family, {}))
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(config).eval()

    @torch.no_grad()
    def logits(filler, count):
        ids = torch.cat([TEXT, torch.full((1, count), filler)], 1)
        mask = (torch.arange(REAL + count) < REAL).long().unsqueeze(0)
        return model(ids, attention_mask=mask).logits[:, :REAL]

    padding = config.pad_token_id
    alone = logits(padding, 0)
    assert torch.equal(alone, logits(padding, 0))
    padded, filled = logits(padding, 12), logits(40, 12)
    tokens = (alone.argmax(-1) != padded.argmax(-1)).sum().item()
    print(
        f"{family}: largest logit {largest(alone):.2f}; padding changes logits by "
        f"{largest(padded - alone):.2f} and {tokens} of {REAL} top tokens; "
        f"another left-out token by {largest(filled - padded):.2f}"
    )
    if family == "Bert":
        assert largest(padded - alone) < 1e-4 and largest(filled - padded) < 1e-4
    else:
        assert largest(padded - alone) > 0.1 and largest(filled - padded) > 0.01 and tokens
PY
