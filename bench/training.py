"""How fast a training step of BiasUnlearn is, beside the plain loop of two models.

    python bench/training.py [--rounds 2] [--steps 4] [--device cpu]

A model of GPT-2 small's shape with random weights; texts made here, of 8 to 25 tokens, which
share next to no beginnings: 4 to forget, 28 to retain and 28 of the KL a step. The engine is
`BiasUnlearn.fit` itself, loop included; a step is timed from one forward pass to the next. The
plain loop (two_models.py) takes the same steps, and its losses are compared. On a processor: one
thread, processor seconds. All run in turn within each round; the best step of all is printed.

"Share of peak" counts the products that a way really computes, padding included. Memory is the
peak of a process for each way, over what it held before the models were built. Ways in bfloat16
run where the machine multiplies it faster than float32.
"""

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from contrasts import VOCABULARY, batches, build, method, supply
from machine import forget_peak, most_resident, now, peaks, resident
from subjects import in_bfloat16, matrix_parameters
from torch import Tensor, nn
from two_models import Batch, TwoModels

from equipoise.contrast_training.packed_forward import PackedForward, Readout, reference_outputs
from equipoise.contrast_training.steps import likelihood
from equipoise.contrast_training.tokenized import TokenizedText
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.bias_unlearn import BiasUnlearn, npo
from equipoise.models import kernels
from equipoise.models.kernels import Matmul, matmul_path
from equipoise.training.lora import lora_in_training

LOOP = "two models, same batch"
LEAST = "two models, the reference reads 32 of the 60 texts"
KEPT = "two models, the reference asked beforehand"
ENGINE = "engine"
IN_MEMORY = (LOOP, LEAST, ENGINE)

# --- what is compared ---------------------------------------------------------------------------


@dataclass
class Way:
    """One way to train: the seconds of its steps in all rounds, its first and last loss."""

    name: str
    run: Callable[["Way"], None]
    work: float  # FLOP of a step's matrix products
    format: str = "float32"
    taken: list[float] = field(default_factory=list)
    losses: tuple[float, float] = (0.0, 0.0)


def engine(model: LanguageModel, path: Matmul, *, steps: int, way: Way) -> None:
    """`bias_unlearn`, with the clock read whenever the model is called."""
    calls: list[float] = []
    device = model.module.device.type
    handle = model.module.register_forward_pre_hook(lambda *_: calls.append(now(device)))
    choice = kernels.float32_matmul
    kernels.float32_matmul = lambda: path  # type: ignore[assignment]
    edit = method(steps).fit(model, supply(), seed=0)
    kernels.float32_matmul = choice
    handle.remove()
    way.taken += [later - earlier for earlier, later in pairwise(calls[-steps:])]
    report = edit.info.report
    way.losses = (float(str(report["first_loss"])), float(str(report["last_loss"])))


def plain(model: LanguageModel, reference: nn.Module, *, steps: int, way: Way) -> None:
    """The plain loop, by its name."""
    given, device = batches(model, steps), model.module.device.type
    begins, losses = [], []
    with two_models(model, reference, steps, whole=way.name == LOOP) as loop:
        if way.name == KEPT:
            loop.keep(given)
        for number, batch in enumerate(given):
            begins.append(now(device))
            losses.append(loop.step(batch, number))
    way.taken += [later - earlier for earlier, later in pairwise(begins)]
    way.losses = (losses[0], losses[-1])


@contextmanager
def two_models(
    model: LanguageModel, reference: nn.Module, steps: int, *, whole: bool = False
) -> Iterator[TwoModels]:
    """The loop around a model with the adapter that the engine begins with."""
    unlearn = method(steps)
    for module in (model.module, reference):
        module.requires_grad_(requires_grad=False)
    with lora_in_training(model, unlearn.lora(model), seed=0) as parameters:
        for parameter in parameters.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_()
        yield TwoModels(
            model.module,
            reference,
            list(parameters.values()),
            schedule=unlearn.schedule(model, seed=0),
            weights=loss_weights(unlearn),
            beta=beta_of(unlearn),
            whole=whole,
        )


def loss_weights(unlearn: BiasUnlearn) -> tuple[float, float, float]:
    """Of forgetting, retaining and the KL."""
    parts = (unlearn.forget, unlearn.retain, unlearn.kl)
    forget, retain, kl = (0.0 if part is None else part.weight for part in parts)
    return forget, retain, kl


