"""What the processes of `test_data_parallel` and `test_killed` do."""

import json
import math
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import training_rows
from contrast_items import SUPPLY, quick, small
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from equipoise import plugins
from equipoise.mitigate.base import Mitigation
from equipoise.models import kernels
from equipoise.processes.launch import is_main_process
from equipoise.records import Prompt, Supply
from equipoise.training import loop, pronoun_training
from equipoise.training.resume import checkpoints_in

JOBS = ("cook", "guard", "clerk", "pilot", "baker", "judge", "maid")
PROMPTS = Supply(
    origin="by hand",
    prompts=tuple(Prompt(id=job, text=f"The {job} ran because") for job in JOBS),
    hinted=tuple(Prompt(id=job, text=f"The {job} took her bag because") for job in JOBS),
)


def fit(name: str, options: Mapping[str, Any]) -> Any:
    """The edit of a method on a tiny model."""
    method = plugins.build(Mitigation, name, options)
    supply = PROMPTS if name in ("lftf", "full_finetune") else SUPPLY
    supply = training_rows.SUPPLY if name in ("finetune", "npo") else supply
    return method.fit(small(), supply, seed=0)


def fit_all(
    methods: Mapping[str, Mapping[str, Any]], out: str, rank: int, count: int, port: int
) -> None:
    """Fit each method as process `rank` of `count`; losses and weights go to OUT/RANK.json."""
    _prepare()
    if count > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    results: dict[str, Any] = {"main": is_main_process(), "held": 0}
    only_trainable, fitting = loop.only_trainable, ""

    def counted(module: Any, parameters: Mapping[str, Any]) -> Any:
        blocks = [value for name, value in parameters.items() if ".layers." in name]
        if fitting == "finetune":
            here = [value.to_local() if isinstance(value, DTensor) else value for value in blocks]
            results["held"] = sum(value.numel() for value in here)
            # torch cuts between rows, of which the last process may have fewer
            rows = [(len(value), value.numel() // len(value)) for value in blocks]
            results["share"] = sum(-(-size // count) * width for size, width in rows)
        return only_trainable(module, parameters)

    loop.only_trainable = counted
    for name, options in methods.items():
        fitting = name
        edit = fit(name, options)
        report = edit.info.report
        tensors = {key: value.flatten().tolist() for key, value in edit.tensors.items()}
        results[name] = [report["first_loss"], report["last_loss"], tensors]
    Path(out, f"{rank}.json").write_text(json.dumps(results))


def fit_and_die(
    name: str, options: Mapping[str, Any], folder: str, moment: int | None, out: str
) -> None:
    """Fit with checkpoints in FOLDER, and save to OUT; kill -9 at a step or write to the disk."""
    _prepare()
    events = 0

    def counted(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal events
            events += 1
            if events == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    loop.math.isfinite = counted(math.isfinite)  # type: ignore[attr-defined]  # once per step
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.write_bytes = counted(Path.write_bytes)  # type: ignore[method-assign]
    os.fsync = counted(os.fsync)
    pronoun_training.Schedule = partial(loop.Schedule, checkpoint_every=3)  # type: ignore[misc, assignment]
    with checkpoints_in(folder):
        edit = fit(name, options)
    save_file(dict(edit.tensors), out)
    Path(f"{out}.events").write_text(str(events))


def _prepare() -> None:
    quick(pytest.MonkeyPatch())
    torch.set_num_threads(1)
    # Which library is faster is a matter of luck, and of the last digit.
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
