"""Write the tables of docs/scale.md from formulas: what a study costs on 1 to 1,000 GPUs.

    python docs/scale_table.py

A table stands between `<!-- scale: NAME -->` and `<!-- end of scale -->`. Everything it is computed
from is a constant below, with where it comes from. A test checks that the page is up to date.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "scale.md"
MARKED = re.compile(r"(<!-- scale: (\w+) -->\n).*?(<!-- end of scale -->)", flags=re.DOTALL)

# --- measured (docs/scale.md says on what) ------------------------------------------------------
ITEMS = 4_229  # of StereoSet, both tasks
POSITIONS = 101_372  # tokens of their texts, each shared beginning once
STORE_BYTES = 513_796 / 2_000  # of a measurement's outcomes and results, per item
STORE_FILES = 5  # of a step
HASH_RATE = 1.1e9  # bytes per second of sha256, when a checkpoint is opened for the first time
STATISTICS = 0.28 + 0.77  # processor seconds: StereoSet's intervals, and a comparison
STEP_TEXTS = 1_050  # tokens of a training step of BiasUnlearn: 60 texts
#: On reference-12m: processor seconds of one process, of two together, and bytes that these sent.
SHARED = (
    ("`measure stereoset`, 1,000 items", 23.7, 35.1, 1.33e6),
    ("`mitigate bias_unlearn`, 20 steps", 64.1, 126.5, 39.5e6),
)

# --- of data sheets -----------------------------------------------------------------------------
PEAK = 989e12  # FLOP/s of an H200 in bfloat16, without sparsity
LINK = 450e9  # bytes per second of NVLink 4, in one direction

# --- assumed; change them to your machines ------------------------------------------------------
UTILISATION = 0.5  # of the peak, by scoring and training alike
GPUS_PER_NODE = 8
SHARED_RATE = 20e9  # bytes per second that the shared file system reads, for all nodes together
NODE_RATE = 2e9  # that a node reads from it at most
COPY_RATE = 25e9  # from a node's memory to a GPU
START = 30.0  # seconds of a worker's start: imports, CUDA, reading the recipe
SPREAD = 0.2  # standard deviation of a step's time, as a share of it
METADATA = 0.5e-3  # seconds of a look at a file's entry on the shared file system

# --- the study ----------------------------------------------------------------------------------
MODELS, METHODS, SEEDS, BENCHMARKS = 4, 25, 5, 10
TRAINING_STEPS = 200
PASSES = 3  # forward passes' worth of a step of LoRA: forward, and the gradients of inputs, twice
ADAPTER = 16 * 4 * 32 * 2 * 4_096  # parameters of rank 16 on 4 projections of 32 blocks, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A size of model."""

    name: str
    parameters: float
    gpus: int = 1  # that hold one copy

    @property
    def bytes(self) -> float:
        """Of the weights, in bfloat16."""
        return 2 * self.parameters

    @property
    def per_item(self) -> float:
        """Operations of an item of StereoSet."""
        return 2 * self.parameters * POSITIONS / ITEMS

    @property
    def rate(self) -> float:
        """Operations per second of the GPUs that hold a copy."""
        return UTILISATION * PEAK * self.gpus

    @property
    def measure(self) -> float:
        """Seconds of a measurement as large as StereoSet, its statistics included."""
        return self.per_item * ITEMS / self.rate + STATISTICS

    @property
    def fit(self) -> float:
        """Seconds of a training."""
        step = PASSES * 2 * self.parameters * STEP_TEXTS / self.rate
        return TRAINING_STEPS * step

    def loading(self, gpus: int) -> float:
        """Seconds until all GPUs have the weights: read and hashed by node, then copied."""
        nodes = math.ceil(gpus / GPUS_PER_NODE)
        reading = self.bytes / min(NODE_RATE, SHARED_RATE / nodes)
        return reading + self.bytes / HASH_RATE + self.bytes / self.gpus / COPY_RATE


