"""What a model of 8B parameters does on one accelerator, in 8 minutes: speed, memory, copies.

    EQUIPOISE_DATA=DIR python bench/gpu.py [--seconds 480]       # one accelerator
    EQUIPOISE_DATA=DIR python bench/gpu.py --size tiny           # the same code, on a processor

A Llama of random weights in bfloat16, in the shape of Llama 3.1 8B. Each part prints a table as it
ends, so that a run that is stopped keeps what it has. A part has a share of the time; one that
overruns it is cut, and says so. Of every job:
- s: the fewest wall seconds of two runs behind a warm-up (on a processor: processor seconds);
- TFLOP: operations of products and attention, as torch counts them, padding included;
- % of peak: of the rate of square products, measured in the same run;
- GiB over the weights: the most that was held beside what was held before;
- to the processor, to the device, waits, numbers read: copies, and moments at which the processor
  waited for the device, of the whole job, counted by torch's profiler. In a loop that never waits
  the first is 1 (the answers, at the end) or, of writing, the number of tokens.
- x plain loop: how many times longer the loop takes that is usually written: a text at a time,
  all logits; run on a few, scaled by their number.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import attribution
import contrasts
import generation
import influence
import torch
import training
from gpu_measuring import (
    COLUMNS,
    Job,
    Measured,
    Overrun,
    count_copies,
    count_flop,
    forget_held,
    limited,
    measure_job,
    peak_held,
)
from machine import peaks, seconds
from subjects import tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from equipoise.attribution.logit_attribution import HeadAttributor
from equipoise.benchmarks.base import AnyBenchmark
from equipoise.benchmarks.bbq import BBQ, Letters
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.errors import EquipoiseError
from equipoise.inference.forward import layout_of
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.lm_head import output_layer
from equipoise.inference.scorer import Request, answer
from equipoise.influence.text_scores import ScoreSettings, text_scores
from equipoise.models.kernels import matmul_path
from equipoise.records import Continuation, Generation, NextToken, TextPair
from equipoise.training.chunked_head import token_logprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A shape of model, and how much of each job is run."""

    hidden: int
    blocks: int
    heads: int
    vocabulary: int
    square: int  # side of the products whose rate is the peak
    items: int  # of a benchmark, at most
    few: int  # of them, by the plain loop
    prompts: int  # that are continued
    tokens: int  # written after each
    rows: int  # attributed by influence
    places: int  # of the output layer


SIZES = {
    "8b": Size(
        hidden=4_096, blocks=32, heads=32, vocabulary=128_256, square=8_192, items=3_000, few=24,
        prompts=192, tokens=64, rows=256, places=4_096,
    ),
    "tiny": Size(
        hidden=64, blocks=2, heads=4, vocabulary=8_000, square=256, items=8, few=2,
        prompts=4, tokens=4, rows=8, places=64,
    ),
}  # fmt: skip


@dataclass
class Bench:
    """What all parts share."""

    size: Size
    device: str
    model: LanguageModel
    peak: float  # FLOP/s in bfloat16

    def measure(self, job: Job) -> Measured:
        """Warmed up, then measured."""
        job()
        return measure_job(self.model.module, job, device=self.device)

    def row(self, name: str, items: int, measured: Measured, plain: float) -> str:
        """`plain`: seconds of the plain loop for as many items."""
        cells = measured.cells(self.peak)
        return f"| {name} | {items:,} | {cells} | {plain / measured.seconds:.1f} |"


def build(size: Size, device: str) -> LanguageModel:
    """Random weights, made where they stay."""
    config = LlamaConfig(
        hidden_size=size.hidden, intermediate_size=size.hidden * 7 // 2,
        num_hidden_layers=size.blocks, num_attention_heads=size.heads,
        num_key_value_heads=max(1, size.heads // 4), vocab_size=size.vocabulary,
        max_position_embeddings=8_192, rope_theta=500_000.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())), torch.device(device):
            torch.manual_seed(0)
            module = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    return LanguageModel(module=module, tokenizer=tokenizer(), identity="random-llama")


