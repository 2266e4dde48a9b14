"""What the documentation says of plug-ins, files and names, and where its links lead."""

import ast
import json
import re
import runpy
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from users_files import NEEDED as OPTIONS
from users_files import USERS

from equipoise.api import mitigate
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, ScoresTexts
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.commands.describe import plugin_bases
from equipoise.loading.load import load
from equipoise.measure import measure
from equipoise.metrics.scale import Scale
from equipoise.mitigate.base import Mitigation
from equipoise.planted.world import find_world
from equipoise.plugins import available, build, find
from equipoise.predictions import Predictions
from equipoise.records import JSON, Metric
from equipoise.supply.base import Supplier
from equipoise.testing import (
    check_benchmark,
    check_mitigation,
    check_supplier,
    check_text_scorer,
    tiny_model,
    tiny_supply,
)
from equipoise.text_scorers.base import TextScorer, WrittenText

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md"))]
BENCHMARKS = available(Benchmark)
BASES = plugin_bases()


#: Options without a default, by plug-in.
NEEDED: dict[str, dict[str, JSON]] = {
    "transfer": {"edit": "any"},
    "rows": {"path": "any.jsonl"},
    **OPTIONS,
    **{name: {"file": "any.csv", **OPTIONS.get(name, {})} for name in USERS},
}


def page_of(name: str) -> str:
    """The text about a benchmark."""
    return (DOCS / "benchmarks" / f"{name}.md").read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def row_of(name: str, text: str) -> list[str]:
    """The row whose first cell names a metric or a world."""
    return next(row for row in rows(text) if f"`{name}`" in row[0])


def table(first: str, text: str) -> str:
    """The table whose header begins with this word."""
    match = re.search(rf"^\| {first} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert match, f"no table of the {first}s"
    return match[0]


def ideal(metric: Metric) -> str:
    if metric.ideal is not None:
        return f"{metric.ideal:g}"
    return {True: "more", False: "less", None: "none"}[metric.higher_is_better]


@pytest.mark.thorough
def test_tables_of_options_are_as_the_source_has_them() -> None:
    """`python docs/option_tables.py` writes them."""
    with_tables = runpy.run_path(str(DOCS / "option_tables.py"))["with_tables"]
    outdated = [page.name for page in PAGES if with_tables(page.read_text()) != page.read_text()]
    assert outdated == []


def test_pages_of_results_say_of_metrics_what_the_docs_say() -> None:
    """`python docs/definition_table.py` writes it."""
    written = runpy.run_path(str(DOCS / "definition_table.py"))
    assert written["FILE"].read_text(encoding="utf-8") == written["definitions"]()
    known = json.loads(written["FILE"].read_text(encoding="utf-8"))
    assert set(known) == set(BENCHMARKS) - {"harness"}
    for name, meanings in known.items():
        for metric, meaning in meanings.items():
            # on its own beside a name "the same" says nothing
            assert not re.match(r"(the same|as in|as of|its) ", meaning), f"{name}.{metric}"


def test_every_plug_in_has_a_table_of_options() -> None:
    text = "".join(page.read_text() for page in PAGES)
    tables = re.findall(r"^<!-- options: (\w+) (\w+) -->$", text, re.MULTILINE)
    names = [(kind, name) for kind, base in BASES.items() for name in available(base)]
    assert sorted(tables) == sorted([*names, ("server", "openai")])


@pytest.mark.parametrize(
    "kind", ["benchmark", "locator", "attributor", "mitigation", "judge", "scorer"]
)
def test_the_readme_names_every_plug_in(kind: str) -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in available(BASES[kind]) if f"`{name}`" not in text] == []


def test_every_benchmark_is_in_the_index() -> None:
    links = re.findall(r"\[`(\w+)`\]\(benchmarks/(\w+)\.md\)", (DOCS / "benchmarks.md").read_text())
    assert {name for name, page in links if name == page} == set(BENCHMARKS)


#: Whose metrics are of any scale of any scorer, which their pages call NAME.
SCORED = [name for name in BENCHMARKS if issubclass(find(Benchmark, name), ScoresTexts)]


