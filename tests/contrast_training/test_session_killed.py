"""`equipoise mitigate`, killed with kill -9 while it trains, goes on when it is given again."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from equipoise.testing import tiny_model

pytestmark = pytest.mark.slow  # three processes that import all

STEPS, EVERY = 30, 5
OPTIONS = {
    "bias_unlearn.controller": "paper",
    "bias_unlearn.steps": STEPS,
    "bias_unlearn.evaluate_every": EVERY,
    "bias_unlearn.first_evaluation": EVERY,
    "bias_unlearn.longest": 200,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    model = tiny_model("llama", context=512)
    model.module.save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    return place


def command(folder: Path, out: Path, *, dies_at: str = "never") -> list[str]:
    settings = [word for key, value in OPTIONS.items() for word in ("--set", f"{key}={value}")]
    runner = Path(__file__).parents[1] / "commanding.py"
    arguments = ["mitigate", str(folder), "bias_unlearn", "--out", str(out), "--json", *settings]
    arguments += ["--data", "planted:targets=40"]
    return [sys.executable, str(runner), dies_at, *arguments]


def content(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


def test_killed_training_resumes_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "edit"
    subprocess.run(command(folder, whole), check=True, capture_output=True)
    states = tmp_path / ".edit.training"
    killed = subprocess.run(command(folder, out, dies_at="17"), check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(list(states.glob("*.safetensors"))) == 1
    done = subprocess.run(command(folder, out), check=True, capture_output=True, text=True)
    assert not states.exists()
    assert content(out) == content(whole)
    report = json.loads(done.stdout)["report"]
    assert report["steps"] == STEPS
    directions = {tuple(entry["directions"].values()) for entry in report["evaluations"]}
    assert len(directions) > 1
