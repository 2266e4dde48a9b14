"""A small study that runs in a few seconds, and how a store's bytes are compared."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_folder import save_tiny

from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

RECIPE = """\
title: A tiny study
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - stereoset
  - {{name: genbias, as: everything, split: all, edited: false}}
mitigations:
  - {{name: lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.001}}
locators: [block_influence, random_block]
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 20
limit: 40
rankings: 2
sample: 10
"""

SHARD = 25  # examples; less than are measured


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny causal model as anybody would save it."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def written(tmp_path: Path, tiny_folder: Path) -> Callable[..., Path]:
    """Write a recipe, the small study's unless another text is given; gives its file."""

    def write(text: str = RECIPE, name: str = "study.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text.format(model=tiny_folder), encoding="utf-8")
        return file

    return write


@pytest.fixture(scope="session")
def base_plan(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Plan:
    """The plan of the small study."""
    file = tmp_path_factory.mktemp("recipe") / "study.yaml"
    file.write_text(RECIPE.format(model=tiny_folder), encoding="utf-8")
    return plan(Recipe.from_yaml(file))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, base_plan: Plan) -> Path:
    """The small study, run once without interruption; leave it as it is."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise.study.execution.SHARD_SIZE", SHARD)
        summary = run(base_plan, Store.open(folder))
    assert (summary.skipped, summary.failed) == (0, ())
    return folder
