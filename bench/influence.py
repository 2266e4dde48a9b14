"""How fast training rows are scored by influence, beside the loop of LESS.

    python bench/influence.py [--models 12m 135m] [--rows 96] [--rounds 3] [--threads 1]

Models of random weights, in the shape of the reference model (12M) and of SmolLM2-135M; rows of
ids drawn at random, 24 to 64 tokens, all learnt; LoRA of rank 16 on q_proj and v_proj; a checkpoint
with Adam's moments, and nine groups of probes. In turn within each round; the fewest processor
seconds of a way are shown, and all ways of a round see the same rows.
- loop: a row at a time, the model's own loss, backward, `.grad` of the adapter in one vector,
  Adam's feature, its cosine with the mean probe. What LESS does, but for the projection.
- loop + projection: the same with a projection to 8,192 signs, 16 rows at a time and a block of
  columns after the other, as LESS's projector without CUDA does. Too slow to run whole: a block is
  timed, and multiplied. BiasDiff's settings, a row at a time, are timed likewise.
- ours: `score_rows`, from rows to a file of scores on the disk.
Scores are compared first: ours with the loop's.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from attribution import build as build_135m
from machine import forget_peak, most_resident, peaks, resident, seconds
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from equipoise.errors import EquipoiseError
from equipoise.fakes import tiny_tokenizer
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adapter_gradients import AdapterGradients
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.probe_directions import ProbeTexts
from equipoise.influence.probe_parts import ProbeParts
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, scores_in
from equipoise.influence.text_scores import ScoreSettings, TextScores, text_scores
from equipoise.influence.warm_up import WarmUp
from equipoise.models.kernels import fast_matmul
from equipoise.rows import TrainingRow
from equipoise.training.lora import lora_config, lora_in_training
from equipoise.training.resume import Checkpoint
from equipoise.training.row_tokens import TokenizedRows

DIMENSION, INTERVAL, COLUMNS = 8_192, 16, 16  # of the projection; columns of a timed block
GROUPS = tuple(f"type {number}" for number in range(9))
STEPS = 100  # of the warm-up that the checkpoint stands for


def build_12m() -> LanguageModel:
    """Random weights in the shape of the reference model."""
    config = LlamaConfig(
        hidden_size=320, intermediate_size=832, num_hidden_layers=6, num_attention_heads=5,
        num_key_value_heads=5, vocab_size=16_384, max_position_embeddings=512,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = LlamaForCausalLM(config).eval()
    return LanguageModel(module=module, tokenizer=tiny_tokenizer(), identity="random-12m")


def draw(model: LanguageModel, count: int, *, seed: int) -> list[LearntText]:
    generator = np.random.default_rng(seed)
    most = int(model.module.config.get_text_config().vocab_size)
    texts = (
        tuple(generator.integers(5, most, size).tolist())
        for size in generator.integers(24, 65, count)
    )
    return [LearntText(ids, tuple(range(1, len(ids)))) for ids in texts]


def warm_up(model: LanguageModel) -> WarmUp:
    """A checkpoint with moments like those of a training: from gradients of a few batches."""
    config = lora_config(
        model.module, rank=16, alpha=32.0, dropout=0.0, targets=("q_proj", "v_proj")
    )
    generator = torch.Generator().manual_seed(0)
    with lora_in_training(model, config, seed=0) as parameters:
        for name, parameter in parameters.items():
            if ".lora_B." in name:
                values = torch.randn(parameter.shape, generator=generator) * 1e-3
                parameter.data = values.to(parameter.device)
        gradients = AdapterGradients(model)
        batches = [
            gradients.compute(draw(model, 8, seed=100 + number)).flat().mean(0)
            for number in range(4)
        ]
        first = torch.stack(batches).mean(0) * (1 - 0.9**STEPS)
        second = torch.stack(batches).square().mean(0) * (1 - 0.999**STEPS)
        sizes = list(gradients.sizes.values())

        def split(values: Tensor) -> dict[str, Tensor]:
            parts = values.split(sizes)
            return {
                name: part.reshape(parameters[name].shape).clone()
                for name, part in zip(parameters, parts, strict=True)
            }

        checkpoint = Checkpoint(
            key="bench", steps=STEPS, learning_rate=1e-4, losses=(), parts={}, norms=(),
            monitor=None, stopped=False, best={},
            values={name: parameter.detach().clone() for name, parameter in parameters.items()},
            exp_avg=split(first),
            exp_avg_sq=split(second),
            updates=dict.fromkeys(parameters, torch.tensor(float(STEPS))),
        )  # fmt: skip
    return WarmUp(config=config, checkpoints=[checkpoint], weights=[1.0])


def draw_probes(model: LanguageModel, count: int) -> ProbeTexts:
    """Pairs that differ in a token."""
    pairs = []
    for text in draw(model, count, seed=7):
        other = list(text.ids)
        other[len(other) // 2] = 5 + other[len(other) // 2] % 1_000
        pairs.append((text, LearntText(tuple(other), text.positions)))
    parts = ProbeParts(part=tuple(k % len(GROUPS) for k in range(count)), axis=GROUPS)
    return ProbeTexts(texts=tuple(pairs), group=parts.part, groups=GROUPS, parts=parts)


# --- what is compared ---------------------------------------------------------------------------


@dataclass
class Loop:
    """The loop of LESS, on a model whose adapter is on."""

    model: LanguageModel
    parameters: dict[str, torch.nn.Parameter]
    checkpoint: Checkpoint
    mean: Tensor  # [parameter, group]

    def feature(self, text: LearntText) -> Tensor:
        for parameter in self.parameters.values():
            parameter.requires_grad_()
        ids = torch.tensor([text.ids], device=self.model.module.device)
        self.model.module(input_ids=ids, labels=ids).loss.backward()
        parts = []
        for parameter in self.parameters.values():
            assert parameter.grad is not None
            parts.append(parameter.grad.flatten())
            parameter.grad = None
            parameter.requires_grad_(requires_grad=False)
        g = torch.cat(parts)
        first = (0.9 * self.first + 0.1 * g) / (1 - 0.9 ** (STEPS + 1))
        second = (0.999 * self.second + 0.001 * g * g) / (1 - 0.999 ** (STEPS + 1))
        return first / (second.sqrt() + 1e-8)

    def __post_init__(self) -> None:
        names = list(self.parameters)
        self.first = torch.cat([self.checkpoint.exp_avg[name].flatten() for name in names])
        self.second = torch.cat([self.checkpoint.exp_avg_sq[name].flatten() for name in names])

    def score(self, texts: Sequence[LearntText], *, quick: bool = False) -> NDArray[np.float64]:
        """`quick`: products by the library that is the faster here, as ours chooses it."""
        scores = []
        for text in texts:
            with fast_matmul(self.model.module) if quick else nullcontext():
                feature = self.feature(text)
            scores.append((feature @ self.mean / feature.norm()).tolist())
        return np.array(scores)


def project_block(features: Tensor, columns: int) -> Tensor:
    """Some of the columns of LESS's projection: signs are drawn anew for every call."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.empty(features.shape[1], columns).bernoulli_(generator=generator)
    return features @ signs.mul_(2).sub_(1)