class NamedByPages(TextScorer):
    """Numbers of texts under the name that pages give to any scale."""

    version = "1"
    paper = "own"
    scales = (
        Scale(name="NAME", unit="share", meaning="", low=0, high=1, neutral=0, harmful_from=0.5),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{"NAME": 0.0} for _ in texts]


@pytest.mark.parametrize("name", SCORED)
def test_every_metric_of_a_scale_is_there_with_its_ideal(name: str) -> None:
    options: dict[str, JSON] = {"scorers": [f"{__file__}:NamedByPages"]}
    benchmark: AnyBenchmark = build(Benchmark, name, NEEDED.get(name, {}) | options)
    metrics = table("metric", page_of(name))
    for metric in benchmark.metrics:
        assert row_of(metric.name, metrics)[1] in (ideal(metric), "of the scale"), metric.name
    named = {match for row in rows(metrics)[1:] for match in re.findall(r"`(\w+)`", row[0])}
    assert named == {metric.name for metric in benchmark.metrics}


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in ("harness", *SCORED)])
def test_every_metric_is_there_with_its_unit_and_ideal(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name, NEEDED.get(name))
    metrics = table("metric", page_of(name))
    for metric in benchmark.metrics:
        _, unit, best, *_ = row_of(metric.name, metrics)
        assert (unit, best) == (metric.unit, ideal(metric)), metric.name
    names = {match for row in rows(metrics)[1:] for match in re.findall(r"`(\w+)`", row[0])}
    crossed = {f"{metric}_over_{key}" for metric, key in benchmark.crossed.items()}
    assert names == {metric.name for metric in benchmark.metrics} | crossed


@pytest.mark.parametrize("name", BENCHMARKS)
def test_version_licence_cluster_groups_and_splits_are_there(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name, NEEDED.get(name))
    page = page_of(name)
    assert f"Version {benchmark.version}. Licence: {benchmark.licence}" in page
    cluster = f"`{benchmark.cluster}`" if benchmark.cluster else "none"
    assert f"Cluster: {cluster}" in page
    for word in (*benchmark.by, *benchmark.splits):
        assert f"`{word}`" in page, word


def settings_of(verb: str, text: str) -> list[tuple[str, str, JSON]]:
    """Plug-in, option and value of every `--set` in a command of a page."""
    settings = []
    for line in re.findall(rf"^equipoise {verb} .*", text, re.MULTILINE):
        for flag, word in pairwise(shlex.split(line, comments=True)):
            if flag == "--set":
                place, _, written = word.partition("=")
                name, _, option = place.partition(".")
                try:
                    settings.append((name, option, json.loads(written)))
                except ValueError:
                    settings.append((name, option, written))
    return settings


@pytest.mark.thorough
def test_every_setting_in_a_command_can_be_built() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for verb, base in (("measure", Benchmark), ("mitigate", Mitigation)):
        settings = settings_of(verb, text)
        assert len(settings) >= 4
        for name, option, value in settings:
            given = {**NEEDED.get(name, {}), option: value}
            build(base if name in available(base) else Supplier, name, given)


@pytest.mark.parametrize("name", ["strength=0", "strength=0.5", "default", "strength=1"])
def test_truth_of_planted_worlds(name: str) -> None:
    world = find_world(name)
    truth = [
        f"{world.true_afgb():.4f}", f"{world.true_ss():.3f}", f"{world.true_pair_score():.3f}",
        f"{world.true_ub():.2f}",
    ]  # fmt: skip
    assert row_of(name, table("world", page_of("planted")))[1:] == truth


