"""The most memory that a step took, of the accelerator or else of the process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_RESET = Path("/proc/self/clear_refs")  # "5" forgets the peak so far
_STATUS = Path("/proc/self/status")


@contextmanager
def peak_memory() -> Iterator[dict[str, float | str]]:
    """A `with` block that fills `peak_bytes` and `peak_of` at its end, where they can be known.

    "cuda": allocated by torch on all GPUs together, each at its own peak. "process": resident
    memory of the whole process, the program and the model among it; Linux alone tells it.
    """
    peak: dict[str, float | str] = {}
    gpus = range(torch.cuda.device_count())
    for gpu in gpus:
        torch.cuda.reset_peak_memory_stats(gpu)
    reset = False
    with suppress(OSError):
        _RESET.write_text("5", encoding="ascii")
        reset = True
    yield peak
    on_gpus = sum(torch.cuda.max_memory_allocated(gpu) for gpu in gpus)
    if on_gpus:
        peak |= {"peak_bytes": on_gpus, "peak_of": "cuda"}
    elif reset and (kilobytes := _highest_resident()) is not None:
        peak |= {"peak_bytes": 1024 * kilobytes, "peak_of": "process"}


def _highest_resident() -> int | None:
    """In kB, since the last reset; None where the system does not say it."""
    with suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return None
