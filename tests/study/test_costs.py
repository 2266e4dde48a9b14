"""What edits cost: read of their records, of the store's log, and of the process."""

import json
import math
import mmap
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from equipoise.errors import StoreError
from equipoise.study.costs import edit_cost, logged_fits
from equipoise.study.peak_memory import peak_memory
from equipoise.study.store import LOG, Store
from equipoise.study.study import Cost


def write_edit(folder: Path, *, kind: str, numbers: int = 0, **report: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    head = {"kind": kind, "tensors_file": "a.safetensors" if numbers else None}
    (folder / "edit.json").write_text(json.dumps({**head, "info": {"report": report}}))
    if numbers:
        save_file({"a": np.zeros((2, numbers // 2), "float32")}, folder / "a.safetensors")
    return folder


def cost(folder: Path, **logged: Any) -> Cost:
    return edit_cost(folder, logged, model="gpt2", mitigation="lftf", seed=1)


def test_a_trained_edit_says_what_was_trained(tmp_path: Path) -> None:
    edit = write_edit(tmp_path, kind="adapter", numbers=6, trained_parameters=6, steps=40)
    read = cost(edit, seconds=2.5, peak_bytes=1000, peak_of="process")
    assert (read.trained_parameters, read.changed_parameters, read.steps) == (6, 6, 40)
    assert (read.seconds, read.peak_bytes, read.peak_of) == (2.5, 1000, "process")
    assert (read.passes_per_token, read.reason) == (1, None)


def test_a_prompt_and_a_decoding_rule_train_nothing(tmp_path: Path) -> None:
    prompt = cost(write_edit(tmp_path / "a", kind="prompts"))
    assert (prompt.trained_parameters, prompt.changed_parameters, prompt.steps) == (0, 0, 0)
    assert prompt.passes_per_token == 1
    assert (
        cost(write_edit(tmp_path / "b", kind="next_token", cost_factor=10)).passes_per_token == 10
    )


def test_what_is_not_known_is_nan_with_a_reason(tmp_path: Path) -> None:
    read = cost(write_edit(tmp_path, kind="weights", numbers=4))
    assert math.isnan(read.trained_parameters)
    assert math.isnan(read.steps)
    assert math.isnan(read.seconds)
    assert math.isnan(read.peak_bytes)
    assert read.changed_parameters == 4
    assert read.reason is not None
    for words in ("how many numbers were trained", "no time", "no memory"):
        assert words in read.reason
    rule = cost(write_edit(tmp_path / "b", kind="next_token"))
    assert math.isnan(rule.passes_per_token)
    assert "forward passes" in str(rule.reason)


def test_a_combined_edit_costs_what_its_parts_do(tmp_path: Path) -> None:
    write_edit(tmp_path, kind="combined")
    write_edit(tmp_path / "first", kind="weights", numbers=4, trained_parameters=4, steps=3)
    write_edit(tmp_path / "second", kind="next_token", cost_factor=6)
    read = cost(tmp_path, seconds=1.0, peak_bytes=5, peak_of="cuda")
    assert (read.trained_parameters, read.changed_parameters, read.steps) == (4, 4, 3)
    assert (read.passes_per_token, read.reason) == (6, None)


def test_a_resumed_step_says_that_its_time_is_of_the_last_start(tmp_path: Path) -> None:
    edit = write_edit(tmp_path, kind="prompts")
    assert "after the last start" in str(cost(edit, seconds=1.0, resumed=True).reason)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    edit = write_edit(tmp_path, kind="weights", numbers=4)
    (edit / "a.safetensors").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"a\.safetensors must be a safetensors file"):
        cost(edit)


def test_the_last_time_of_a_step_counts_and_cut_lines_do_not(tmp_path: Path) -> None:
    lines = [
        '{"event": "done", "step": "fit-1", "seconds": 1}',
        '{"event": "failed", "step": "fit-2"}',
        '{"event": "done", "step": "fit-1", "seconds": 2}',
        '{"event": "done", "ste',
    ]
    (tmp_path / LOG).write_text("\n".join(lines))
    assert {key: line["seconds"] for key, line in logged_fits(Store(folder=tmp_path)).items()} == {
        "fit-1": 2
    }
    assert logged_fits(Store(folder=tmp_path / "none")) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
def test_the_peak_is_that_of_the_block() -> None:
    with peak_memory() as small:
        pass
    with peak_memory() as large:
        # 64 MB of the system's, not of what the process has freed; written to, so that it is there
        block = mmap.mmap(-1, 64_000_000)
        block[:: mmap.PAGESIZE] = b"1" * len(range(0, 64_000_000, mmap.PAGESIZE))
    block.close()
    with peak_memory() as after:
        pass
    if small["peak_of"] == "process":
        assert float(large["peak_bytes"]) - float(small["peak_bytes"]) > 50e6
        assert float(after["peak_bytes"]) < float(large["peak_bytes"])
