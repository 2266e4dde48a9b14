"""Two processes train to the losses and weights of one, whatever the loss."""

import json
import socket
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equipoise.errors import RecipeError
from equipoise.processes.launch import refuse_several_processes
from equipoise.testing import tiny_model
from equipoise.training.data_parallel import (
    shared_forward,
    sharing_forward_passes,
)

from .processes import fit_all

PRONOUNS = {"words": ["a", "b"], "learning_rate": 1e-3, "epochs": 2, "batch_size": 3}
CONTRASTS = {"rank": 2, "dropout": 0.0, "steps": 6, "learning_rate": 1e-3, "longest": 100}
#: Batches of 3, 3 and 1 prompts: shares of 1 and 2, and of 0 and 1.
QUICK: dict[str, dict[str, Any]] = {
    "lftf": {**PRONOUNS, "objective": "parity", "keep_hints": 0.5},
    "dpo": {**CONTRASTS, "batch_size": 3, "gradient_checkpointing": True},
    "finetune": {
        "training": {
            "name": "full",
            "epochs": 2,
            "batch_size": 3,
            "learning_rate": 1e-3,
            "max_gradient": 0.1,
            "gradient_checkpointing": True,
            "fsdp": True,
        }
    },
}
ALL = QUICK | {
    "sft": {**CONTRASTS, "batch_size": 5, "evaluate_every": 2},
    "full_finetune": PRONOUNS,
    "parity": CONTRASTS,
    "bias_unlearn": {**CONTRASTS, "controller": "none"},
    "npo": {
        "training": {
            "rank": 2,
            "dropout": 0.0,
            "epochs": 1,
            "batch_size": 5,
            "learning_rate": 1e-3,
        },
        "attributor": "training_rows:Known",
        "steps": 3,
        "batch_size": 3,
        "most_rise": None,
    },
}


def fitted(
    server: ForkServerContext, folder: Path, methods: dict[str, dict[str, Any]], count: int
) -> list[dict[str, Any]]:
    """The results of each of `count` processes."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        server.Process(target=fit_all, args=(methods, str(folder), rank, count, port))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("methods", "count"),
    [
        (QUICK, 2),
        pytest.param(ALL, 2, marks=pytest.mark.slow),
        pytest.param(ALL, 3, marks=pytest.mark.slow),
    ],
)
def test_several_processes_train_as_one(
    server: ForkServerContext, tmp_path: Path, methods: dict[str, dict[str, Any]], count: int
) -> None:
    (alone,) = fitted(server, tmp_path / "alone", methods, 1)
    parallel = fitted(server, tmp_path / "parallel", methods, count)
    assert [results["main"] for results in parallel] == [True, *[False] * (count - 1)]
    assert sum(results["held"] for results in parallel) == alone["held"]
    assert parallel[0]["held"] == parallel[0]["share"] < 1.05 * alone["held"] / count
    assert all(results["held"] <= results["share"] for results in parallel)
    for name in methods:
        first, last, weights = alone[name]
        for results in parallel:
            assert results[name][:2] == pytest.approx([first, last], rel=1e-5, abs=1e-5)
            assert results[name] == parallel[0][name]  # every process has the same bits
            for key, values in weights.items():
                assert results[name][2][key] == pytest.approx(values, abs=1e-5)


@pytest.mark.slow
def test_the_command_under_torchrun_saves_once(tmp_path: Path) -> None:
    model = tiny_model("llama", context=512)
    model.module.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    launch = "-m torch.distributed.run --standalone --nproc_per_node 2 -m equipoise"
    fit = f"mitigate {tmp_path}/tiny lftf --data planted:default --set lftf.epochs=1"
    command = [sys.executable, *launch.split(), *fit.split(), "--out", str(tmp_path / "edit")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert done.stdout.count(f"is in {tmp_path}/edit") == 1
    assert {file.name for file in tmp_path.iterdir()} == {"tiny", "edit"}


def test_a_loss_that_shares_no_forward_pass_is_refused() -> None:
    """Every process would add the whole gradient."""
    two: Any = SimpleNamespace(num_processes=2)
    with pytest.raises(RecipeError, match="2"), sharing_forward_passes(two):
        pass


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_several_processes("a study")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="a study must run in a single process, got 2"):
        refuse_several_processes("a study")


def test_one_process_runs_everything_itself() -> None:
    layer = nn.Linear(2, 3)
    inputs = torch.arange(8.0).view(4, 2)

    def run(share: slice) -> Tensor:
        return layer(inputs[share])

    assert torch.equal(shared_forward(run, [1, 1, 1, 1]), layer(inputs))
