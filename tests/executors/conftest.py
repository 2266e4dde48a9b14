"""A small study, and what it is when one process runs it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stored_results import stored
from tiny_folder import save_tiny

from equipoise.models import kernels
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

#: Two steps that can be done at once, and three that wait for others.
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


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "study.yaml"
    file.write_text(RECIPE.format(model=tiny_folder), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def small_plan(recipe_file: Path) -> Plan:
    return plan(Recipe.from_yaml(recipe_file))


@pytest.fixture(scope="package", autouse=True)
def _a_library_of_products() -> Iterator[None]:
    """Which one is faster is measured by each process: tests that compare bytes take torch's.

    Here alone: other tests of this process look at the choice itself.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "float32_matmul", lambda: "default")
        patch.setattr("equipoise.executors.study_job.float32_matmul", lambda: "default")
        yield


@pytest.fixture(scope="package")
def serial(
    tmp_path_factory: pytest.TempPathFactory, small_plan: Plan, _a_library_of_products: None
) -> dict[str, bytes]:
    """The bytes of the study when this process runs it."""
    folder = tmp_path_factory.mktemp("serial") / "run"
    summary = run(small_plan, Store.open(folder))
    assert (summary.done, summary.failed) == (5, ())
    return stored(folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "run")


@pytest.fixture
def written(tmp_path: Path, tiny_folder: Path) -> Callable[[str], Path]:
    """Write a recipe; gives its file."""

    def write(text: str) -> Path:
        file = tmp_path / "other.yaml"
        file.write_text(text.format(model=tiny_folder), encoding="utf-8")
        return file

    return write
