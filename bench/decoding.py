"""What Self-Debias and CAFIE cost beside plain scoring of the same requests.

    EQUIPOISE_DATA=DIR python bench/decoding.py [--model llama] [--items 60] [--rounds 3]

Random weights, the tokenizer of bench/scoring.py, StereoSet's intrasentence items, three texts
each. On a processor: one thread, processor seconds. Plain and adjusted scoring alternate within
each round, medians over rounds are printed. The goal is at most 1.2 x (K + 1) of plain scoring.
CAFIE is timed on the items of which it touches all three texts; its K + 1 is the mean over texts of
the most contexts that a token of the text is read after.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from subjects import BENCHMARKS, NAMES, build, flat, sentences, tokenizer

from equipoise.decoding.mixture import Mean
from equipoise.edits.decoding import NextTokenEdit
from equipoise.errors import EquipoiseError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.cafie import Cafie
from equipoise.mitigate.self_debias import AllTypes, SelfDebias
from equipoise.models.decoding_rule import DecodingRule
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Continuation, Supply

METHODS: tuple[tuple[str, Mitigation], ...] = (
    ("self_debias, 1 type", SelfDebias(mode=AllTypes(types=("gender",)))),
    ("self_debias, 3 types", SelfDebias(mode=AllTypes(types=("gender", "race", "religion")))),
    ("self_debias, 9 types", SelfDebias()),
    ("cafie, gender", Cafie(axes=("gender",))),
    ("cafie, all axes", Cafie(mixture=Mean())),
)


def seconds(model: LanguageModel, requests: Sequence[Continuation]) -> float:
    """Processor seconds, or wall seconds on an accelerator."""
    on_cpu = model.module.device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    begin = clock()
    model.score(requests)
    return clock() - begin


def rows_of(model: LanguageModel, rule: DecodingRule, texts: Sequence[str]) -> list[int]:
    """Of each text the most contexts that a token is read after, its own included."""
    encoded = encode(model.tokenizer, [Marked(text, 0, 0) for text in texts], specials=False)
    return [
        max(1, *map(len, rule.contexts(model.tokenizer, tokens, range(len(tokens.ids)))))
        for tokens in encoded
    ]


def row(model: LanguageModel, name: str, method: Mitigation, options: argparse.Namespace) -> str:
    edit = method.fit(model, Supply(origin="none"), seed=0)
    assert isinstance(edit, NextTokenEdit)
    rule = edit.decoding_rule
    groups = [
        group for group in sentences(options.benchmark) if min(rows_of(model, rule, group)) > 1
    ]
    texts = flat(groups[:: max(1, len(groups) // options.items)][: options.items])
    requests = [Continuation(context="", continuation=text) for text in texts]
    adjusted = replace(model, decoding_rule=rule)
    for scorer in (model, adjusted):
        scorer.score(requests[:6])  # warm
    plain, changed = [], []
    for _ in range(options.rounds):
        plain.append(seconds(model, requests))
        changed.append(seconds(adjusted, requests))
    rows = statistics.mean(rows_of(model, rule, texts))
    base, ours = statistics.median(plain), statistics.median(changed)
    return (
        f"| {model.identity} | {name} | {len(texts)} | {base:.2f} | {ours:.2f} | {rows:.2f} "
        f"| {ours / base:.2f} | {ours / base / rows:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of decoding rules.")
    parser.add_argument("--model", choices=NAMES, help="one of the two only")
    parser.add_argument("--benchmark", choices=BENCHMARKS, default="stereoset")
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    coder = tokenizer()
    unit = "processor s" if options.device == "cpu" else f"s on {options.device}"
    print(
        f"| model | method | texts | plain, {unit} | adjusted | K + 1 | ratio | ratio / (K + 1) |"
    )
    print("|" + "---|" * 8)
    for name in [options.model] if options.model else NAMES:
        model = build(name, coder, options.device)
        for label, method in METHODS:
            print(row(model, label, method, options), flush=True)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
