"""What Ray costs over processes of this machine: a whole study by each, in turn.

    EQUIPOISE_DATA=DIR python bench/executors.py [--recipe examples/demo.yaml] [--rounds 2]

Each run is a whole command in a folder of its own, and both must write the same results. Printed
are the fewest seconds of all rounds, the start of Ray and the import of every worker among them. A
planted model is taught before, as it would be by whichever command came first.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from equipoise.loading.load import load
from equipoise.study.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("local:2", "ray")


def run(recipe: Path, folder: Path, on: str) -> float:
    """Seconds of a command."""
    command = [sys.executable, "-m", "equipoise", "run", str(recipe), "--out", str(folder)]
    began = time.perf_counter()
    subprocess.run([*command, "--on", on, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def results(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.glob("steps/**/*")
        if file.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", type=Path, default=ROOT / "examples" / "demo.yaml")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    for model in Recipe.from_yaml(options.recipe).models:
        load(model.name)
    seconds: dict[str, list[float]] = {on: [] for on in PLACES}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.rounds):
            folders = [Path(scratch) / f"{number}-{on.partition(':')[0]}" for on in PLACES]
            for on, folder in zip(PLACES, folders, strict=True):
                seconds[on].append(run(options.recipe, folder, on))
                print(f"round {number + 1}: {on} {seconds[on][-1]:.0f} s", flush=True)
            if results(folders[0]) != results(folders[1]):
                sys.exit("both must write the same results, they differ")
    fewest = {on: min(each) for on, each in seconds.items()}
    local, ray = (fewest[on] for on in PLACES)
    load_now = os.getloadavg()[0]
    print(
        f"{options.recipe.name}: {local:.0f} s with local:2, {ray:.0f} s with ray "
        f"({ray / local - 1:+.0%}); {os.cpu_count()} cores, load {load_now:.0f}"
    )


if __name__ == "__main__":
    main()
