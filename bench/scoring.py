"""How fast the scoring engine is, beside a plain loop and beside the machine's own peak.

    EQUIPOISE_DATA=DIR python bench/scoring.py [--model gpt2] [--benchmark stereoset] [--quick]

Random weights, since only the time is of interest; the tokenizer is trained here on the sentences.
On a processor: one thread, processor seconds, so that other jobs on the machine do not count.
The defaults take about ten minutes; --rounds 5 settles the second digit.
Everything that is compared is run in turn within each round, and medians over rounds are printed.

The plain loop is what published evaluation code does: one sentence at a time, in float32, with two
forward passes (the start token alone, then the sentence without it) and the full log-softmax.
It is run on an evenly spaced subsample and scaled by tokens. The engine computes the same numbers
(prefix policy "ref_gpt2"), on everything.
"Share of peak" is 2 x matrix parameters x predicted tokens / (seconds x peak): the work that the
plain loop has, so that work saved by sharing prefixes counts for the engine. The share for the
positions that were really computed is printed beside it. Gap and flips of the engine in float32 are
against the loop, in bfloat16 against the engine in float32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from machine import GIBI, most_resident, peaks, resident, seconds
from subjects import (
    BENCHMARKS,
    NAMES,
    Group,
    build,
    engine,
    flat,
    harness,
    in_bfloat16,
    matrix_parameters,
    plain_loop,
    prompts,
    sentences,
    tokenizer,
    tokens_in,
)
from torch import Tensor, nn

from equipoise.errors import EquipoiseError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import NextToken

Item = TypeVar("Item")

# --- measuring ----------------------------------------------------------------------------------


@dataclass
class Timing:
    """One way to score: its seconds in every round, and what it answered in the last."""

    name: str
    model: LanguageModel
    score: Callable[[LanguageModel, Sequence[str]], list[float]]
    groups: Sequence[Group]
    format: str = "float32"
    positions: int = 0  # computed by the model in one round
    values: dict[str, float] = field(default_factory=dict)  # of each sentence
    taken: list[float] = field(default_factory=list)

    def run(self, device: str) -> None:
        """One round, counting the positions that go into the model."""
        texts, fed, answer = flat(self.groups), [], []

        def count(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            fed.append((kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel())

        handle = self.model.module.register_forward_pre_hook(count, with_kwargs=True)
        self.taken.append(seconds(lambda: answer.extend(self.score(self.model, texts)), device))
        handle.remove()
        self.values, self.positions = dict(zip(texts, answer, strict=True)), sum(fed)

    @property
    def tokens(self) -> int:
        """Predicted tokens: those of the sentences."""
        return tokens_in(self.model, flat(self.groups))

    @property
    def per_token(self) -> float:
        """Seconds a predicted token, median over rounds."""
        return statistics.median(self.taken) / self.tokens

    def against(self, other: "Timing") -> tuple[str, str]:
        """(largest difference of a sentence, groups whose first two change order), shared ones."""
        few = min(self.groups, other.groups, key=len)
        gaps = [abs(self.values[text] - other.values[text]) for text in flat(few)]
        flips = sum(self.prefers_first(one) != other.prefers_first(one) for one in few)
        return f"{max(gaps):.1e}", f"{flips} of {len(few):,}"

    def prefers_first(self, group: Group) -> bool:
        """Whether the first sentence of a group is likelier than the second."""
        return self.values[group[0]] > self.values[group[1]]


def timings(model: LanguageModel, benchmark: str, options: argparse.Namespace) -> list[Timing]:
    """What is compared: the plain loop first, the engine in float32 second."""
    groups = spaced(sentences(benchmark), options.limit)
    few = spaced(groups, options.subsample)
    ways = [
        Timing("plain loop, float32", model, plain_loop, few),
        Timing("engine, float32", model, engine, groups),
        Timing("engine, bfloat16", in_bfloat16(model), engine, groups, "bfloat16"),
    ]
    other = harness(model)
    return ways if other is None else [*ways, Timing("lm-eval, batch 16", model, other, few)]


def spaced(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    """At most so many items, evenly spaced."""
    return items if most is None else items[:: max(1, len(items) // most)][:most]


def compare(model: LanguageModel, benchmark: str, options: argparse.Namespace) -> list[str]:
    """Rows of the table for one model and one benchmark."""
    ways = timings(model, benchmark, options)
    rates: list[dict[str, float]] = []
    for _ in range(options.rounds):
        rates.append(peaks(options.device))
        for way in ways:
            way.run(options.device)
    work = 2 * matrix_parameters(model.module)
    loop, full = ways[:2]
    rows = []
    for one in ways:
        peak = statistics.median(rate[one.format] for rate in rates)
        share = work / (one.per_token * peak)
        error, flips = ("", "")
        if one.score is engine:
            error, flips = one.against(loop if one is full else full)
        rows.append(
            f"| {model.identity} | {benchmark} | {one.name} | {one.tokens:,} | {one.positions:,} "
            f"| {statistics.median(one.taken):.2f} | {loop.per_token / one.per_token:.1f} "
            f"| {100 * share:.0f} | {100 * share * one.positions / one.tokens:.0f} "
            f"| {peak / 1e9:.0f} | {error} | {flips} |"
        )
    return rows


def next_tokens(model: LanguageModel, options: argparse.Namespace) -> str:
    """One row: words after a prompt, against a loop that computes all logits of each prompt."""
    asked = spaced(prompts(), options.limit)
    few = spaced(asked, options.subsample)
    slow, fast, values, plain = [], [], {}, []
    for _ in range(options.rounds):
        plain.clear()
        slow.append(seconds(lambda: plain.extend(last_logits(model, few)), options.device))
        fast.append(
            seconds(
                lambda: values.update(zip(asked, model.next_token(asked), strict=True)),
                options.device,
            )
        )
    error = max(
        abs(value - expected)
        for one, expectations in zip(few, plain, strict=True)
        for value, expected in zip(values[one].logprobs, expectations, strict=True)
        if expected is not None
    )
    scaled = statistics.median(slow) * len(asked) / len(few)
    ours = statistics.median(fast)
    return (
        f"| {model.identity} | {len(asked):,} | {ours:.2f} | {scaled:.2f} | {scaled / ours:.1f} "
        f"| {error:.1e} |"
    )


@torch.inference_mode()
def last_logits(model: LanguageModel, asked: Sequence[NextToken]) -> list[list[float | None]]:
    """Log-probabilities of words of one token; None for longer ones, which need more than this."""
    found = []
    for one in asked:
        ids = model.tokenizer.encode(one.context, add_special_tokens=False)
        fed = torch.tensor([[model.tokenizer.bos_token_id, *ids]], device=model.module.device)
        last = model.module(fed).logits.float().log_softmax(-1)[0, -1]
        words = [model.tokenizer.encode(word, add_special_tokens=False) for word in one.words]
        found.append([float(last[ids[0]]) if len(ids) == 1 else None for ids in words])
    return found


# --- memory -------------------------------------------------------------------------------------


def memory_of(name: str, benchmark: str, device: str) -> None:
    """Print (in a process of its own) the model's size and the peak over what stood before it."""
    coder = tokenizer()
    before = resident()
    model = build(name, coder, device)
    size = (
        sum(parameter.numel() * parameter.element_size() for parameter in model.module.parameters())
        / GIBI
    )
    longest = sorted(sentences(benchmark), key=lambda group: -sum(map(len, group)))[:300]
    engine(model, flat(longest))
    peak = most_resident() - before if device == "cpu" else torch.cuda.max_memory_allocated() / GIBI
    print(json.dumps({"model": size, "peak": peak}))


