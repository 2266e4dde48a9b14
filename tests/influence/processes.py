"""What the processes of `test_score_files` do."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from equipoise.attribute.influence import Influence
from equipoise.influence import row_scores
from equipoise.influence.score_files import scores_in
from equipoise.models import kernels

from .making import PROBES, TRAINING, make_rows, small

#: Six windows of 8 rows.
ROWS, WINDOW = 46, 8


def attribute_and_die(folder: str, moment: int | None, out: str) -> None:
    """Scores to FOLDER, a column of them to OUT; kill -9 at a write to the disk."""
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

    model, rows = small(), make_rows(ROWS)
    attributor = Influence(training=replace(TRAINING, epochs=1))
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.write_bytes = counted(Path.write_bytes)  # type: ignore[method-assign]
    os.fsync = counted(os.fsync)
    with scores_in(folder):
        attribution = attributor.attribute(model, rows, PROBES, seed=0)
    Path(out).write_text(json.dumps([events, attribution.scores.tolist()]))


def attribute_together(out: str, rank: int, count: int, port: int) -> None:
    """As process `rank` of `count`; scores and what was left out to OUT/RANK.json."""
    _prepare()
    if count > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    rows = list(make_rows(ROWS))
    rows[3] = replace(rows[3], text=" ")
    rows[20] = replace(rows[20], text="far too long " * 9)
    attributor = Influence(training=replace(TRAINING, epochs=1))
    attribution = attributor.attribute(small(), rows, PROBES, seed=0)
    by_group = {name: column.tolist() for name, column in attribution.by_group.items()}
    document = [attribution.scores.tolist(), by_group, dict(attribution.skipped)]
    Path(out, f"{rank}.json").write_text(json.dumps(document))


def _prepare() -> None:
    torch.set_num_threads(1)
    row_scores.WINDOW = WINDOW  # type: ignore[misc]
    # Which library is faster is a matter of luck, and of the last digit.
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
