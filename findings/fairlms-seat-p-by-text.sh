#!/usr/bin/env bash
# fairlms: the p-value of WEAT/SEAT takes the template copies of a word for independent units.
#
# Expected: with two targets whose words are drawn alike, p < 0.05 in about 5 % of tests.
# Happens: SEAT puts each word into 8 templates, and the 8 vectors of a word are nearly equal. The
#   permutation test deals the vectors, not the words, so that p < 0.05 in about a quarter of tests
#   where there is nothing. May et al. 2019 and bias-bench deal texts, too: fairlms is faithful to
#   them. A vector per word (the mean of its texts) gives 5 % with the same function.
#
# Versions: Python 3.11, torch 2.13.0 (CPU), fairlms 0.5.0
# Seen: 2026-11-30
# Output seen:
#   p < 0.05 without any difference, texts dealt: 0.255
#   p < 0.05 without any difference, words dealt: 0.040
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "torch==2.13.0" > "$work/constraints.txt"
"${pip[@]}" torch==2.13.0
"${pip[@]}" --constraint "$work/constraints.txt" fairlms==0.5.0

export HF_HUB_OFFLINE=1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
from fairlms.metrics.data import VectorSets
from fairlms.metrics.similarity_based import WEAT

RUNS, WORDS, TEMPLATES, WIDTH = 200, 8, 8, 16
generator = np.random.default_rng(0)
test = WEAT(n_samples=1_000, seed=0)
attributes = [generator.normal(size=(8, WIDTH)) for _ in range(2)]


def p_value(first, second):
    return test.compute(None, VectorSets(first, second, *attributes)).details["p_value"]


rejected = {"texts": 0, "words": 0}
for _ in range(RUNS):
    words = generator.normal(size=(2, WORDS, 1, WIDTH))
    texts = words + 0.5 * generator.normal(size=(2, WORDS, TEMPLATES, WIDTH))
    rejected["texts"] += p_value(*texts.reshape(2, -1, WIDTH)) < 0.05
    rejected["words"] += p_value(*texts.mean(2)) < 0.05
shares = {unit: count / RUNS for unit, count in rejected.items()}
for unit, share in shares.items():
    print(f"p < 0.05 without any difference, {unit} dealt: {share:.3f}")
assert shares["texts"] > 0.15
assert shares["words"] < 0.10
PY
