"""What the machine gives: seconds, matrix-product rates, memory."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from equipoise.models.kernels import onednn_linear

GIBI = 2**30


def now(device: str) -> float:
    """Processor seconds, or wall seconds on an accelerator once it has done all it was given."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(job: Callable[[], object], device: str) -> float:
    begin = now(device)
    job()
    return now(device) - begin


def peaks(device: str, *, size: int = 2_048) -> dict[str, float]:
    """Best matrix-product rates of this machine, in FLOP/s, by number format: of `size` cubed."""
    times = 3
    x, y = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    half, other = x.bfloat16(), y.bfloat16()
    paths: dict[str, list[Callable[[], Tensor]]] = {
        "float32": [lambda: nn.functional.linear(x, y)],
        "bfloat16": [lambda: nn.functional.linear(half, other)],
    }
    if device == "cpu" and torch.backends.mkldnn.is_available():
        paths["float32"].append(lambda: onednn_linear(x, y))
    for jobs in paths.values():
        for job in jobs:
            job()  # warm
    return {
        name: 2 * size**3 / min(seconds(job, device) for job in jobs for _ in range(times))
        for name, jobs in paths.items()
    }


def resident() -> float:
    """Resident set of this process now, in GiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / GIBI


def most_resident() -> float:
    """Largest resident set of this program since its start or `forget_peak`, in GiB (Linux).

    Not `getrusage`: a process that another one started begins there with that one's own peak.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return (
        next(int(statu.split()[1]) for statu in status if statu.startswith("VmHWM:")) * 1024 / GIBI
    )


def forget_peak() -> None:
    """From here on `most_resident` starts anew."""
    Path("/proc/self/clear_refs").write_text("5")