@pytest.mark.thorough
def test_published_scores_of_stereoset(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    file = data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"
    measurement = measure(Predictions(file=file), StereoSet(), draws=0, nulls=False)
    printed = rows(table("examples", page_of("stereoset")))[1:]
    assert len(printed) == 7
    for label, *scores in printed:
        task, _, axis = label.partition(", ")
        group = {"task_axis": f"{task}/{axis}"} if axis else {"task": task}
        group = {} if task == "both" else group
        measured = [measurement.estimate(metric, **group).value for metric in ("lms", "ss", "icat")]
        assert [f"{value:.4f}" for value in measured] == scores, label


@pytest.mark.thorough
def test_the_names_of_python_are_as_their_docstrings_say() -> None:
    """`python docs/api_table.py` writes them."""
    page = (DOCS / "api.md").read_text()
    assert runpy.run_path(str(DOCS / "api_table.py"))["with_names"](page) == page


def test_every_file_that_a_page_names_exists() -> None:
    missing = [
        f"{page.name}: {file}"
        for page in PAGES
        for file in re.findall(r"`([a-z_]+/[\w/.-]+\.(?:py|yaml))[`:]", page.read_text())
        if not any((folder / file).exists() for folder in (ROOT, ROOT / "equipoise"))
    ]
    assert missing == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["life-of-an-example", "life-of-a-training-step"])
def test_every_file_and_function_of_a_walkthrough_exists(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text()
    places = re.findall(r"`([\w/]+\.(?:py|md))(?:: ([\w.]+))?`", text)
    assert len(places) > 20
    names = {file: definitions(ROOT / "equipoise" / file) for file, _ in places}
    assert [place for place in places if place[1] not in {"", *names[place[0]]}] == []


def definitions(source: Path) -> set[str]:
    """Names of the classes and functions of a file, and of methods after their class."""
    names: set[str] = set()
    if source.suffix != ".py" and source.is_file():
        return names
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            names |= {f"{node.name}.{method}" for method in methods}
    return names


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


#: Of the page on adding, each block of code by the class that it defines.
ADDED = {
    code.partition("class ")[2].partition("(")[0]: code
    for code in re.findall(r"```python\n(.*?)```", (DOCS / "adding.md").read_text(), re.DOTALL)
}


def test_plug_ins_of_the_page_on_adding_are_those_tested() -> None:
    assert set(ADDED) == {
        *("Nurses", "Towns", "Shrink", "Even", "TurnDown", "Lower", "Questions", "NurseSupply")
    }


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "base", "check"),
    [
        ("Nurses", Benchmark, check_benchmark),
        ("Towns", Benchmark, check_benchmark),
        ("Questions", TextScorer, check_text_scorer),
        ("NurseSupply", Supplier, check_supplier),
        ("Shrink", Mitigation, check_mitigation),
        ("TurnDown", Mitigation, check_mitigation),
        ("Lower", Mitigation, check_mitigation),
        ("Even", Mitigation, check_mitigation),
    ],
)
def test_plug_ins_of_the_page_on_adding_pass_conformance(
    name: str, base: Any, check: Callable[[Any], None], tmp_path: Path
) -> None:
    (tmp_path / "plugin.py").write_text(ADDED[name])
    options: dict[str, JSON] = {}
    if name == "Towns":
        options = {"file": str(tmp_path / "towns.csv")}
        (tmp_path / "towns.csv").write_text("town,region\nLeeds,north\nPorto,south\nOsaka,east\n")
    if name == "Even":
        options = {"steps": 2, "rank": 1, "learning_rate": 1e-3}
    # the file defines a single plug-in, so that its name is enough
    check(build(base, str(tmp_path / "plugin.py"), options))


@pytest.mark.thorough
def test_a_plug_in_of_the_page_is_saved_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(ADDED["Shrink"])
    tiny = tiny_model("llama")
    tiny.module.save_pretrained(tmp_path / "base")
    tiny.tokenizer.save_pretrained(tmp_path / "base")
    method = build(Mitigation, f"{tmp_path / 'plugin.py'}:Shrink")
    edit = mitigate(load(str(tmp_path / "base")), method, supply=tiny_supply())
    edit.save(tmp_path / "edit")
    assert load(str(tmp_path / "edit")).identity.startswith("base@")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "benchmark", ["crows_pairs", pytest.param("", marks=pytest.mark.slow, id="all")]
)
def test_tables_of_nulls_are_as_the_official_files_give_them(
    data_folder: Path, benchmark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python docs/null_tables.py` writes them."""
    pytest.importorskip("wordfreq")
    assert data_folder
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    with_tables = runpy.run_path(str(DOCS / "null_tables.py"))["with_tables"]
    page = (DOCS / "validity.md").read_text()
    assert with_tables(page, only=benchmark) == page
