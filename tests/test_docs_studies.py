"""What docs/studies.md and the examples say of recipes is what recipes are."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from users_files import NEEDED, USERS

from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.errors import RecipeError
from equipoise.export.tables import TABLES
from equipoise.plugins import available, build
from equipoise.records import JSON, Metric
from equipoise.study.recipe import Recipe
from equipoise.study.resolving import Resolver

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "studies.md").read_text()
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def test_exactly_the_recipe_keys_are_documented() -> None:
    table = re.search(r"\| key \|.*\n\|.*\n((?:\|.*\n)+)", TEXT)
    assert table
    named = {
        name
        for row in table[1].splitlines()
        for name in re.findall(r"`(\w+)`", row.split(" | ")[0])
    }
    assert named | {"title", "strengths"} == {
        field.name for field in fields(Recipe) if field.name not in ("source", "folder", "lines")
    }


def test_recipe_of_the_page_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert block
    (tmp_path / "study.yaml").write_text(block[1])
    recipe = Recipe.from_yaml(tmp_path / "study.yaml")
    assert [mitigation.label for mitigation in recipe.mitigations] == [
        "paper",
        "parity",
        "mine.py:MyMethod",
    ]


def test_every_table_is_documented() -> None:
    section = TEXT.partition("## Tables for elsewhere")[2].partition("| a row per |")[2]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(TABLES)


def test_every_margin_of_a_headline_is_documented() -> None:
    """One row a size and kind; each metric with a margin is in the row of its size."""
    with_margin = [
        metric
        for name in available(Benchmark)
        if name != "harness"  # its task's
        for metric in metrics(build(Benchmark, name, needed(name)))
        if metric.margin is not None
    ]
    section = TEXT.partition("| metric | margin |")[2].partition("\n\n")[0]
    sizes = {float(size) for size in re.findall(r"(?:±|within|not) ([\d.]+)", section)} - {50.0}
    expected = {
        metric.margin.size * (100 if metric.margin.relative else 1)
        for metric in with_margin
        if metric.margin
    }
    assert sizes == expected


def needed(name: str) -> dict[str, JSON] | None:
    return {**NEEDED.get(name, {}), **({"file": "any"} if name in USERS else {})}


def metrics(benchmark: AnyBenchmark) -> tuple[Metric, ...]:
    return tuple(benchmark.metrics)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_plug_ins_and_options_of_an_example_exist(file: Path) -> None:
    recipe = Recipe.from_yaml(file)
    resolver = Resolver(recipe)
    listed = {spec.label for spec in recipe.mitigations}
    added = {spec.label for spec in resolver.controls.added}
    assert resolver.mitigations.keys() == listed | added
    assert len(listed) == len(recipe.mitigations) > 0


def test_misspelt_option_in_an_example_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        (ROOT / "examples/demo.yaml").read_text().replace("objective", "objectve")
    )
    with pytest.raises(RecipeError, match="objective"):
        Resolver(Recipe.from_yaml(tmp_path / "study.yaml"))