def memory_row(name: str, benchmark: str, device: str) -> str:
    command = [sys.executable, __file__, "--memory-of", name, "--benchmark", benchmark]
    ran = subprocess.run([*command, "--device", device], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    over = found["peak"] - found["model"]
    return f"| {name} | {benchmark} | {found['model']:.2f} | {found['peak']:.2f} | {over:.2f} |"


# --- the command --------------------------------------------------------------------------------


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of the scoring engine.")
    parser.add_argument("--model", choices=NAMES, help="one of the two only")
    parser.add_argument("--benchmark", choices=BENCHMARKS, help="one of the two only")
    parser.add_argument("--subsample", type=int, default=24, help="items for the plain loop")
    parser.add_argument("--limit", type=int, help="items for the engine; all when left out")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="the Llama, 200 items, 2 rounds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory-of", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.model = options.model or "llama"
        options.limit, options.rounds, options.subsample = 200, 2, 12
    return options


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    if options.memory_of:
        memory_of(options.memory_of, options.benchmark, options.device)
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    coder = tokenizer()
    names = [options.model] if options.model else list(NAMES)
    benchmarks = [options.benchmark] if options.benchmark else list(BENCHMARKS)
    unit = "processor s, 1 thread" if options.device == "cpu" else f"s on {options.device}"
    print(
        f"Medians of {options.rounds} rounds; vocabulary {len(coder):,}; torch {torch.__version__}"
    )
    print(
        f"\n| model | benchmark | how | tokens predicted | positions computed | {unit} | "
        "x plain loop | % of peak, loop's work | % of peak, computed | peak GFLOP/s | "
        "largest gap, nats a sentence | preferences that flip |"
    )
    print("|" + "---|" * 12)
    following = []
    for name in names:
        model = build(name, coder, options.device)
        for benchmark in benchmarks:
            print("\n".join(compare(model, benchmark, options)), flush=True)
        following.append(next_tokens(model, options))
    print(f"\n| model | prompts | engine, {unit} | loop, scaled | ratio | largest error |")
    print("|" + "---|" * 6)
    print("\n".join(following))
    print("\n| model | benchmark | weights, GiB | peak, GiB | over the weights |")
    print("|" + "---|" * 5)
    for name in names:
        print(memory_row(name, benchmarks[0], options.device), flush=True)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
