"""How fast the scoring engine is, beside a plain loop and beside the machine's own peak.

    EQUIPOISE_DATA=DIR python bench/scoring.py [--model gpt2] [--benchmark stereoset] [--quick]

Random weights, since only the time is of interest; the tokenizer is trained here on the sentences.
On a processor: one thread, processor seconds, so that other jobs on the machine do not count.
Everything that is compared is run in turn within each round, and medians over rounds are printed.

The plain loop is what published evaluation code does: one sentence at a time, in float32, with two
forward passes (the start token alone, then the sentence without it) and the full log-softmax.
It is run on an evenly spaced subsample and scaled by tokens. The engine computes the same numbers
(prefix policy "ref_gpt2"), on everything.
"Share of peak" is 2 x matrix parameters x predicted tokens / (seconds x peak): the work that the
plain loop has, so that work saved by sharing prefixes counts for the engine. The share for the
positions that were really computed is printed beside it.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.pytorch_utils import Conv1D

from equipoise.data.sources import data_folder
from equipoise.errors import DataError
from equipoise.models.language_model import LanguageModel
from equipoise.models.matmul import onednn_linear
from equipoise.records import Continuation, NextToken

Group = tuple[str, ...]  # sentences that are compared with each other

BENCHMARKS = ("crows_pairs", "stereoset")
NAMES = ("gpt2", "llama")
GIBI = 2**30
HARNESS_BATCH = 16


def sentences(benchmark: str) -> list[Group]:
    """The sentences of each item, from the official file."""
    folder = data_folder()
    if folder is None:
        raise DataError("EQUIPOISE_DATA must name the folder of benchmark files, it is not set")
    if benchmark == "crows_pairs":
        file = folder / "crows_pairs" / "crows_pairs_anonymized.csv"
        with file.open(encoding="utf-8", newline="") as lines:
            return [(row["sent_more"], row["sent_less"]) for row in csv.DictReader(lines)]
    document = json.loads((folder / "stereoset" / "dev.json").read_text(encoding="utf-8"))
    items = document["data"]["intrasentence"]
    return [tuple(one["sentence"] for one in item["sentences"]) for item in items]


def prompts() -> list[NextToken]:
    """GenBias's prompts: 262 professions in 9 templates."""
    from equipoise.benchmarks.genbias import GenBias

    benchmark = GenBias()
    examples = benchmark.examples("all")
    return [request for one in examples for request in benchmark.requests(one)]


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 7,800 tokens, trained on the sentences that are measured."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for name in BENCHMARKS for group in sentences(name) for text in group]
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )


def build(name: str, coder: PreTrainedTokenizerFast, device: str) -> LanguageModel:
    """Random weights in GPT-2 small's shape (124M) or a small Llama's (17M, 13.7M at work)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "gpt2":
            module = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0))
        else:
            config = LlamaConfig(
                hidden_size=384,
                intermediate_size=1024,
                num_hidden_layers=6,
                num_attention_heads=6,
                vocab_size=8_000,
                max_position_embeddings=512,
                bos_token_id=0,
                eos_token_id=0,
            )
            module = LlamaForCausalLM(config)
    return LanguageModel(
        module=module.eval().to(device), tokenizer=coder, identity=name, source={"name": name}
    )


def in_bfloat16(model: LanguageModel) -> LanguageModel:
    """A copy of the model with bfloat16 weights."""
    module = type(model.module)(model.module.config)
    module.load_state_dict(model.module.state_dict())
    module = module.to(model.module.device, torch.bfloat16).eval()
    return replace(model, module=module, identity=f"{model.identity}-bf16")


def matrix_parameters(module: nn.Module) -> int:
    """Weights that every token is multiplied with: all linear layers, the output layer included."""
    return sum(
        part.weight.numel() for part in module.modules() if isinstance(part, nn.Linear | Conv1D)
    )


# --- what is compared ---------------------------------------------------------------------------


@torch.inference_mode()
def plain_loop(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """Log-probability of each sentence, one at a time: the start token alone, then the sentence."""
    device, found = model.module.device, []
    start = torch.tensor([[model.tokenizer.bos_token_id]], device=device)
    for text in texts:
        ids = torch.tensor([model.tokenizer.encode(text, add_special_tokens=False)], device=device)
        first = model.module(start).logits.float().log_softmax(-1)[0, -1, ids[0, 0]]
        later = model.module(ids).logits.float().log_softmax(-1)[0, :-1]
        found.append(float(first) + float(later.gather(1, ids[0, 1:, None]).double().sum()))
    return found


def engine(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """The same numbers from the engine."""
    asked = [Continuation(context="", continuation=text, prefix="ref_gpt2") for text in texts]
    return [one.logprob for one in model.score(asked)]


def harness(model: LanguageModel) -> Callable[[Sequence[str]], list[float]] | None:
    """lm-evaluation-harness at batch 16 (its own estimand: the start token before the sentence)."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    judge = HFLM(
        pretrained=model.module,
        tokenizer=model.tokenizer,
        batch_size=HARNESS_BATCH,
        max_length=512,
        device=str(model.module.device),
    )

    def run(texts: Sequence[str]) -> list[float]:
        asked = [
            Instance("loglikelihood", {}, arguments=("", text), idx=at)
            for at, text in enumerate(texts)
        ]
        return [one[0] for one in judge.loglikelihood(asked, disable_tqdm=True)]

    return run


