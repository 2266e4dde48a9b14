"""Whole commands of this tree beside those of an earlier commit, each in a process of its own.

    EQUIPOISE_DATA=DIR python bench/commands.py MODEL [--commit fc7d19c] [--rounds 3] [--limit N]

The earlier commit is checked out beside this tree (`git worktree`) and removed at the end. The
commands run in turn, first those of the one tree and then those of the other, with one thread and
bytecode of their own; printed are the fewest processor seconds of all rounds, children included.
"statistics" is the estimates of results that are stored, with all groups and 2,000 draws, without
the time to start and to read them; `compare` compares them with themselves.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ("stereoset", "crows_pairs", "genbias", "genhint")
STATISTICS = """
import importlib, sys, time
from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.study.results import read_results

names = vars(importlib.import_module("equipoise.measure"))
estimate = names.get("estimate_metrics") or names["_estimates"]
for result in read_results(sys.argv[1]):
    benchmark = plugins.build(Benchmark, result.benchmark, result.options)
    start = time.process_time()
    list(estimate(benchmark, result.outcomes, cluster=result.cluster, family=False, draws=2000,
                  seed=0))
    print(result.benchmark, time.process_time() - start)
"""


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def run(tree: Path, arguments: list[str], scratch: Path) -> tuple[float, str]:
    """Processor seconds of a Python process that imports the tree's package, and its output."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONPYCACHEPREFIX": str(scratch / "bytecode" / tree.name),
        "PYTHONDONTWRITEBYTECODE": "",
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, cwd=scratch, stdout=output, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"'{' '.join(arguments)[:60]}' must end well in {tree}, got {status}")
        output.seek(0)
        return usage.ru_utime + usage.ru_stime, output.read()


def time_commands(tree: Path, model: str, limit: int | None, scratch: Path) -> dict[str, float]:
    """Processor seconds of each command."""
    results = Path(tempfile.mkdtemp(dir=scratch)) / "results.json"
    cut = [] if limit is None else ["--limit", str(limit)]
    command = ["-m", "equipoise"]
    seconds = {
        "import equipoise": run(tree, ["-c", "import equipoise"], scratch)[0],
        "list": run(tree, [*command, "list"], scratch)[0],
        f"measure {' '.join(BENCHMARKS)}": run(
            tree, [*command, "measure", model, *BENCHMARKS, "--out", str(results), *cut], scratch
        )[0],
        "compare": run(tree, [*command, "compare", str(results), str(results)], scratch)[0],
    }
    _, lines = run(tree, ["-c", STATISTICS, str(results)], scratch)
    return seconds | {
        f"statistics of {name}": float(number)
        for name, number in (line.split() for line in lines.splitlines())
    }


def print_table(before: Mapping[str, float], now: Mapping[str, float], commit: str) -> None:
    print(f"| command | {commit}, processor s | this tree | ratio |\n|---|---|---|---|")
    for name, seconds in now.items():
        print(f"| {name} | {before[name]:.2f} | {seconds:.2f} | {before[name] / seconds:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="what `equipoise measure` takes; a folder by its full path")
    parser.add_argument("--commit", default="fc7d19c")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="examples of each benchmark")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        checkout(given.commit, Path(folder) / "earlier") as earlier,
    ):
        fewest: dict[Path, dict[str, float]] = {earlier: {}, ROOT: {}}
        for _ in range(given.rounds):
            for tree, times in fewest.items():
                for name, seconds in time_commands(
                    tree, given.model, given.limit, Path(folder)
                ).items():
                    times[name] = min(seconds, times.get(name, seconds))
        print_table(fewest[earlier], fewest[ROOT], given.commit)


if __name__ == "__main__":
    main()
