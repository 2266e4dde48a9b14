"""The bench of an accelerator: a part is cut in time, and all parts run at a tiny size."""

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

BENCH = Path(__file__).parent.parent / "bench"
pytestmark = pytest.mark.slow  # torch's counter of operations takes 10 s to be imported


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def test_a_job_is_cut_in_its_middle_and_another_may_follow() -> None:
    from gpu_measuring import Overrun, limited

    began = time.perf_counter()
    with pytest.raises(Overrun), limited(0.05):
        time.sleep(30)
    assert time.perf_counter() - began < 10
    with limited(30):
        pass


def test_products_and_numbers_read_are_counted() -> None:
    from gpu_measuring import count_copies, count_flop

    x, y = torch.randn(4, 8), torch.randn(8, 16)
    assert count_flop(lambda: x @ y) == 2 * 4 * 8 * 16
    copies = count_copies(lambda: [float(x[0, 0]), x[1, 1].item(), x.sum()])
    assert copies.numbers_read == 2
    twice = count_copies(lambda: [float(x[0, 0]) for _ in range(4)])
    assert twice.minus(copies).numbers_read == 2
    if not torch.cuda.is_available():
        assert math.isnan(copies.to_processor)
        assert math.isnan(copies.waits)


@pytest.mark.usefixtures("data_folder")
def test_all_parts_run_at_a_tiny_size() -> None:
    command = [sys.executable, str(BENCH / "gpu.py"), "--size", "tiny", "--seconds", "20000"]
    ran = subprocess.run(
        [*command, "--device", "cpu"], capture_output=True, text=True, check=True, env=os.environ
    )
    for kind in ("Continuation", "TextPair", "NextToken", "heads", "rows by influence"):
        row = next(line for line in ran.stdout.splitlines() if line.startswith(f"| {kind} |"))
        numbers_read = row.split("|")[-3].strip()
        assert numbers_read == "0" or kind in ("heads", "rows by influence")
    assert "| a step of BiasUnlearn |" in ran.stdout
    assert "| output layer in chunks |" in ran.stdout
    assert "largest gap of a log-probability: 0.0e+00" in ran.stdout
    assert "cut after" not in ran.stdout
    assert "not measured" not in ran.stdout
