"""How much faster two processes measure than one: whole commands, loading and statistics included.

    EQUIPOISE_DATA=DIR python bench/processes.py [--limit 2000] [--rounds 1] [--model FOLDER]

StereoSet on random weights in SmolLM2-135M's shape, in float32, unless a model's folder is named.
Three ways in turn within each round: one process with one thread, two processes with one thread
each, one process with two threads. All must print the same numbers: those with one thread the same
bytes. Some 11 processor seconds of a command are no scoring (imports most of all), and both of two
processes take them: of few items the ratio says nothing of all 4,229.

Shown are the wall's seconds, and the processor's of the busiest process, which other work on the
machine does not stretch: with a core for each process the command takes no less. Ratios are to one
process with one thread, in the same round; of several rounds the median is shown. Then the
processor's seconds of all processes, and the bytes that went over the loopback device meanwhile,
which are those that two processes exchange where nothing else uses it (`unshare -n`).
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
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command took, and what it printed."""

    wall: float  # seconds
    busiest: float  # of the processor, in the process that took most
    together: float  # in all processes
    exchanged: int  # bytes
    printed: str


def loopback_bytes() -> int:
    """Received over the loopback device since the machine started."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == "lo:")


def measure(model: Path, processes: int, threads: int, arguments: list[str]) -> Run:
    """Run the command in so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "equipoise", "measure", str(model), "stereoset", "--json"]
    began, before = time.monotonic(), loopback_bytes()
    with tempfile.TemporaryFile("w+") as printed:
        started = []
        for index in range(processes):  # as torchrun does, whose own start is left out
            places = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": processes}
            places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            launch = places if processes > 1 else {}
            # compiled once, as an installed package is, whatever is set here
            settings = {**launch, "OMP_NUM_THREADS": threads, "PYTHONDONTWRITEBYTECODE": ""}
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
        wall, exchanged = time.monotonic() - began, loopback_bytes() - before
        printed.seek(0)
        return Run(
            wall=wall, busiest=max(taken), together=sum(taken), exchanged=exchanged,
            printed=printed.read(),
        )  # fmt: skip


def main() -> None:
    """Run all ways in turn, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    arguments = ["--limit", str(options.limit), "--device", "cpu", "--quiet"]
    with tempfile.TemporaryDirectory() as place:
        model = options.model or save(Path(place) / "random-135m")
        measure(model, 1, 1, ["--limit", "1", "--draws", "0"])  # hashed and probed once
        runs: dict[str, list[Run]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, (processes, threads) in WAYS.items():
                runs[way].append(measure(model, processes, threads, arguments))
            first, second = (runs[way][-1].printed for way in list(WAYS)[:2])
            print("the same bytes" if first == second else "OTHER NUMBERS", flush=True)
    base = runs[next(iter(WAYS))]
    print(f"{'':20}{'wall':>10}{'ratio':>7}{'busiest':>10}{'ratio':>7}{'all':>9}{'exchanged':>14}")
    for way, of_way in runs.items():
        cells = [
            f"{statistics.median(getattr(run, name) for run in of_way):8.1f} s"
            f"{statistics.median(map(partial(ratio, name), base, of_way)):7.2f}"
            for name in ("wall", "busiest")
        ]
        together = statistics.median(run.together for run in of_way)
        exchanged = statistics.median(run.exchanged for run in of_way) / 1e6
        print(f"{way:20}{''.join(cells)}{together:7.1f} s{exchanged:11.2f} MB")


def ratio(name: str, base: Run, run: Run) -> float:
    """How many times less of it than the other run."""
    quotient: float = getattr(base, name) / getattr(run, name)
    return quotient


if __name__ == "__main__":
    main()
