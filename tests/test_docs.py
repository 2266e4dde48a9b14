"""What the documentation says of benchmarks, and where its links lead, against the code."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from equipoise.api import mitigate
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.loading.load import load
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.planted.world import find_world
from equipoise.plugins import available, build, find, options_of
from equipoise.predictions import Predictions
from equipoise.records import JSON, Metric
from equipoise.supply.base import Supplier
from equipoise.testing import (
    check_benchmark,
    check_mitigation,
    check_supplier,
    tiny_model,
    tiny_supply,
)

ROOT = Path(__file__).parent.parent
PAGES = [one for one in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if one.is_file()]
BENCHMARKS = available(Benchmark)
TEXT = (ROOT / "docs" / "benchmarks.md").read_text()


def section(name: str) -> str:
    """The text under a benchmark's own heading."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/benchmarks.md has no section '## {name}'"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def row_of(name: str, text: str) -> list[str]:
    """The row whose first cell names an option or a metric."""
    found = [row for row in rows(text) if f"`{name}`" in row[0]]
    assert found, f"no row for `{name}`"
    return found[0]


def table(first: str, text: str) -> str:
    """The table whose header begins with this word."""
    found = re.search(rf"^\| {first} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert found, f"no table of the {first}s"
    return found[0]


def ideal(metric: Metric) -> str:
    if metric.ideal is not None:
        return f"{metric.ideal:g}"
    return {True: "more", False: "less", None: "none"}[metric.higher_is_better]


def shown(default: JSON) -> str:
    """A default as a table has it; a choice of options by its name."""
    if isinstance(default, dict):
        default = default["name"]
    return "none" if default is None else f"`{default}`"


@pytest.mark.parametrize("name", available(Supplier))
def test_every_option_of_a_supply_is_there_with_its_default(name: str) -> None:
    page = (ROOT / "docs" / "supplies.md").read_text()
    (part,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    said = table("option", part)
    fields = dataclasses.fields(cast(Any, find(Supplier, name)))
    for field in fields:
        needed = field.default is dataclasses.MISSING
        assert row_of(field.name, said)[1] == ("needed" if needed else shown(field.default))
    assert len(rows(said)) == 1 + len(fields)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_option_is_there_with_its_default(name: str) -> None:
    options = options_of(build(Benchmark, name))
    fields = {field.name for field in dataclasses.fields(build(Benchmark, name))}
    assert fields == options.keys()
    if not options:
        assert "\nNo options.\n" in section(name)
        return
    said = table("option", section(name))
    for option, default in options.items():
        assert row_of(option, said)[1] == shown(default), option
    assert {re.findall(r"`(\w+)`", row[0])[0] for row in rows(said)[1:]} == fields


@pytest.mark.parametrize("name", [one for one in BENCHMARKS if one != "harness"])  # its task's
def test_every_metric_is_there_with_its_unit_and_ideal(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name)
    said = table("metric", section(name))
    for metric in benchmark.metrics:
        _, unit, best, *_ = row_of(metric.name, said)
        assert (unit, best) == (metric.unit, ideal(metric)), metric.name
    named = {one for row in rows(said)[1:] for one in re.findall(r"`(\w+)`", row[0])}
    assert named == {metric.name for metric in benchmark.metrics}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_version_licence_cluster_groups_and_splits_are_there(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name)
    said = section(name)
    assert f"Version {benchmark.version}. Licence: {benchmark.licence}" in said
    cluster = f"`{benchmark.cluster}`" if benchmark.cluster else "none"
    assert f"Cluster: {cluster}" in said
    for word in (*benchmark.by, *benchmark.splits):
        assert f"`{word}`" in said, word


def test_every_setting_in_a_command_can_be_built() -> None:
    given = re.findall(r"--set ([a-z_]+)\.([a-z_]+)=(\S+)", TEXT)
    assert len(given) >= 4
    for name, option, value in given:
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        built = options_of(build(Benchmark, name, {option: parsed}))[option]
        assert (built["name"] if isinstance(built, dict) else built) == parsed


@pytest.mark.parametrize("name", ["strength=0", "strength=0.5", "default", "strength=1"])
def test_truth_of_planted_worlds(name: str) -> None:
    world = find_world(name)
    truth = [
        f"{world.true_afgb():.4f}", f"{world.true_ss():.3f}", f"{world.true_pair_score():.3f}",
        f"{world.true_ub():.2f}",
    ]  # fmt: skip
    assert row_of(name, table("world", section("planted")))[1:] == truth


def test_published_scores_of_stereoset(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    file = data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"
    found = measure(Predictions(file=file), StereoSet(), draws=0)
    printed = rows(table("examples", section("stereoset")))[1:]
    assert len(printed) == 7
    for label, *scores in printed:
        task, _, axis = label.partition(", ")
        group = {"task_axis": f"{task}/{axis}"} if axis else {"task": task}
        group = {} if task == "both" else group
        measured = [found.estimate(one, **group).value for one in ("lms", "ss", "icat")]
        assert [f"{one:.4f}" for one in measured] == scores, label


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            assert anchor in slugs, f"{page.name} links to {target}"


@pytest.mark.parametrize("place", [0, 1, 2], ids=["a benchmark", "a mitigation", "a supply"])
def test_the_plug_ins_of_the_page_on_adding_hold(place: int, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "adding.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[place]
    (tmp_path / "plugin.py").write_text(code)
    name = f"{tmp_path / 'plugin.py'}:" + ("Nurses", "Shrink", "NurseSupply")[place]
    if place == 0:
        check_benchmark(build(Benchmark, name))
        return
    if place == 2:
        check_supplier(build(Supplier, name))
        return
    check_mitigation(build(Mitigation, name))
    base = tmp_path / "base"
    tiny = tiny_model("llama")
    tiny.module.save_pretrained(base)
    tiny.tokenizer.save_pretrained(base)
    mitigate(load(str(base)), build(Mitigation, name), supply=tiny_supply()).save(tmp_path / "edit")
    assert load(str(tmp_path / "edit")).identity.startswith("base@")
