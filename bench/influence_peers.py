"""How fast training rows are scored, beside two other packages: dattri-llm and bergson.

    python bench/influence_peers.py [--shape 12m] [--rows 576] [--threads 1] [--environments FOLDER]

All read the same folder (`peer_world.py`): a Llama of random weights, a LoRA adapter that has
learnt some rows with Adam's state, rows of 17 to 65 tokens, 16 probes. Each runs as a process of
its own from files to scores on the disk: tokens, the probes' gradients, the rows', preconditioning.
A run on few rows is taken off a run on many, so that what a row costs is without start, loading
and probes: processor seconds, and bytes. Ways run in turn within each round; the least is shown.
Agreement is Spearman's, with an exact loop in plain torch (`peer_world.py exact`).

The packages are installed into virtual environments in a temporary folder (`--environments`: into
that folder, to be used again); where that fails it is said, and the others go on.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
PACKAGES = {"dattri-llm": "dattri-llm==0.1.0", "bergson": "bergson==2.5.1"}
#: They come with bergson, for another torch than the processor's, and break transformers.
UNWANTED = ("torchvision", "torchaudio")
EXACT = 160  # rows of the reference

# --- runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A process from files to scores."""

    seconds: float  # of the processor, all its threads
    peak: float  # GiB
    bytes: int
    scores: Path


@dataclass
class Way:
    """A way to score rows, with its runs on few rows and on all."""

    name: str
    python: Path
    program: str
    options: tuple[str, ...] = ()
    few: list[Run] = field(default_factory=list)
    many: list[Run] = field(default_factory=list)

    def run(self, world: Path, rows: int, threads: int) -> Run:
        out = Path(tempfile.mkdtemp(dir=world, prefix="out-")) / "scores"
        command = [self.python, HERE / self.program, *self._step(), world, *self.options]
        command += ["--rows", str(rows), "--out", out, "--threads", str(threads)]
        seconds, peak = measured([str(part) for part in command], threads)
        files = [file for file in out.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        return Run(seconds, peak, size, out.with_suffix(".npy"))

    def _step(self) -> list[str]:
        return ["ours"] if self.program == "peer_world.py" else []


def measured(command: list[str], threads: int) -> tuple[float, float]:
    """Processor seconds of a process and its children, and GiB at its peak.

    Raises `RuntimeError` with the end of what it wrote if it fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    if command[0] != sys.executable:
        environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=tempfile.gettempdir()
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            last = log.read().strip().splitlines()[-1:]
            raise RuntimeError(f"{Path(command[1]).name} ended with {process.returncode}: {last}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


# --- environments -------------------------------------------------------------------------------


def environment(name: str, folder: Path) -> Path | None:
    """The Python of a package's environment, made where it is not there; None: it cannot be."""
    python = folder / name / "bin" / "python"
    ready = folder / name / "ready"
    if ready.is_file():
        return python
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pinned = ["--constraint", str(HERE.parent / "constraints.txt")]
    steps = [
        [sys.executable, "-m", "venv", "--clear", str(folder / name)],
        [*pip, "install", TORCH],
        [*pip, "install", *pinned, TORCH, "transformers", "peft", PACKAGES[name]],
        [*pip, "uninstall", "--yes", *UNWANTED],
        [str(python), "-c", "import transformers, peft; transformers.PreTrainedModel"],
    ]
    for step in steps:
        ran = subprocess.run(step, capture_output=True, text=True, check=False)
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or ["nothing was said"])[-1]
            print(f"{PACKAGES[name]} cannot be installed here, it is left out: {last}", flush=True)
            return None
    ready.touch()
    return python


def ways(folder: Path, shape: str) -> list[Way]:
    """All of them on the small model, on the larger those that keep nothing but scores."""
    here = Path(sys.executable)
    plain = ("--products", "default")
    chosen = [
        Way("this package", here, "peer_world.py"),
        Way("this package, torch's own matrix products", here, "peer_world.py", plain),
    ]
    if python := environment("dattri-llm", folder):
        forms = {
            "exact": "dattri-llm, LESS on the fly, a loss per row",
            "default": "dattri-llm, LESS on the fly, its default loss",
            "stored": "dattri-llm, LESS with gradients on the disk",
        }
        chosen += [
            Way(name, python, "peer_dattri.py", ("--form", form)) for form, name in forms.items()
        ]
    if python := environment("bergson", folder):
        forms = {
            "scored": "bergson, scored on the fly",
            "stored": "bergson, gradients on the disk, projected to 16 x 16 a matrix",
        }
        chosen += [
            Way(name, python, "peer_bergson.py", ("--form", form)) for form, name in forms.items()
        ]
    if shape == "12m":
        return chosen
    return [way for way in chosen if "disk" not in way.name and "default" not in way.name]


# --- tables -------------------------------------------------------------------------------------


def table(all_ways: list[Way], exact: np.ndarray, few: int, many: int) -> list[str]:
    rows = []
    costs = [cost(way, few, many) for way in all_ways]
    for way, (seconds, size) in zip(all_ways, costs, strict=True):
        least = min(way.many, key=lambda run: run.seconds)
        scores = np.load(least.scores)[: len(exact)]
        agreement = spearmanr(scores, exact[: len(scores)]).statistic
        rows.append(
            f"| {way.name} | {1000 * seconds:.1f} | {seconds / costs[0][0]:.2f} "
            f"| {least.seconds:.1f} | {max(run.peak for run in way.many):.2f} | {size:,.0f} "
            f"| {size / costs[0][1]:.1f} | {agreement:.4f} |"
        )
    return rows


def cost(way: Way, few: int, many: int) -> tuple[float, float]:
    """Processor seconds and bytes of a row more."""
    first, second = (min(run.seconds for run in runs) for runs in (way.few, way.many))
    size = way.many[-1].bytes - way.few[-1].bytes
    return (second - first) / (many - few), size / (many - few)


def compare(world: Path, environments: Path, options: argparse.Namespace) -> None:
    few, many = max(16, options.rows // 9), options.rows
    all_ways = ways(environments, options.shape)
    for _ in range(options.rounds):
        for way in list(all_ways):
            try:
                way.few.append(way.run(world, few, options.threads))
                way.many.append(way.run(world, many, options.threads))
            except RuntimeError as error:
                print(f"{way.name} does not run here, it is left out: {error}", flush=True)
                all_ways.remove(way)
    out = world / "exact"
    step("exact", world, "--rows", min(EXACT, many), "--out", out)
    print(
        "\n| way | processor ms a row | x ours | whole run, processor s | peak, GiB | bytes a row "
        "| x ours | Spearman with exact |"
    )
    print("|" + "---|" * 8)
    print("\n".join(table(all_ways, np.load(out.with_suffix(".npy")), few, many)), flush=True)


def step(name: str, world: Path, *options: object) -> None:
    program = [sys.executable, str(HERE / "peer_world.py"), name, str(world)]
    measured([*program, *map(str, options)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of influence beside other packages.")
    parser.add_argument("--shape", choices=["12m", "135m"], default="12m")
    parser.add_argument("--rows", type=int, default=576)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--environments", type=Path, help="kept; else made anew and deleted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        world = Path(temporary) / "world"
        world.mkdir()
        step("build", world, "--shape", options.shape, "--rows", options.rows)
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(
            f"{options.shape}, {options.threads} thread(s) of {os.cpu_count()}, "
            f"load {load} before, {json.loads((world / 'about.json').read_text())}",
            flush=True,
        )
        compare(world, options.environments or Path(temporary), options)
        print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