def spaced(items: Sequence[Request], most: int) -> list[Request]:
    """At most so many, evenly spaced."""
    return list(items[:: max(1, len(items) // most)][:most])


# --- scoring and writing --------------------------------------------------------------------------


def requests_of(benchmark: AnyBenchmark, most: int) -> list[Request]:
    """The requests of the first items, which share contexts as they do in the benchmark."""
    examples = benchmark.examples(benchmark.splits[0])[:most]
    return [request for example in examples for request in benchmark.requests(example)]


@torch.inference_mode()
def plain_scores(model: LanguageModel, requests: Sequence[Request]) -> list[float]:
    """Log-probability of every text that is asked about: a forward pass each, all its logits."""
    values = []
    for request in requests:
        for context, text in texts_of(request):
            before = model.tokenizer.encode(context, add_special_tokens=False)
            ids = model.tokenizer.encode(context + text, add_special_tokens=False)
            fed = torch.tensor([[0, *ids]], device=model.module.device)
            logprobs = model.module(fed).logits[0, :-1].float().log_softmax(-1)
            scored = logprobs.gather(1, fed[0, 1:, None])[len(before) :]
            values.append(float(scored.sum()))
    return values


def texts_of(request: Request) -> list[tuple[str, str]]:
    """Context and text of all that a request asks about."""
    if isinstance(request, NextToken):
        return [(request.context, word) for word in request.words]
    if isinstance(request, TextPair):
        return [("", request.first), ("", request.second)]
    assert isinstance(request, Continuation)
    return [(request.context, request.continuation)]


def score_part(benchmark: Callable[[], AnyBenchmark]) -> Callable[[Bench], Iterator[str]]:
    def run(bench: Bench) -> Iterator[str]:
        requests = requests_of(benchmark(), bench.size.items)
        few = spaced(requests, bench.size.few)
        measured = bench.measure(lambda: answer(bench.model, requests, seed=0))
        plain = seconds(lambda: plain_scores(bench.model, few), bench.device)
        kind = type(requests[0]).__name__
        yield bench.row(kind, len(requests), measured, plain * len(requests) / len(few))

    return run


def write_part(bench: Bench) -> Iterator[str]:
    size, model = bench.size, bench.model
    greedy = [
        Generation(context=text, max_tokens=size.tokens)
        for text in generation.prompts(size.prompts)
    ]
    samples = [
        replace(request, temperature=1.0, top_p=0.9, sample=sample)
        for request in greedy[::5]
        for sample in range(5)
    ]
    for name, requests in (("greedy", greedy), ("five samples a prompt", samples)):
        measured = bench.measure(lambda asked=requests: answer(model, asked, seed=0))  # type: ignore[misc]
        few = requests[:: max(1, len(requests) // size.few)][: size.few]
        for batch in (1, 32):
            plain = seconds(
                lambda few=few, batch=batch: generation.theirs(model, few, batch=batch),  # type: ignore[misc]
                bench.device,
            )
            ratio = plain * len(requests) / len(few) / measured.seconds
            what = "one by one" if batch == 1 else f"in batches of {min(batch, len(few))}"
            yield f"`generate` {what} takes {ratio:.1f} times as long ({name})"
        rate = sum(request.max_tokens for request in requests) / measured.seconds
        yield f"| {name}, {rate:,.0f} tokens/s | {len(requests)} | {measured.cells(bench.peak)} |"


# --- training -------------------------------------------------------------------------------------


def unlearn_part(bench: Bench) -> Iterator[str]:
    """A step of BiasUnlearn: what three steps have more than two, and the clock between passes."""
    model, path = bench.model, matmul_path(bench.model.module)

    def fit(steps: int) -> training.Way:
        way = training.Way("engine", lambda _: None, 0)
        training.engine(model, path, steps=steps, way=way)
        return way

    held = forget_held(bench.device)
    ours = min(fit(4).taken)  # the first step warms up
    measured = Measured(
        seconds=ours,
        passes=1,
        memory=peak_held(bench.device) - held,
        flop=count_flop(lambda: fit(3)) - count_flop(lambda: fit(2)),
        copies=count_copies(lambda: fit(3)).minus(count_copies(lambda: fit(2))),
    )
    texts = len(contrasts.batches(model, 1)[0].texts)
    loop = training.Way(training.LOOP, lambda _: None, 0)
    held = forget_held(bench.device)
    # the same module twice: a copy would have the same weights
    training.plain(model, model.module, steps=3, way=loop)
    memory = peak_held(bench.device) - held
    yield bench.row("a step of BiasUnlearn", texts, measured, min(loop.taken))
    yield f"the loop of two models held {memory:.2f} GiB over the weights of one"


# --- attribution ----------------------------------------------------------------------------------


def heads_part(bench: Bench) -> Iterator[str]:
    model, count = bench.model, bench.size.items // 3 + 1
    texts = attribution.draw(bench.size.vocabulary, count, 20)
    first, second = [7] * count, [8] * count
    attributor = HeadAttributor(model)

    def attribute() -> None:
        attributor.attribute(attributor.read(texts), first, second)

    measured = bench.measure(attribute)
    few = min(2, count)
    states = attributor.read(texts[:few])
    plain = seconds(
        lambda: attribution.full_vocabulary(attributor, states, first[:few], second[:few]),
        bench.device,
    )
    forward = seconds(lambda: attribution.forward(model, texts), bench.device)
    yield bench.row("heads", count, measured, forward + plain * count / few)
    yield f"{measured.seconds / forward:.2f} times a forward pass over the same texts"


def influence_part(bench: Bench) -> Iterator[str]:
    model, rows = bench.model, bench.size.rows
    learnt, probes = influence.warm_up(model), influence.draw_probes(model, 18)
    texts = influence.draw(model, rows, seed=1)
    with text_scores(model, learnt, probes, ScoreSettings()) as scorer:
        measured = bench.measure(lambda: scorer.score(texts))
        loop = influence.Loop(
            model,
            dict(scorer._parameters),
            learnt.checkpoints[0],
            scorer._states[0].directions.means,
        )
        few = texts[: bench.size.few]
        plain = seconds(lambda: loop.score(few), bench.device) * rows / len(few)
    yield bench.row("rows by influence", rows, measured, plain)


def head_part(bench: Bench) -> Iterator[str]:
    """The output layer with a loss and its gradient: in chunks, and with all logits kept."""
    module, places = bench.model.module, bench.size.places
    head = output_layer(module, layout_of(bench.model))
    assert head is not None
    hidden = torch.randn(places, bench.size.hidden, device=bench.device, dtype=module.dtype)
    tokens = torch.arange(places, device=bench.device) % bench.size.vocabulary
    values: dict[str, torch.Tensor] = {}

    def chunked() -> None:
        leaf = hidden.clone().requires_grad_()
        values["chunked"] = token_logprobs(leaf, head, tokens)
        values["chunked"].sum().backward()

    def whole() -> None:
        leaf = hidden.clone().requires_grad_()
        logprobs = head.logits(leaf).float().log_softmax(-1)
        values["whole"] = logprobs.gather(1, tokens[:, None])[:, 0]
        values["whole"].sum().backward()

    ours = bench.measure(chunked)
    values = {"chunked": values["chunked"].detach()}
    plain = bench.measure(whole)
    gap = float((values["chunked"] - values["whole"].detach()).abs().max())
    yield bench.row("output layer in chunks", places, ours, plain.seconds)
    yield bench.row("all its logits", places, plain, plain.seconds)
    yield f"largest gap of a log-probability: {gap:.1e} nats"


# --- the command ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    share: float  # of the time
    run: Callable[[Bench], Iterator[str]]


PARTS = (
    Part(name="likelihood: StereoSet", share=0.1, run=score_part(StereoSet)),
    Part(
        name="pairs: CrowS-Pairs",
        share=0.1,
        run=score_part(lambda: CrowsPairs(score="causal_cond_unmodified")),
    ),
    Part(name="next token: GenBias", share=0.1, run=score_part(GenBias)),
    Part(
        name="letters: BBQ",
        share=0.14,
        run=score_part(lambda: BBQ(categories="Age", score=Letters())),
    ),
    Part(name="writing", share=0.14, run=write_part),
    Part(name="training", share=0.14, run=unlearn_part),
    Part(name="heads", share=0.08, run=heads_part),
    Part(name="influence", share=0.1, run=influence_part),
    Part(name="output layer", share=0.04, run=head_part),
)


def run_part(bench: Bench, part: Part, limit: float) -> list[str]:
    """What a part printed, its table first; the last line says if and why it was cut."""
    rows: list[str] = []
    began = time.perf_counter()
    try:
        with limited(limit):
            for row in part.run(bench):
                rows.append(row)  # what there is when it is cut stays
    except Overrun:
        rows.append(f"cut after {time.perf_counter() - began:.0f} s, its share of the time")
    except (EquipoiseError, torch.OutOfMemoryError) as error:
        rows.append(f"not measured: {error}")
    table = [row for row in rows if row.startswith("|")]
    heading = f"| | items | {' | '.join(COLUMNS)} | x plain loop |"
    lines = [f"\n{part.name}\n", heading, "|" + "---|" * (len(COLUMNS) + 3), *table, ""]
    return [*(lines if table else lines[:1]), *(row for row in rows if row not in table)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, help="else tiny without an accelerator")
    parser.add_argument("--seconds", type=float, default=480.0, help="of all parts together")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    end = time.perf_counter() + options.seconds
    name = options.size or ("tiny" if options.device == "cpu" else "8b")
    size = SIZES[name]
    peak = peaks(options.device, size=size.square)["bfloat16"]
    bench = Bench(size, options.device, build(size, options.device), peak)
    where = torch.cuda.get_device_name() if options.device != "cpu" else "a processor"
    parameters = bench.model.module.num_parameters() / 1e9
    print(
        f"{name}: {parameters:.3g}B parameters in bfloat16 on {where}, torch {torch.__version__}; "
        f"peak {peak / 1e12:.3g} TFLOP/s",
        flush=True,
    )
    for part in PARTS:
        left = end - time.perf_counter()
        if left <= 0:
            print(f"\n{part.name}\n\nnot measured: the time was over", flush=True)
            continue
        print("\n".join(run_part(bench, part, min(left, part.share * options.seconds))), flush=True)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