def beta_of(unlearn: BiasUnlearn) -> float:
    return 0.0 if unlearn.forget is None else unlearn.forget.beta


def ways(model: LanguageModel, kind: str, steps: int) -> list[Way]:
    """The loop in three forms, the engine on each path of its products."""
    reference = copy.deepcopy(model.module)
    works = work(model, batches(model, 1)[0])
    on_cpu = kind == "float32" and model.module.device.type == "cpu"
    paths: list[Matmul] = ["default", "onednn"] if on_cpu else ["default"]
    compared_ways = [
        Way(name, lambda way: plain(model, reference, steps=steps, way=way), 0)
        for name in (LOOP, LEAST, KEPT)
    ]
    for path in paths:
        name = f"{ENGINE}, {path} products" if on_cpu else ENGINE
        chosen = " (its choice here)" if on_cpu and path == matmul_path(model.module) else ""
        compared_ways.append(
            Way(name + chosen, lambda way, on=path: engine(model, on, steps=steps, way=way), 0)
        )
    for way in compared_ways:
        way.work, way.format = works[way.name if way.name in works else ENGINE], kind
    return compared_ways


def work(model: LanguageModel, batch: Batch) -> dict[str, float]:
    """FLOP of the matrix products of a step, but LoRA's: values, and gradients of the inputs."""
    head = VOCABULARY * model.module.config.n_embd
    blocks = matrix_parameters(model.module) - head
    longest = max(len(text.ids) for text in batch.texts)
    texts, compared = len(batch.texts), len(batch.compared)
    scored = sum(len(text.target_positions) for text in (*batch.forget, *batch.retain))
    held = sum(len(text.positions) for text in batch.kl)
    places = computed(model, batch.texts)
    return {
        LOOP: 2 * 3 * texts * longest * (blocks + head),
        LEAST: 2 * (2 * texts + compared) * longest * (blocks + head),
        KEPT: 2 * 2 * texts * longest * (blocks + head),
        ENGINE: 2 * (2 * places * blocks + (2 * scored + 3 * held) * head),
    }


def computed(model: LanguageModel, texts: Sequence[TokenizedText]) -> int:
    """Places that the engine's one forward pass computes, its padding included."""
    seen: list[int] = []

    def count(_: nn.Module, __: object, kwargs: dict[str, Tensor]) -> None:
        seen.append(kwargs["input_ids"].numel())

    reader = PackedForward(model)
    handle = model.module.register_forward_pre_hook(count, with_kwargs=True)
    with torch.no_grad():
        reader.read(texts, [text.target_positions for text in texts])
    handle.remove()
    return seen[-1]


# --- agreement ----------------------------------------------------------------------------------


def agreement(model: LanguageModel) -> dict[str, float]:
    """The loss of one batch by each way to lay it out, with an adapter that changes much."""
    batch = batches(model, 1)[0]
    reader = PackedForward(model)
    before = reference_outputs(reader, scored=[*batch.forget, *batch.retain], compared=batch.kl)
    unlearn = method(1)
    with two_models(model, copy.deepcopy(model.module), 1) as loop, torch.no_grad():
        torch.manual_seed(1)
        for parameter in loop.parameters:
            parameter.normal_(std=0.05)

        def value(parts: Sequence[Sequence[TokenizedText]]) -> float:
            """`UnlearningLoss`, from several forward passes."""
            start, text_sums, divergences = 0, [], []
            for texts in parts:
                indices = range(start, start + len(texts))
                start += len(texts)
                is_kl = [index >= len(batch.forget) + len(batch.retain) for index in indices]
                positions = [
                    text.positions if kl else text.target_positions
                    for text, kl in zip(texts, is_kl, strict=True)
                ]
                first = is_kl.count(False)
                read, rest = reader.read(texts, positions).cut(first)
                text_sums += list(_sums(reader, read))
                compared = texts[first:]
                if compared:
                    was = torch.cat([before.states_at(text, text.positions) for text in compared])
                    divergences += rest.split(reader.divergence(rest, was, "forward"))
            sums, cut = torch.stack(text_sums), len(batch.forget)
            sizes = torch.tensor(
                [float(len(text.target_positions)) for text in batch.texts[: len(sums)]]
            )
            was = before.target_logprobs(batch.forget)
            a, b, c = loss_weights(unlearn)
            forget = npo(was - sums[:cut], sizes[:cut], beta=beta_of(unlearn))
            retain = likelihood(sums[cut:], sizes[cut:])
            kept = torch.stack([values.mean() for values in divergences]).mean()
            return float(a * forget + b * retain + c * kept)

        packed = value([batch.texts])
        reader.layout = replace(reader.layout, pack=False)
        return {
            "packed": packed,
            "padded": value([batch.texts]),
            "one by one": value([[text] for text in batch.texts]),
            "two models": float(loop.loss(batch, loop.before(batch))),
        }


