"""What bench/gpu.py measures of a job: seconds, products, memory, copies, and waits."""

import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch
from machine import GIBI, forget_peak, most_resident, resident, seconds
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

Job = Callable[[], object]

#: Columns of every table: `Measured.cells`.
COLUMNS = (
    "s", "passes", "TFLOP", "% of peak", "GiB over the weights",
    "to the processor", "to the device", "waits", "numbers read",
)  # fmt: skip


class Overrun(Exception):
    """A part has used up its share of the time."""


@contextmanager
def limited(limit: float) -> Iterator[None]:
    """Raise `Overrun` inside once so many wall seconds have passed, in the middle of a job too."""

    def stop(_: int, __: FrameType | None) -> None:
        raise Overrun

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(limit, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How often a job moved values between processor and device, or waited for the device.

    nan: there is no device. `numbers_read`: tensors of a single value that Python asked for
    (`.item()`, `float`), each of which waits for a device; seen without one, too.
    """

    to_processor: float
    to_device: float
    waits: float
    numbers_read: float

    def minus(self, other: "Copies") -> "Copies":
        """What this has more: of the steps by which two jobs differ."""
        return Copies(
            to_processor=self.to_processor - other.to_processor,
            to_device=self.to_device - other.to_device,
            waits=self.waits - other.waits,
            numbers_read=self.numbers_read - other.numbers_read,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a job took."""

    seconds: float
    passes: int  # forward passes of the whole model
    flop: float  # of products and attention, as torch counts them; nan: not counted
    memory: float  # GiB at the peak, over what was held before
    copies: Copies

    def cells(self, peak: float) -> str:
        """The cells of `COLUMNS`; `peak`: FLOP/s."""
        copies = self.copies
        counts = (copies.to_processor, copies.to_device, copies.waits, copies.numbers_read)
        share = 100 * self.flop / self.seconds / peak
        return " | ".join(
            [
                f"{self.seconds:.3f}",
                str(self.passes),
                _rounded(self.flop / 1e12, 3),
                _rounded(share, 1),
                f"{self.memory:.2f}",
                *(_rounded(count, 0) for count in counts),
            ]
        )


def measure_job(module: nn.Module, job: Job, *, device: str, rounds: int = 2) -> Measured:
    """Run a job that has been run before: timed, then counted, then profiled."""
    held = forget_held(device)
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = module.register_forward_pre_hook(count)
    least = min(seconds(job, device) for _ in range(rounds))
    handle.remove()
    return Measured(
        seconds=least,
        passes=passes // rounds,
        memory=peak_held(device) - held,
        flop=count_flop(job),
        copies=count_copies(job),
    )


def count_flop(job: Job) -> float:
    """Operations of products and attention."""
    with FlopCounterMode(display=False) as counter:
        job()
    return float(counter.get_total_flops())


def count_copies(job: Job) -> Copies:
    """Copies and waits of a job, counted by the profiler."""
    on_gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        job()
        if on_gpu:
            torch.cuda.synchronize()  # counted, and taken off below
    counts = Counter({event.key: event.count for event in profiler.key_averages()})

    def events(begin: str) -> float:
        return sum(n for key, n in counts.items() if key.startswith(begin)) if on_gpu else math.nan

    return Copies(
        to_processor=events("Memcpy DtoH"),
        to_device=events("Memcpy HtoD"),
        waits=events("cudaStreamSynchronize") + max(0.0, events("cudaDeviceSynchronize") - 1),
        numbers_read=counts["aten::_local_scalar_dense"],
    )


def forget_held(device: str) -> float:
    """GiB that are held now; a peak is measured from here on."""
    if device == "cpu":
        forget_peak()
        return resident()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated() / GIBI


def peak_held(device: str) -> float:
    """GiB at the peak since `forget_held`."""
    return most_resident() if device == "cpu" else torch.cuda.max_memory_allocated() / GIBI


def _rounded(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}"
