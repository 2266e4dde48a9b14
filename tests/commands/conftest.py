"""A small study that was run once by the command line, and how a command is asked."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from asking import Asked as Asked
from asking import ask as ask
from stored_results import stored
from tiny_folder import save_tiny

from equipoise import cli

RECIPE = """\
title: A small study
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - stereoset
mitigations:
  - {{name: lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.001}}
locators: [random_block]
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 20
limit: 8
rankings: 2
sample: 10
"""
STEPS = 2 + 1 + 2 * (1 + 2) + 2  # measured, located, fitted and measured a seed, compared

Written = Callable[[str], Path]
Refused = Callable[..., str]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny causal model as anybody would save it."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def recipe(model: Path) -> Path:
    """The recipe of the small study."""
    file = model.parent / "small.yaml"
    file.write_text(RECIPE.format(model=model), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study, run once; not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert cli.run(["run", str(recipe), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished study in a folder of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def written(tmp_path: Path, model: Path) -> Written:
    """Write a text as a recipe, with the model's folder in it; gives its file."""

    def write(text: str) -> Path:
        file = tmp_path / "study.yaml"
        file.write_text(text.replace("MODEL", str(model)), encoding="utf-8")
        return file

    return write


@pytest.fixture
def refused(ask: Asked, tmp_path: Path) -> Refused:
    """Give a command that must be refused before any work; gives the one sentence it said."""

    def check(*arguments: object) -> str:
        before = stored(tmp_path)
        status, out, err = ask(*arguments)
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        assert "; " in line, "nothing is said of what to do"
        assert stored(tmp_path) == before
        return line

    return check