def score_to_disk(
    scorer: TextScores, texts: Sequence[LearntText], folder: Path
) -> NDArray[np.float64]:
    """The whole way of ours, but for the tokenizer: windows, batches, features, files."""
    rows = [TrainingRow(id=str(number), text="x") for number in range(len(texts))]

    def tokenize(window: Sequence[TrainingRow]) -> TokenizedRows:
        chosen = [texts[int(row.id)] for row in window]
        learnt = [[place > 0 for place in range(len(text.ids))] for text in chosen]
        return TokenizedRows(
            ids=[list(text.ids) for text in chosen], scored=learnt, index=list(range(len(window)))
        )

    with scores_in(folder):
        files = ScoreFiles(job=str(hash(tuple(texts))), groups=GROUPS)
        scored = score_rows(scorer.model, rows, scorer.score, tokenize=tokenize, files=files)
    return scored.scores


def compare(model: LanguageModel, options: argparse.Namespace) -> None:
    learnt, probes = warm_up(model), draw_probes(model, 36)
    texts = draw(model, options.rows, seed=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        text_scores(model, learnt, probes, ScoreSettings()) as scorer,
    ):
        mean = scorer._states[0].directions.means
        loop = Loop(model, dict(scorer._parameters), learnt.checkpoints[0], mean)
        expected, computed = loop.score(texts), score_to_disk(scorer, texts, Path(folder, "0"))
        gap = float(np.abs(expected - computed).max())
        rank = spearmanr(expected.mean(axis=1), computed.mean(axis=1)).statistic
        assert gap < 1e-4, gap
        assert rank > 1 - 1e-4, rank
        features = torch.stack([loop.feature(text) for text in texts[:INTERVAL]])
        turn = iter(range(1, 1_000))
        ways: dict[str, Callable[[], object]] = {
            "loop": lambda: loop.score(texts),
            "our kernels": lambda: loop.score(texts, quick=True),
            "ours": lambda: score_to_disk(scorer, texts, Path(folder, str(next(turn)))),
            "16 rows projected": lambda: project_block(features, COLUMNS),
            "a row projected": lambda: project_block(features[:1], COLUMNS),
            **stages(scorer, texts),
        }
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(options.rounds):
            for name, way in ways.items():
                least[name] = min(least[name], seconds(way, "cpu"))
    report(model, texts, least, gap=gap, size=len(mean))


