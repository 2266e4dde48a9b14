"""What targets of `parity_distillation` cost, beside scoring their texts once; and a step of it.

    python bench/parity.py [--model FOLDER] [--sets 40] [--rounds 3] [--device cpu]

Without a model, a small Llama of random weights. Texts are StereoSet's sentences that mention a
group, with their exchanges. The target pass is beside the log-probabilities of the same texts'
tokens; the training step beside plain fine-tuning of the same adapter on the same rows. Both by
the same engine, in turn, the best of all rounds. On a processor: one thread, processor seconds.
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from statistics import mean

import torch
from machine import now, seconds
from subjects import build, sentences, tokenizer
from torch import Tensor

from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.mitigate.parity_distillation import DistilledAdapter, ParityDistillation
from equipoise.records import Supply
from equipoise.training.exchange_targets import (
    ExchangeTargets,
    divergences,
    exchange_targets,
)
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows
from equipoise.training.text_training import Objective

STEPS = 4  # of each way and round; all but one are timed


def step_seconds(
    model: LanguageModel,
    learning: ExchangeTargets,
    training: DistilledAdapter,
    loss: Callable[[list[int]], Tensor],
) -> float:
    """Mean seconds from one forward pass to the next: the same rows for all ways."""
    calls: list[float] = []
    device = model.module.device.type
    handle = model.module.register_forward_pre_hook(lambda *_: calls.append(now(device)))
    training.fit_loss(
        model,
        learning.rows(),
        Objective(name="bench", loss=lambda _, numbers, __: loss(numbers.tolist())),
        seed=0,
        steps=STEPS,
    )
    handle.remove()
    return mean(later - earlier for earlier, later in pairwise(calls))


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of parity_distillation.")
    parser.add_argument("--model")
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = options.device
    model = (
        load(options.model, device=device) if options.model else build("llama", tokenizer(), device)
    )
    method = ParityDistillation(sets=options.sets)
    texts = tuple(text for group in sentences("stereoset") for text in group[:1])
    sets, _ = method.choose(Supply(origin="bench", texts=texts), seed=0)
    rule = method.rule(model)
    learning = exchange_targets(model, sets, rule, max_tokens=256)
    forward = RowForward(model)
    scored = [[place > 0 for place in range(len(row))] for row in learning.ids]
    rows = TokenizedRows(ids=learning.ids, scored=scored)

    def plain(numbers: list[int]) -> Tensor:
        return forward.mean_losses(rows, numbers).mean()

    def distilled(numbers: list[int]) -> Tensor:
        return divergences(forward, learning, numbers).mean()

    jobs: dict[str, Callable[[], float]] = {
        "scoring the texts once": lambda: seconds(lambda: forward.measured(rows), device),
        "their targets": lambda: seconds(
            lambda: exchange_targets(model, sets, rule, max_tokens=256), device
        ),
        "a step of plain fine-tuning": lambda: step_seconds(
            model, learning, method.training, plain
        ),
        "a step of distillation": lambda: step_seconds(model, learning, method.training, distilled),
    }
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(options.rounds):
        for name, job in jobs.items():
            taken[name].append(job())
    best = {name: min(times) for name, times in taken.items()}
    tokens = sum(map(len, learning.ids))
    print(f"{len(learning.ids)} texts of {len(sets)} sets, {tokens} tokens")
    print("\n| | seconds | times the plain form |\n|---|---|---|")
    names = list(best)
    for first, second in zip(names[::2], names[1::2], strict=True):
        print(f"| {first} | {best[first]:.2f} | 1 |")
        print(f"| {second} | {best[second]:.2f} | {best[second] / best[first]:.2f} |")


if __name__ == "__main__":
    main()
