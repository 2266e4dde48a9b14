"""How much faster two processes measure than one: whole commands, loading and statistics included.

    EQUIPOISE_DATA=DIR python bench/processes.py [--limit 300] [--rounds 1] [--model FOLDER]

StereoSet on random weights in SmolLM2-135M's shape, unless a model's folder is named. Three ways in
turn within each round: one process with one thread, two processes with one thread each, one process
with two threads. All must print the same numbers: those with one thread the same bytes.

Shown are the wall's seconds, and the processor's of the busiest process, which other work on the
machine does not stretch: with a core for each process the command takes no less. Ratios are to one
process with one thread, in the same round; of several rounds the median is shown.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from subjects import tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

#: Name to processes and threads of each.
WAYS: Mapping[str, tuple[int, int]] = {
    "1 process, 1 thread": (1, 1),
    "2 processes, 1 thread": (2, 1),
    "1 process, 2 threads": (1, 2),
}


def save(folder: Path) -> Path:
    """Random weights in the shape of SmolLM2-135M, as its author would save them."""
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49_152, max_position_embeddings=2048,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def measure(
    model: Path, processes: int, threads: int, arguments: list[str]
) -> tuple[float, float, str]:
    """Seconds of the wall, of the busiest process, and what was printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "equipoise", "measure", str(model), "stereoset", "--json"]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as printed:
        started = []
        for index in range(processes):  # as torchrun does, whose own start is left out
            places = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": processes}
            places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            launch = places if processes > 1 else {}
            settings = {**launch, "OMP_NUM_THREADS": threads}
            environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
            started.append(
                subprocess.Popen([*command, *arguments], env=environment, stdout=printed)
            )
        taken = []
        for process in started:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"a process must end well, got status {process.returncode}")
            taken.append(usage.ru_utime + usage.ru_stime)
        wall = time.monotonic() - began
        printed.seek(0)
        return wall, max(taken), printed.read()


def main() -> None:
    """Run all ways in turn, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    arguments = ["--limit", str(options.limit), "--device", "cpu", "--quiet"]
    with tempfile.TemporaryDirectory() as place:
        model = options.model or save(Path(place) / "random-135m")
        measure(model, 1, 1, ["--limit", "1", "--draws", "0"])  # hashed and probed once
        walls: dict[str, list[float]] = {way: [] for way in WAYS}
        busiest: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            printed = {}
            for way, (processes, threads) in WAYS.items():
                wall, taken, printed[way] = measure(model, processes, threads, arguments)
                walls[way].append(wall)
                busiest[way].append(taken)
            first, second = list(printed.values())[:2]
            print("the same bytes" if first == second else "OTHER NUMBERS", flush=True)
    base = next(iter(WAYS))
    print(f"{'':24}{'wall':>10}{'ratio':>8}{'busiest':>10}{'ratio':>8}")
    for way in WAYS:
        cells = [
            (statistics.median(values[way]),
             statistics.median(map(float.__truediv__, values[base], values[way])))
            for values in (walls, busiest)
        ]  # fmt: skip
        print(f"{way:24}" + "".join(f"{seconds:8.1f} s{ratio:8.2f}" for seconds, ratio in cells))


if __name__ == "__main__":
    main()