def _sums(reader: PackedForward, read: Readout) -> list[Tensor]:
    return [values.sum() for values in read.split(reader.logprobs(read))] if read.counts else []


# --- memory -------------------------------------------------------------------------------------


def memory_of(name: str) -> None:
    """Print, in a process of its own, what a way takes in GiB: weights, peak of two steps."""
    batches(build("cpu"), 1)  # whatever is imported or made once
    begin = resident()
    model = build("cpu")
    reference = None if name == ENGINE else copy.deepcopy(model.module)
    weights = resident() - begin
    forget_peak()
    way = Way(name, lambda _: None, 0)
    if reference is None:
        engine(model, matmul_path(model.module), steps=2, way=way)
    else:
        plain(model, reference, steps=2, way=way)
    print(json.dumps({"weights": weights, "peak": most_resident() - begin}))


def memory() -> list[str]:
    """Rows of the table of memory."""
    used: dict[str, dict[str, float]] = {}
    for name in IN_MEMORY:
        command = [sys.executable, __file__, "--memory-of", name]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        used[name] = json.loads(ran.stdout.splitlines()[-1])
    most = used[LOOP]["peak"]
    return [
        f"| {name} | {use['weights']:.2f} | {use['peak'] - use['weights']:.2f} "
        f"| {use['peak']:.2f} | {100 * use['peak'] / most:.0f} |"
        for name, use in used.items()
    ]


# --- the command --------------------------------------------------------------------------------


def timed(model: LanguageModel, options: argparse.Namespace) -> list[str]:
    """Rows of the table of times."""
    device = options.device
    rates = [peaks(device)]
    all_ways = ways(model, "float32", options.steps)
    if rates[0]["bfloat16"] > rates[0]["float32"]:
        all_ways += ways(in_bfloat16(model), "bfloat16", options.steps)
    for _ in range(options.rounds):
        for way in all_ways:
            way.run(way)
        rates.append(peaks(device))
    first, second = (min(way.taken) for way in all_ways[:2])
    rows = []
    for way in all_ways:
        rate, best = max(rate[way.format] for rate in rates), min(way.taken)
        gap = max(abs(a - b) for a, b in zip(way.losses, all_ways[0].losses, strict=True))
        rows.append(
            f"| {way.name} | {way.format} | {best:.2f} | {first / best:.2f} | {second / best:.2f} "
            f"| {way.work / 1e9:.0f} | {100 * way.work / best / rate:.0f} | {gap:.0e} |"
        )
    if len({way.format for way in all_ways}) == 1:
        rows.append(
            f"\nNot run in bfloat16: {rates[0]['bfloat16'] / 1e9:.0f} GFLOP/s here, "
            f"{rates[0]['float32'] / 1e9:.0f} in float32."
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of a training step of BiasUnlearn.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4, help="of each round; all but one timed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory-of", choices=IN_MEMORY, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        memory_of(options.memory_of)
        return
    model = build(options.device)
    print(
        f"Best of {options.rounds} rounds of {options.steps - 1} steps; torch {torch.__version__}"
    )
    unit = "processor s" if options.device == "cpu" else f"s on {options.device}"
    print(
        f"\n| a step by | format | {unit} | x first | x second | GFLOP | % of peak "
        "| largest gap of a loss |"
    )
    print("|" + "---|" * 8)
    print("\n".join(timed(model, options)), flush=True)
    losses = agreement(model)
    print("\nThe loss of one batch: " + ", ".join(f"{k} {v:.6f}" for k, v in losses.items()) + ".")
    del model
    if options.device == "cpu":
        print("\n| memory, GiB | weights | over them | peak | % of two models |")
        print("|" + "---|" * 5)
        print("\n".join(memory()))


if __name__ == "__main__":
    main()
