#!/usr/bin/env bash
# llama-cpp-python: echoed log-probabilities stand a place too far to the left without a BOS.
#
# Expected: of a completion with echo=True and logprobs=1, the log-probability of each token of the
#   prompt is that of the token given the tokens before it, whether or not the model puts a BOS
#   before a text.
# Happens: of a model that puts none (tokenizer.ggml.add_bos_token false, as SmolLM2's and Qwen's)
#   each token's value is read from the logits after the token itself. The list begins with the
#   logits of the first token, where those before the first token are meant; a BOS that is taken out
#   of the tokens alone makes up for it. Without a BOS the written token is also missing.
#   The same values come over HTTP from llama_cpp.server, /v1/completions.
#
# Versions: Python 3.11, llama-cpp-python 0.3.36 (built with cmake, some minutes), gguf 0.19.0,
#   numpy 2.4.6
# Seen: 2026-12-01
# Output seen:
#   BOS True: 12 tokens in, 12 listed; off by 0.00 from
#     the logits before each token, by 2.69 from those after it
#   BOS False: 11 tokens in, 11 listed; off by 5.44 from
#     the logits before each token, by 0.00 from those after it
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    llama-cpp-python==0.3.36 gguf==0.19.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import gguf
import numpy as np
from llama_cpp import Llama

LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]  # the last is a space in GPT-2's alphabet
TOKENS = ["<s>", "</s>", *LETTERS]
WIDTH, INNER, LENGTH, TEXT = 32, 64, 256, "the cat sat"


def write(file, *, bos):
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(LENGTH)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // 2)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(TOKENS)
    special, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([special, special, *[normal] * len(LETTERS)])
    writer.add_token_merges(["z z"])  # an empty list cannot be written
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(bos)
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output": (len(TOKENS), WIDTH)}
    shapes |= {f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{name}": (INNER, WIDTH) for name in ("gate", "up")}
    shapes |= {"blk.0.ffn_down": (WIDTH, INNER)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.3, shape).astype(np.float32))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def log_softmax(rows):
    rows = rows - rows.max(-1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(-1, keepdims=True))


for bos in (True, False):
    write(f"{bos}.gguf", bos=bos)
    model = Llama(f"{bos}.gguf", logits_all=True, n_ctx=LENGTH, verbose=False)
    answer = model.create_completion(TEXT, max_tokens=1, temperature=0.0, echo=True, logprobs=1)
    told = answer["choices"][0]["logprobs"]
    values = np.array(told["token_logprobs"][1 : len(TEXT)], dtype=float)
    ids = model.tokenize(TEXT.encode())
    model.reset()
    model.eval(ids)
    table = log_softmax(np.array(model.scores[: len(ids)]))
    first = len(ids) - len(TEXT) + 1  # of the tokens that can be compared
    places = range(first, len(ids))
    before = np.array([table[place - 1, ids[place]] for place in places])
    itself = np.array([table[place, ids[place]] for place in places])
    off = [float(np.abs(values - expected).max()) for expected in (before, itself)]
    print(f"BOS {bos}: {len(ids)} tokens in, {len(told['tokens'])} listed; off by {off[0]:.2f} from")
    print(f"  the logits before each token, by {off[1]:.2f} from those after it")
    right, wrong = off if bos else off[::-1]
    assert right < 0.01 < 0.5 < wrong
    assert len(told["tokens"]) == len(TEXT) + bos
PY
