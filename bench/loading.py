"""How long a model takes to open: `equipoise.load` beside transformers' `from_pretrained`.

    python bench/loading.py [--models tiny 12m 135m] [--model FOLDER] [--rounds 5] [--threads 1]

Models of random weights, in the shapes of a test, of the reference model (12M) and of SmolLM2-135M,
are saved in bfloat16 to a folder of their own, which is deleted at the end; or a folder of yours.
Three ways in turn within each round, all to float32 in memory, files in the disk's cache:
- from_pretrained: model and tokenizer, as anybody opens them.
- first: `load` with an empty cache, so that files are hashed and the model is probed.
- again: `load` of what was opened before.
The logits of a text must be equal to the bit before anything is timed. Shown are the fewest seconds
of the processor and of the wall, with their ratio to from_pretrained, and where the time goes.
"""

import argparse
import cProfile
import os
import pstats
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from attribution import build as build_135m
from influence import build_12m
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from equipoise.fakes import tiny_model
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load

MODELS: Mapping[str, Callable[[], LanguageModel]] = {
    "tiny": tiny_model,
    "12m": build_12m,
    "135m": lambda: build_135m("cpu"),
}
SHOWN = 8  # functions of a profile


def save(name: str, folder: Path) -> Path:
    """A model of this shape, as its author would save it."""
    model = MODELS[name]()
    model.module.bfloat16().save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def plain(folder: Path) -> torch.nn.Module:
    AutoTokenizer.from_pretrained(folder, local_files_only=True)
    module: torch.nn.Module = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    return module


def ours(folder: Path) -> torch.nn.Module:
    return load(str(folder), dtype="float32", device="cpu").module


def first(folder: Path) -> torch.nn.Module:
    shutil.rmtree(os.environ["EQUIPOISE_CACHE"], ignore_errors=True)
    return ours(folder)


@torch.no_grad()
def check(folder: Path) -> None:
    """Raise unless both ways give the same model."""
    ids = torch.arange(5, 25)[None]
    logits = [way(folder)(input_ids=ids).logits for way in (plain, ours)]
    if not torch.equal(*logits):
        gap = float((logits[0] - logits[1]).abs().max())
        raise SystemExit(f"both must open the same model, logits differ by up to {gap:.2g}")


def rows(name: str, folder: Path, rounds: int) -> Iterator[str]:
    """The rows of the table for a model."""
    ways = {"from_pretrained": plain, "first": first, "again": ours}
    least = dict.fromkeys(ways, (float("inf"), float("inf")))
    for _ in range(rounds):
        for way, opened in ways.items():
            begin = time.process_time(), time.perf_counter()
            opened(folder)
            taken = time.process_time() - begin[0], time.perf_counter() - begin[1]
            least[way] = min(least[way][0], taken[0]), min(least[way][1], taken[1])
    for way, (processor, wall) in least.items():
        base = least["from_pretrained"]
        yield (
            f"| {name} | {way} | {processor:.3f} | {processor / base[0]:.2f} | {wall:.3f} | "
            f"{wall / base[1]:.2f} |"
        )


def profile(folder: Path) -> None:
    """Print where the second opening spends its time."""
    profiler = cProfile.Profile()
    profiler.runcall(ours, folder)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("equipoise", SHOWN)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a model takes to open.")
    parser.add_argument("--models", nargs="+", default=[*MODELS], choices=[*MODELS])
    parser.add_argument("--model", type=Path, help="a folder, in place of random weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    print("| model | way | processor s | x from_pretrained | wall s | x from_pretrained |")
    print("|" + "---|" * 6)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EQUIPOISE_CACHE"] = str(Path(scratch) / "cache")
        named = {} if options.model is None else {options.model.name: options.model}
        for name in named or options.models:
            folder = named[name] if named else save(name, Path(scratch) / name)
            check(folder)
            for row in rows(name, folder, options.rounds):
                print(row, flush=True)
            if options.profile:
                profile(folder)


if __name__ == "__main__":
    main()
