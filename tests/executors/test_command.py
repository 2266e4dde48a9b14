"""`equipoise run --on`: what is said of a place, and what is refused in a sentence."""

import json
import socket
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Literal
from unittest.mock import MagicMock

import pytest

from equipoise import cli
from equipoise.errors import PackageError, PlaceError, RecipeError
from equipoise.executors.choose import open_executor
from equipoise.study.plan import Plan, Step
from equipoise.study.runner import run
from equipoise.study.step_runner import StepOutcome
from equipoise.study.store import Store


class Answering:
    """An executor all of whose workers answer the same."""

    slots = 2

    def __init__(self, outcome: StepOutcome) -> None:
        self.outcome, self.asked, self.closed = outcome, 0, False

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        assert not lost
        assert all(need.kind for need in step.needs)
        self.asked += 1
        future: Future[StepOutcome] = Future()
        future.set_result(self.outcome)
        return future

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("state", "kind"), [("refused", RecipeError), ("no_place", PlaceError)])
def test_a_worker_that_cannot_go_on_ends_the_run(
    state: Literal["refused", "no_place"],
    kind: type[Exception],
    small_plan: Plan,
    store: Store,
) -> None:
    executor = Answering(StepOutcome(state=state, why="a reason"))
    with pytest.raises(kind, match="a reason"):
        run(small_plan, store, executor=executor)
    assert (executor.asked, executor.closed) == (2, True)
    assert not list((store.folder / "failed").iterdir())


def test_failures_are_counted_with_what_needs_them(small_plan: Plan, store: Store) -> None:
    executor = Answering(StepOutcome(state="failed", why="a reason"))
    summary = run(small_plan, store, executor=executor)
    assert (summary.done, len(summary.failed)) == (0, 5)
    assert executor.asked == 3  # the others lack what failed
    assert executor.closed


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("lokal:2", "did you mean 'local:2'?"),
        ("ray:127.0.0.1:nothing", "got '127.0.0.1:nothing' ("),
        ("slurm", "must be run where jobs are submitted, got no sbatch on"),
    ],
)
def test_places_that_are_not_there(
    on: str,
    message: str,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("ray" if on.startswith("ray") else "json")
    pytest.importorskip("submitit" if on == "slurm" else "json")
    assert cli.run(["run", str(recipe_file), "--out", str(tmp_path / "r"), "--on", on]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error: ") == 1


def test_an_address_that_does_not_answer(small_plan: Plan, store: Store) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RecipeError, match=f"got '{address}' .*refused.*ray start --head"):
        open_executor(f"ray:{address}", small_plan, store)


def test_a_machine_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from equipoise.executors import ray_cluster

    def get(answer: object, *, timeout: float) -> str:
        raise ray.exceptions.GetTimeoutError(f"{answer} after {timeout}")

    monkeypatch.setattr(
        ray,
        "nodes",
        lambda: [{"Alive": True, "NodeID": "ab" * 28, "NodeManagerHostname": "node-3"}],
    )
    monkeypatch.setattr(ray, "remote", MagicMock())
    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(RecipeError, match="within 600 s that it can run equipoise, node-3 has not"):
        ray_cluster._check_machines(store.folder / "jobs" / "job.json")


@pytest.mark.parametrize(
    ("on", "package", "file"),
    [("ray", "ray", "ray_cluster"), ("submitit-local", "submitit", "slurm")],
)
def test_without_the_extra(
    on: str,
    package: str,
    file: str,
    small_plan: Plan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"equipoise.executors.{file}", raising=False)
    with pytest.raises(PackageError, match=r"run pip install 'equipoise\[cluster\]'"):
        open_executor(on, small_plan, store)


def test_a_dry_run_says_where_and_why(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(recipe_file), "--out", str(tmp_path / "run"), "--dry"]
    assert cli.run([*command, "--on", "local:2"]) == 0
    out = capsys.readouterr().out
    assert "where: 2 processes of this machine" in out
    assert "(1 CPU, 1.5 GB: 0.0352 M parameters of 4 bytes, times 4, and 1.5 GB)" in out
    assert "(1 CPU: opens no model)" in out
    assert cli.run([*command, "--on", "slurm", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["place"] == "Slurm"
    assert all(step["needs"].startswith("1 CPU") for step in answer["steps"])
    assert cli.run([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["place"] == "this process, one after the other"
    assert {step["needs"] for step in answer["steps"]} == {None}
    assert not (tmp_path / "run").exists()