# --- measuring ----------------------------------------------------------------------------------


def seconds(job: Callable[[], object], device: str) -> float:
    """Processor seconds, or wall seconds on an accelerator."""
    if device == "cpu":
        begin = time.process_time()
        job()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    job()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def peaks(device: str) -> dict[str, float]:
    """Best matrix-product rates of this machine, in FLOP/s, by number format: 2048 cubed."""
    size, times = 2_048, 3
    x, y = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    half, other = x.bfloat16(), y.bfloat16()
    paths: dict[str, list[Callable[[], Tensor]]] = {
        "float32": [lambda: nn.functional.linear(x, y)],
        "bfloat16": [lambda: nn.functional.linear(half, other)],
    }
    if device == "cpu" and torch.backends.mkldnn.is_available():
        paths["float32"].append(lambda: onednn_linear(x, y))
    for jobs in paths.values():
        for job in jobs:
            job()  # warm
    return {
        name: 2 * size**3 / min(seconds(job, device) for job in jobs for _ in range(times))
        for name, jobs in paths.items()
    }


@dataclass
class Timing:
    """One variant: its seconds in every round, the tokens they are for, what it answered."""

    name: str
    job: Callable[[], list[float]]
    tokens: int  # predicted
    format: str = "float32"
    positions: int = 0  # computed by the model in one round
    values: list[float] = None  # type: ignore[assignment]  # of the last round
    taken: list[float] = None  # type: ignore[assignment]

    def run(self, model: LanguageModel, device: str) -> None:
        """One round, counting the positions that go into the model."""
        fed: list[int] = []

        def count(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            fed.append(ids.numel())

        handle = model.module.register_forward_pre_hook(count, with_kwargs=True)
        answer: list[list[float]] = []
        try:
            taken = seconds(lambda: answer.append(self.job()), device)
        finally:
            handle.remove()
        self.values, self.positions = answer[0], sum(fed)
        self.taken = [*(self.taken or []), taken]

    @property
    def per_token(self) -> float:
        """Seconds a predicted token, median over rounds."""
        return statistics.median(self.taken) / self.tokens


def compare(
    name: str, benchmark: str, models_: dict[str, LanguageModel], options: argparse.Namespace
) -> list[str]:
    """Rows of the table for one model and one benchmark."""
    model, half = models_["float32"], models_["bfloat16"]
    groups = sentences(benchmark)
    groups = groups[:: max(1, len(groups) // options.limit)] if options.limit else groups
    step = max(1, len(groups) // options.subsample)
    few = groups[::step][: options.subsample]
    texts, sample = flat(groups), flat(few)
    whole, part = tokens_in(model, texts), tokens_in(model, sample)
    timings = [
        (model, Timing("plain loop", lambda: plain_loop(model, sample), part)),
        (model, Timing("engine, float32", lambda: engine(model, texts), whole)),
        (half, Timing("engine, bfloat16", lambda: engine(half, texts), whole, "bfloat16")),
    ]
    other = harness(model)
    if other is not None:
        timings.append((model, Timing("lm-eval, batch 16", lambda: other(sample), part)))
    best = {"float32": [0.0], "bfloat16": [0.0]}
    for _ in range(options.rounds):
        for kind, rate in peaks(options.device).items():
            best[kind].append(rate)
        for which, one in timings:
            one.run(which, options.device)
    peak = {kind: statistics.median(rates[1:]) for kind, rates in best.items()}
    work = 2 * matrix_parameters(model.module)
    loop, full = timings[0][1], timings[1][1]
    places = {text: at for at, text in enumerate(texts)}
    rows = []
    for _, one in timings:
        share = work / (one.per_token * peak[one.format])
        fed = share * one.positions / one.tokens
        if one is loop:
            error, flips = "reference", ""
        elif one.name.startswith("engine, float32"):
            mine = [one.values[places[text]] for text in sample]
            error = f"{max(map(gap, mine, loop.values)):.1e}"
            flips = f"{flipped(few, mine, loop.values)}/{len(few)} of the loop's"
        elif one.name.startswith("engine"):
            error = f"{max(map(gap, one.values, full.values)):.1e}"
            flips = f"{flipped(groups, one.values, full.values)}/{len(groups)} of float32's"
        else:
            error, flips = "another estimand", ""
        rows.append(
            f"| {name} | {benchmark} | {one.name} | {one.tokens:,} | {one.positions:,} "
            f"| {statistics.median(one.taken):.2f} | {loop.per_token / one.per_token:.1f} "
            f"| {100 * share:.0f} | {100 * fed:.0f} | {peak[one.format] / 1e9:.0f} "
            f"| {error} | {flips} |"
        )
    return rows


def gap(one: float, other: float) -> float:
    return abs(one - other)


def flat(groups: Sequence[Group]) -> list[str]:
    return [text for group in groups for text in group]


def tokens_in(model: LanguageModel, texts: Sequence[str]) -> int:
    coded = model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return sum(map(len, coded))


def flipped(groups: Sequence[Group], one: Sequence[float], other: Sequence[float]) -> int:
    """Groups whose first two sentences are ordered otherwise."""
    count, at = 0, 0
    for group in groups:
        count += (one[at] > one[at + 1]) != (other[at] > other[at + 1])
        at += len(group)
    return count


def next_tokens(name: str, model: LanguageModel, options: argparse.Namespace) -> str:
    """One row: words after a prompt, against a loop that computes all logits of each prompt."""
    asked = prompts()
    asked = asked[:: max(1, len(asked) // options.limit)] if options.limit else asked
    few = asked[:: max(1, len(asked) // options.subsample)][: options.subsample]

    @torch.inference_mode()
    def loop() -> list[float]:
        found = []
        for one in few:
            ids = model.tokenizer.encode(one.context, add_special_tokens=False)
            fed = torch.tensor([[model.tokenizer.bos_token_id, *ids]], device=model.module.device)
            last = model.module(fed).logits.float().log_softmax(-1)[0, -1]
            found += [float(last[word]) for word in words_of(model, one) if word is not None]
        return found

    def ours() -> list[float]:
        return [value for one in model.next_token(asked) for value in one.logprobs]

    slow, fast = [], []
    for _ in range(options.rounds):
        slow.append(seconds(loop, options.device) / len(few))
        fast.append(seconds(ours, options.device) / len(asked))
    known = {
        one.context: answer for one, answer in zip(asked, model.next_token(asked), strict=True)
    }
    mine = [
        value
        for one in few
        for value, size in zip(known[one.context].logprobs, known[one.context].tokens, strict=True)
        if size == 1
    ]
    error = max(map(gap, mine, loop()))
    ratio = statistics.median(slow) / statistics.median(fast)
    return (
        f"| {name} | {len(asked):,} | {statistics.median(fast) * len(asked):.2f} "
        f"| {statistics.median(slow) * len(asked):.2f} | {ratio:.1f} | {error:.1e} |"
    )


def words_of(model: LanguageModel, one: NextToken) -> list[int | None]:
    """The words that are single tokens, which is what a loop over last positions can answer."""
    coded = [model.tokenizer.encode(word, add_special_tokens=False) for word in one.words]
    return [ids[0] if len(ids) == 1 else None for ids in coded]


# --- memory -------------------------------------------------------------------------------------


def resident() -> float:
    """Resident set of this process now, in GiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / GIBI


def most_resident() -> float:
    """Largest resident set of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIBI


def memory_of(name: str, benchmark: str, device: str) -> None:
    """Print (in a process of its own) the model's size and the peak over what stood before it."""
    coder = tokenizer()
    before = resident()
    model = build(name, coder, device)
    size = sum(one.numel() * one.element_size() for one in model.module.parameters()) / GIBI
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
    parser.add_argument("--rounds", type=int, default=3)
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
        "largest error, nats a sentence | preferences that flip |"
    )
    print("|" + "---|" * 12)
    following = []
    for name in names:
        model = build(name, coder, options.device)
        both = {"float32": model, "bfloat16": in_bfloat16(model)}
        for benchmark in benchmarks:
            print("\n".join(compare(name, benchmark, both, options)), flush=True)
        following.append(next_tokens(name, model, options))
    print(f"\n| model | prompts | engine, {unit} | loop, scaled | ratio | largest error |")
    print("|" + "---|" * 6)
    print("\n".join(following))
    print("\n| model | benchmark | weights, GiB | peak, GiB | over the weights |")
    print("|" + "---|" * 5)
    for name in names:
        print(memory_row(name, benchmarks[0], options.device), flush=True)


if __name__ == "__main__":
    main()
