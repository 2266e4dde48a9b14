"""What docs/scale.md states as measured: seconds by items, sizes in a store, how long a lock takes.

    EQUIPOISE_DATA=DIR python bench/scale.py MODEL [--items 250 500 1000 2000] [--processes 2]

In turn: `measure` of StereoSet on so many items, in processor seconds of a single thread; a study
of two measurements, whose store is weighed; locks of a step, taken and freed; and with --processes
the same measurement by 1 and by so many processes of torchrun with a thread each, in wall seconds
and processor seconds, start and loading included.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import equipoise as eq
from equipoise.errors import EquipoiseError
from equipoise.files.locking import locked
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

RECIPE = "models: [{model}]\nbenchmarks: [stereoset, genbias]\nlimit: {items}\ndraws: 200\n"
LOCKS = 1_000


def by_items(name: str, counts: list[int]) -> None:
    begin = time.process_time()
    model = eq.load(name, dtype="float32", device="cpu")
    print(f"loading: {time.process_time() - begin:.2f} processor s")
    print("| items | processor s of measure | ms per item |\n|---|---|---|")
    eq.measure(model, "stereoset", limit=50)  # warm
    for count in counts:
        begin = time.process_time()
        eq.measure(model, "stereoset", limit=count)
        taken = time.process_time() - begin
        print(f"| {count:,} | {taken:.2f} | {1e3 * taken / count:.2f} |", flush=True)


def weigh_store(name: str, folder: Path, items: int) -> None:
    (folder / "study.yaml").write_text(RECIPE.format(model=name, items=items))
    run(plan(Recipe.from_yaml(folder / "study.yaml")), Store.open(folder / "run"))
    steps = [step for step in (folder / "run" / "steps").iterdir() if step.is_dir()]
    for step in steps:
        files = [file for file in step.rglob("*") if file.is_file()]
        sizes = ", ".join(f"{file.name} {file.stat().st_size:,}" for file in sorted(files))
        print(f"a step of {items} items at most: {len(files)} files, bytes {sizes}")


def time_locks(folder: Path) -> None:
    begin = time.perf_counter()
    for number in range(LOCKS):
        with locked(folder / f"{number % 10}.lock", timeout=0):
            pass
    print(f"a lock taken and freed: {1e6 * (time.perf_counter() - begin) / LOCKS:.0f} µs")


def by_processes(name: str, count: int, items: int) -> None:
    print("| processes | wall s | processor s |\n|---|---|---|")
    command = ["-m", "equipoise", "measure", name, "stereoset", "--limit", str(items), "--quiet"]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    for number, before in ((1, []), (count, launcher)):
        began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *before, *command],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )
        wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        taken = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        print(f"| {number} | {wall:.1f} | {taken:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder")
    parser.add_argument("--items", type=int, nargs="+", default=[250, 500, 1_000, 2_000])
    parser.add_argument("--processes", type=int, help="of torchrun, beside 1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.processes:
        by_processes(options.model, options.processes, max(options.items))
        return
    by_items(options.model, options.items)
    with tempfile.TemporaryDirectory() as folder:
        weigh_store(options.model, Path(folder), max(options.items))
        time_locks(Path(folder))


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