def stages(scorer: TextScores, texts: Sequence[LearntText]) -> dict[str, Callable[[], object]]:
    """Ours up to a stage: what a stage takes is the difference from that before."""
    batches = in_batches(texts)
    gradients, adam = scorer.gradients, scorer._states[0].features

    def passes() -> None:
        for batch in batches:
            gradients.compute(batch)

    def formed() -> None:
        for batch in batches:
            for _ in gradients.compute(batch).matrices():
                pass

    def conditioned() -> None:
        for batch in batches:
            for name, values in gradients.compute(batch).matrices():
                adam.apply(name, values)

    return {"passes": passes, "gradients": formed, "features": conditioned}


def in_batches(texts: Sequence[LearntText]) -> list[list[LearntText]]:
    """The longest first, at most 512 tokens together."""
    batches: list[list[LearntText]] = []
    for text in sorted(texts, key=lambda text: -text.length):
        if not batches or (len(batches[-1]) + 1) * batches[-1][0].length > 512:
            batches.append([])
        batches[-1].append(text)
    return batches


def report(
    model: LanguageModel,
    texts: Sequence[LearntText],
    least: dict[str, float],
    *,
    gap: float,
    size: int,
) -> None:
    count, blocks = len(texts), DIMENSION / COLUMNS
    tokens = sum(len(text.ids) for text in texts)
    in_sixteens = least["16 rows projected"] * blocks * count / INTERVAL
    alone = least["a row projected"] * blocks * count
    print(
        f"{model.identity}: {count} rows of {tokens} tokens, {size:,} numbers a row; largest gap "
        f"of scores (cosines) from the loop's {gap:.0e}"
    )
    rows = {
        "loop, batch 1": least["loop"],
        "loop, batch 1, with our choice of matrix products": least["our kernels"],
        "loop + projection, 16 rows at a time (extrapolated)": least["loop"] + in_sixteens,
        "loop + projection, a row at a time (extrapolated)": least["loop"] + alone,
        "ours": least["ours"],
    }
    print("| way | ms per row | times ours |\n|---|---|---|")
    for name, taken in rows.items():
        print(f"| {name} | {1e3 * taken / count:.1f} | {taken / least['ours']:.2f} |")
    parts = [least[name] for name in ("passes", "gradients", "features", "ours")]
    names = ("forward and backward", "gradients of rows", "Adam's features", "cosines and files")
    shares = [parts[0], *(max(0.0, later - earlier) for earlier, later in zip(parts, parts[1:]))]  # noqa: B905, RUF007
    print("stages of ours, ms per row: " + ", ".join(
        f"{name} {1e3 * share / count:.1f}" for name, share in zip(names, shares, strict=True)
    ))  # fmt: skip


def grow(model: LanguageModel, counts: Sequence[int]) -> None:
    """Seconds and memory as rows grow in number."""
    learnt, probes = warm_up(model), draw_probes(model, 36)
    print("| rows | CPU s | ms per row | peak over the start, MiB |\n|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        text_scores(model, learnt, probes, ScoreSettings()) as scorer,
    ):
        score_to_disk(scorer, draw(model, 600, seed=2), Path(folder, "warm"))
        for count in counts:
            texts = draw(model, count, seed=3)
            begin = resident()
            forget_peak()
            taken = seconds(
                lambda texts=texts: score_to_disk(scorer, texts, Path(folder, "rows")),  # type: ignore[misc]
                "cpu",
            )
            used = 1024 * (most_resident() - begin)
            print(f"| {count} | {taken:.1f} | {1e3 * taken / count:.2f} | {used:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of scoring training rows by influence.")
    parser.add_argument("--models", nargs="+", default=["12m", "135m"], choices=["12m", "135m"])
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grow", type=int, nargs="*", default=[1_000, 2_000, 4_000])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{peaks('cpu')['float32'] / 1e9:.0f} GFLOP/s in float32, {options.threads} threads")
    for name in options.models:
        model = build_12m() if name == "12m" else build_135m("cpu")
        compare(replace(model, identity=f"random-{name}"), options)
    if options.grow:
        grow(build_12m(), options.grow)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
