"""kill -9 at many moments, two processes on one store, Ctrl-C: always the same bytes in the end."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from stored_results import stored

from equipoise.study.load_study import read_study

from .killing import run_and_die, run_to_the_end

Written = Callable[..., Path]

#: A step of each kind; one training.
RECIPE = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: genbias, split_by: both}}]
mitigations: [{{name: lftf, objective: parity, epochs: 1, learning_rate: 0.001}}]
locators: [random_block]
supply: {{name: genbias, split_by: both}}
data: planted:default
draws: 20
limit: 10
rankings: 2
sample: 10
"""

#: Which write to the disk is the last one: in shards, inside a step, at its seal, between steps.
MOMENTS = (1, 3, 14, 34)


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    """Processes that have imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.study.killing"])
    return context


@pytest.fixture(scope="module")
def uninterrupted(
    server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path
) -> dict[str, bytes]:
    """The bytes of the study when nothing happens to it."""
    place = tmp_path_factory.mktemp("whole")
    (place / "study.yaml").write_text(RECIPE.format(model=tiny_folder))
    assert finish(server, place / "study.yaml", place / "run") == 0
    return stored(place / "run")


def differences(out: Path, uninterrupted: dict[str, bytes]) -> list[str]:
    """Names of the files that are not the same in both."""
    files = stored(out)
    names = {*files, *uninterrupted}
    return sorted(name for name in names if files.get(name) != uninterrupted.get(name))


def finish(server: ForkServerContext, recipe: Path, out: Path) -> int | None:
    process = server.Process(target=run_to_the_end, args=(str(recipe), str(out)))
    process.start()
    process.join()
    return process.exitcode


def test_killed_at_a_random_write_resumes_to_the_same_bytes(
    server: ForkServerContext, written: Written, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    moment = random.SystemRandom().randint(1, MOMENTS[-1])
    _check_kills(server, written(RECIPE), tmp_path / "run", [moment], uninterrupted)


@pytest.mark.slow
def test_killed_at_every_kind_of_moment_resumes_to_the_same_bytes(
    server: ForkServerContext, written: Written, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    """One store, killed again and again; each run gets a little farther, then is let through."""
    _check_kills(server, written(RECIPE), tmp_path / "run", MOMENTS, uninterrupted)


def _check_kills(
    server: ForkServerContext,
    recipe: Path,
    out: Path,
    moments: Sequence[int],
    uninterrupted: dict[str, bytes],
) -> None:
    for moment in moments:
        process = server.Process(target=run_and_die, args=(str(recipe), str(out), moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, moment
    assert finish(server, recipe, out) == 0
    assert differences(out, uninterrupted) == [], moments


@pytest.mark.slow
def test_killed_at_random_times_resumes_to_the_same_bytes(
    server: ForkServerContext, written: Written, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    recipe, out = written(RECIPE), tmp_path / "run"
    chance = random.Random(0)
    killed = 0
    for _ in range(3):
        process = server.Process(target=run_to_the_end, args=(str(recipe), str(out)))
        process.start()
        time.sleep(chance.uniform(0.2, 2.0))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed >= 1
    assert finish(server, recipe, out) == 0
    assert differences(out, uninterrupted) == []


def test_two_processes_share_one_store(
    server: ForkServerContext, written: Written, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    recipe, out = written(RECIPE), tmp_path / "run"
    both = [server.Process(target=run_to_the_end, args=(str(recipe), str(out))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert differences(out, uninterrupted) == []
    done = [line for line in (out / "log.jsonl").read_text().splitlines() if '"done"' in line]
    assert len(done) == read_study(out).planned  # each step by one of them, once


def test_interrupted_run_stops_at_once_and_resumes(
    server: ForkServerContext, written: Written, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    """A real signal; what is said then is in tests/commands/test_run.py."""
    recipe, out = written(RECIPE), tmp_path / "run"
    process = server.Process(target=run_to_the_end, args=(str(recipe), str(out)))
    process.start()
    while not list(out.glob("steps/[!.]*/done.json")):
        assert process.exitcode is None
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    began = time.monotonic()
    process.join()
    assert process.exitcode == 130
    assert time.monotonic() - began < 10
    assert 0 < len(read_study(out).missing) < read_study(out).planned
    assert finish(server, recipe, out) == 0
    assert differences(out, uninterrupted) == []