SIZES = (
    Model(name="135M", parameters=0.135e9),
    Model(name="8B", parameters=8.03e9),
    Model(name="70B", parameters=70.6e9, gpus=2),
)
GPUS = (1, 2, 8, 64, 256, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The study on so many GPUs."""

    model: Model
    gpus: int

    @property
    def workers(self) -> int:
        """Copies of the model that work at the same time."""
        return self.gpus // self.model.gpus

    @property
    def fits(self) -> int:
        """Trainings."""
        return MODELS * METHODS * SEEDS

    @property
    def steps(self) -> int:
        """Trainings, and each model and each edited model on each benchmark."""
        return self.fits + (MODELS + self.fits) * BENCHMARKS

    @property
    def work(self) -> float:
        """Seconds of one worker."""
        return self.fits * self.model.fit + (self.steps - self.fits) * self.model.measure

    @property
    def chain(self) -> float:
        """A training and one of its measurements, as slow as the slowest of all workers'."""
        slowest = 1 + SPREAD * math.sqrt(2 * math.log(max(self.workers, 1)))
        return slowest * (self.model.fit + self.model.measure)

    @property
    def begin(self) -> float:
        """Seconds in which a worker that opens every model once does not compute."""
        return START + MODELS * self.model.loading(self.gpus)

    @property
    def computing(self) -> float:
        """At most, whatever the order: Graham (1966), with the longest chain."""
        return self.work / self.workers + (1 - 1 / self.workers) * self.chain

    @property
    def seconds(self) -> float:
        """From the first worker's start to the last result."""
        return self.begin + self.computing

    @property
    def used(self) -> float:
        """The share of the GPUs' time in which they compute."""
        return self.work / self.workers / self.seconds

    @property
    def looks(self) -> float:
        """Seconds of the command: at each step's start it looks for all that are not done."""
        return self.steps * self.steps / 2 * METADATA


def items_table() -> str:
    """What an item, a measurement and a training cost, by size of model."""
    rows = [
        f"| {model.name} | {model.bytes / 1e9:,.1f} | {model.per_item / 1e9:,.0f} "
        f"| {model.rate / model.per_item:,.0f} | {model.measure:.1f} | {model.fit:,.1f} |"
        for model in SIZES
    ]
    head = (
        "| model | GB of weights | GFLOP per item | items per second | s of a measurement "
        "| s of a training |"
    )
    return "\n".join([head, "|" + "---|" * 6, *rows])


def study_table(name: str) -> str:
    """The study on more and more GPUs."""
    model = next(model for model in SIZES if model.name == name)
    rows = []
    for gpus in GPUS:
        run = Run(model=model, gpus=gpus)
        if run.workers:
            rows.append(
                f"| {gpus:,} | {_duration(run.begin)} | {_duration(run.work / run.workers)} "
                f"| {_duration(run.chain)} | {_duration(run.seconds)} | {100 * run.used:.0f} "
                f"| {run.steps / run.computing:.2g} |"
            )
    head = (
        "| GPUs | start and loading | work | longest chain | in all | % used | steps per second |"
    )
    return "\n".join([head, "|" + "---|" * 7, *rows])


def processes_table() -> str:
    """What two processes of one command took and sent each other."""
    rows = [
        f"| {work} | {one:.1f} | {two:.1f} | {2 * one / two:.2f} | {sent / 1e6:.1f} |"
        for work, one, two, sent in SHARED
    ]
    head = "| command | s of one process | s of two together | times as fast | MB exchanged |"
    return "\n".join([head, "|" + "---|" * 5, *rows])


def inside_table() -> str:
    """One training by several processes: what is shared, what each does, what they send."""
    rows = []
    for name, blocks, head in (("GPT-2 small", 380.0, 153.0), ("8B", *step_parts(SIZES[1]))):
        cells = []
        for processes in (1, 2, 4, 8, 64):
            cells.append(f"{(blocks + head) / (blocks / processes + head):.2f}")
        cells.append(f"{(blocks + head) / head:.1f}")
        rows.append(f"| {name} | {100 * head / (blocks + head):.0f} | {' | '.join(cells)} |")
    top = "| model | % that every process does | 1 | 2 | 4 | 8 | 64 | any number |"
    return "\n".join([top, "|" + "---|" * 8, *rows])


def step_parts(model: Model) -> tuple[float, float]:
    """GFLOP of a step of BiasUnlearn: of the blocks, and of the output layer.

    As bench/training.py counts them: two products of the blocks at all tokens, and of the output
    layer two at the 32 texts that are scored (about half of each) and three at the 28 of the KL.
    """
    head = 128_256 * 4_096.0
    scored, held = STEP_TEXTS * 32 / 60 / 2, STEP_TEXTS * 28 / 60
    blocks = 2 * 2 * STEP_TEXTS * (model.parameters - 2 * head)
    return blocks / 1e9, 2 * (2 * scored + 3 * held) * head / 1e9


def limits_table() -> str:
    """What the study asks of what all share, on 1,000 GPUs."""
    run = Run(model=SIZES[1], gpus=1_000)
    rate = run.steps / run.computing
    gigabytes = run.steps * STORE_BYTES * ITEMS / 1e9
    nodes = math.ceil(run.gpus / GPUS_PER_NODE)
    gradients = ADAPTER * 4 * 2
    reading = nodes * MODELS * run.model.bytes / SHARED_RATE
    rows = (
        ("weights read", f"{nodes} nodes x {MODELS} x {run.model.bytes / 1e9:.0f} GB",
         f"{reading:,.0f} s at {SHARED_RATE / 1e9:.0f} GB/s"),
        ("results written", f"{run.steps:,} steps x {STORE_BYTES * ITEMS / 1e6:.1f} MB, "
         f"{run.steps * STORE_FILES:,} files",
         f"{gigabytes:.0f} GB, {rate * STORE_BYTES * ITEMS / 1e6:.0f} MB/s"),
        ("the command's looks at the store", f"{run.steps:,} x {run.steps:,} / 2 entries",
         f"{_duration(run.looks)} at {1e3 * METADATA:.1f} ms"),
        ("all steps checked again", f"{gigabytes:.0f} GB hashed",
         f"{_duration(gigabytes * 1e9 / HASH_RATE)} of a processor"),
        ("gradients of an adapter, per step of a shared training",
         f"2 x {ADAPTER / 1e6:.0f}M x 4 bytes", f"{1e3 * gradients / LINK:.1f} ms over NVLink"),
    )  # fmt: skip
    return "\n".join(
        ["| what | how much | time or rate |", "|---|---|---|"]
        + [f"| {what} | {size} | {cost} |" for what, size, cost in rows]
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


TABLES = {
    "items": items_table,
    "study_8b": lambda: study_table("8B"),
    "study_70b": lambda: study_table("70B"),
    "processes": processes_table,
    "inside": inside_table,
    "limits": limits_table,
}


def with_tables(page: str) -> str:
    """A page with its tables as the formulas give them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
