"""Something is killed while workers are at a study: nothing is lost, the same command goes on.

Slow, as each starts a cluster or two; those of `make extras` are the first two.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_results import stored

from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan
from equipoise.study.runner import run
from equipoise.study.store import Store

from .conftest import RECIPE
from .killing import RESUMED_BY

pytestmark = pytest.mark.slow


def run_killing(recipe: Path, folder: Path, on: str, victim: str) -> tuple[int, str]:
    """Status and last line of a run of which something was killed."""
    pytest.importorskip("ray" if on == "ray" else "multiprocessing")
    pytest.importorskip("submitit" if on == "submitit-local" else "multiprocessing")
    command = [sys.executable, "-m", "tests.executors.killing"]
    done = subprocess.run(
        [*command, str(recipe), str(folder), on, victim],
        check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    print(done.stdout, done.stderr[-3000:])
    return done.returncode, done.stdout.splitlines()[-1]


def test_a_worker_of_ray(recipe_file: Path, tmp_path: Path, serial: dict[str, bytes]) -> None:
    """Ray does its step again by itself."""
    ended = run_killing(recipe_file, tmp_path / "run", "ray", "worker")
    assert ended == (0, "done: 5, failed: 0")
    assert stored(tmp_path / "run") == serial


def test_a_job_that_is_preempted(tmp_path: Path, written: Callable[[str], Path]) -> None:
    """submitit submits it again: its own local executor knows preemption, too."""
    text = RECIPE.replace("epochs: 1,", "epochs: 10,").replace("locators: [random_block]\n", "")
    two_steps = written(text.replace("split_by: both}}]", "split_by: both, edited: false}}]"))
    ended = run_killing(two_steps, tmp_path / "run", "submitit-local", "preempted")
    assert ended == (0, "done: 2, failed: 0")
    logs = tmp_path / "run" / "logs"
    texts = [file.read_text() for file in (*logs.glob("*.txt"), *logs.glob("submitit/*.err"))]
    assert sum(text.count("Requeued job") for text in texts) == 1
    (training,) = logs.glob("fit-*.txt")
    assert training.read_text().count(", begun on ") == 2


@pytest.mark.parametrize(
    ("on", "victim", "status"),
    [
        ("local:2", "driver", -signal.SIGKILL),
        ("local:2", "disk", 1),
        ("ray", "driver", -signal.SIGKILL),
        ("ray", "raylet", 1),
        ("ray", "gcs_server", 1),
        ("submitit-local", "driver", -signal.SIGKILL),
    ],
)
def test_another_engine_goes_on(
    on: str,
    victim: str,
    status: int,
    recipe_file: Path,
    tmp_path: Path,
    serial: dict[str, bytes],
    small_plan: Plan,
) -> None:
    assert run_killing(recipe_file, tmp_path / "run", on, victim)[0] == status
    assert len(read_study(tmp_path / "run").missing) > 0
    ended = run_killing(recipe_file, tmp_path / "run", RESUMED_BY[on], "nobody")
    assert ended[0] == 0
    assert "failed: 0" in ended[1]
    assert stored(tmp_path / "run") == serial
    again = run(small_plan, Store.open(tmp_path / "run"))  # and all is there
    assert (again.done, again.skipped) == (0, 5)
