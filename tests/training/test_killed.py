"""kill -9 at any moment: the same call resumes and ends with the same bits."""

import random
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from .processes import fit_and_die

#: Checkpoints after 3, 6 and 9 of 12 steps; after each evaluation.
LFTF = ("lftf", {"words": ["a", "b"], "learning_rate": 1e-3, "epochs": 4, "batch_size": 3})
SFT = ("sft", {"rank": 2, "steps": 9, "batch_size": 5, "evaluate_every": 2, "keep_lms": 50.0})
#: Two trainings, one after the other; a checkpoint after each epoch or evaluation.
NPO = (
    "npo",
    {
        "training": {"rank": 2, "epochs": 2, "batch_size": 8, "learning_rate": 1e-2},
        "attributor": "training_rows:Known",
        "batch_size": 8,
        "steps": 4,
        "evaluate_every": 2,
        "most_rise": 0.5,
    },
)

#: All weights; a checkpoint after 50 and 100 of 120 steps.
FULL = (
    "finetune",
    {"training": {"name": "full", "epochs": 5, "batch_size": 1, "learning_rate": 1e-3}},
)


def fitted(
    server: ForkServerContext,
    method: tuple[str, dict[str, Any]],
    folder: Path,
    *,
    moment: int | None = None,
) -> tuple[int | None, bytes]:
    """A process's exit status, and the bytes of the weights if it came to its end."""
    out = folder.with_suffix(".safetensors")
    process = server.Process(target=fit_and_die, args=(*method, str(folder), moment, str(out)))
    process.start()
    process.join()
    return process.exitcode, out.read_bytes() if out.exists() else b""


def check_kills(
    server: ForkServerContext,
    method: tuple[str, dict[str, Any]],
    folder: Path,
    *,
    kills: int,
    seed: int,
) -> None:
    """Killed at random moments, one after the other; each run gets farther or is killed again."""
    status, expected = fitted(server, method, folder / "whole")
    assert status == 0
    events = int((folder / "whole.safetensors.events").read_text())
    generator = random.Random(seed)
    for _ in range(kills):
        moment = generator.randint(1, events)
        status = fitted(server, method, folder / "killed", moment=moment)[0]
        assert status in (-signal.SIGKILL, 0)
    assert fitted(server, method, folder / "killed") == (0, expected)


@pytest.mark.parametrize(
    "method",
    [LFTF, NPO, FULL, pytest.param(SFT, marks=pytest.mark.slow)],
    ids=lambda method: method[0],
)
def test_killed_at_a_random_moment_it_ends_with_the_same_bits(
    server: ForkServerContext, tmp_path: Path, method: tuple[str, dict[str, Any]]
) -> None:
    check_kills(server, method, tmp_path, kills=1, seed=random.randrange(2**32))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", [LFTF, SFT, NPO, FULL], ids=lambda method: method[0])
def test_killed_again_and_again(
    server: ForkServerContext, tmp_path: Path, method: tuple[str, dict[str, Any]], seed: int
) -> None:
    check_kills(server, method, tmp_path, kills=5, seed=seed)
