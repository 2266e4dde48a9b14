"""A third party's package, installed: found by its entry points, measured, and in nobody's way when
it is broken."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_folder import save_tiny

from equipoise import cli, plugins
from equipoise.attribute.base import Attributor
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.errors import RecipeError
from equipoise.installed import version_of
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.supply.base import Supplier
from equipoise.testing import (
    check_attributor,
    check_benchmark,
    check_locator,
    check_mitigation,
    check_supplier,
)

SOURCE = Path(__file__).parent
PACKAGE = "equipoise_hospital"


def write_metadata(folder: Path, name: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """What pip leaves of a package of this name and entry points, without its files."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{entry} = {value}" for entry, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as pip would install it; `test_pip_installs_it` lets pip do it."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    write_metadata(folder, project["name"], project["entry-points"])
    shutil.copytree(SOURCE / PACKAGE, folder / PACKAGE)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The installed package, importable in this process for one test."""
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [module for module in sys.modules if module.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def answered(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What a command prints with --json."""
    capsys.readouterr()
    assert cli.run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.thorough
def test_names_are_listed(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    names = answered(capsys, "list")
    assert "nurses" in names["benchmark"]
    assert "last_first" in names["locator"]
    assert "by_words" in names["attributor"]
    assert "shrink" in names["mitigation"]
    assert "nurse_contrasts" in names["supply"]
    described = answered(capsys, "describe", "nurses")
    assert described["benchmark"]["options"][0]["name"] == "verb"


@pytest.mark.thorough
def test_measured_by_name_and_by_file(
    installed: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"{installed / PACKAGE / 'nurses.py'}:Nurses"
    settings = ("--set", "nurses.verb=wrote", "--draws", 20)
    results = answered(capsys, "measure", model, "nurses", file, *settings)
    sections = results["equipoise"]["benchmarks"].values()
    assert [section["benchmark"] for section in sections] == ["nurses", file]
    assert [row["alias"] for row in results["results"].values()] == ["nurses", file]
    section = results["equipoise"]["benchmarks"]["nurses"]
    assert section["options"] == {"verb": "wrote"}
    assert section["n_clusters"] == {"share": 6}
    assert 0 <= results["results"]["nurses"]["share,none"] <= 100


@pytest.mark.thorough
def test_rows_attributed_by_name(
    installed: Path,  # noqa: ARG001
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows, probes = tmp_path / "rows.jsonl", tmp_path / "pairs.csv"
    rows.write_text(
        "".join(f'{{"id": "{n}", "text": "The {n} is rude."}}\n' for n in ("blin", "tok"))
    )
    probes.write_text("sent_more,sent_less\nA blin ran.,A tok ran.\n")
    files = ("--train", rows, "--probes", probes)
    answer = answered(capsys, "attribute", model, "by_words", *files, "--no-baselines")
    assert (answer["attributor"], answer["unit"]) == ("by_words", "words")
    assert {row["id"]: row["score"] for row in answer["top"]} == {"blin": 1, "tok": 0}


def tree(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.rglob("*") if "__pycache__" not in entry.parts)


@pytest.mark.slow
def test_pip_installs_it(tmp_path: Path) -> None:
    """Without a network; another process lists it, and our source tree stays as it was."""
    before = tree(SOURCE)
    copy = tmp_path / "source"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    pip = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-index", "--no-build-isolation", "--no-compile",
        "--target", str(tmp_path / "site"), str(copy),
    ]  # fmt: skip
    subprocess.run(pip, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}, check=True, timeout=120)
    assert tree(SOURCE) == before
    done = subprocess.run(
        [sys.executable, "-m", "equipoise", "describe", "nurses", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["benchmark"]["options"][0]["name"] == "verb"


@pytest.mark.thorough
def test_conformance_of_all_five(installed: Path) -> None:
    benchmark: AnyBenchmark = plugins.build(Benchmark, "nurses")
    assert Path(sys.modules[type(benchmark).__module__].__file__ or "").is_relative_to(installed)
    check_benchmark(benchmark)
    check_supplier(plugins.build(Supplier, "nurse_contrasts", {"towns": ["Bari", "Graz"]}))
    check_locator(plugins.build(Locator, "last_first"))
    check_attributor(plugins.build(Attributor, "by_words"))
    check_mitigation(plugins.build(Mitigation, "shrink"))


def test_name_is_as_it_was_looked_up(installed: Path) -> None:
    shrink = plugins.build(Mitigation, "shrink", {"by": 0.25, "locator": "last_first"})
    assert plugins.name_of(shrink) == "shrink"
    assert plugins.options_of(shrink) == {"by": 0.25, "locator": {"name": "last_first"}}
    assert plugins.build(Mitigation, "shrink", plugins.options_of(shrink)) == shrink
    file = f"{installed / PACKAGE / 'nurses.py'}:Nurses"
    built: AnyBenchmark = plugins.build(Benchmark, file)
    assert plugins.name_of(built) == file
    by_module: AnyBenchmark = plugins.build(Benchmark, f"{PACKAGE}.nurses:Nurses")
    assert plugins.name_of(by_module) == "nurses"


def test_misspelt_name_and_option_suggest_the_nearest(installed: Path) -> None:  # noqa: ARG001
    with pytest.raises(RecipeError, match="'nurse' is not known; did you mean 'nurses'"):
        plugins.find(Benchmark, "nurse")
    with pytest.raises(RecipeError, match="no option 'verbs'; did you mean 'verb'"):
        plugins.build(Benchmark, "nurses", {"verbs": "wrote"})


# --- a package that is broken, or takes a name ------------------------------------------------


def other_package(folder: Path, **entries: str) -> None:
    """A package with these benchmarks, named as its folder."""
    write_metadata(folder, folder.name, {"equipoise.benchmarks": entries})


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:Gone", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("json:Gone", "AttributeError: module 'json' has no attribute 'Gone'"),
        ("fails_at_once:Gone", "ZeroDivisionError"),
    ],
)
def test_broken_plug_in_does_not_affect_others(
    value: str,
    reason: str,
    installed: Path,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other_package(tmp_path / "broken", gone=value)
    (tmp_path / "broken" / "fails_at_once.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path / "broken")
    assert cli.run(["list", "--json"]) == 0
    assert {"gone", "nurses", "stereoset"} <= set(json.loads(capsys.readouterr().out)["benchmark"])
    assert cli.run(["measure", "no-model-is-opened", "gone"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"error: benchmark 'gone' must be importable, {value} of broken is not")
    assert reason in said
    check_benchmark(plugins.build(Benchmark, "nurses"))
    assert plugins.name_of(plugins.build(Benchmark, "perplexity")) == "perplexity"


def test_something_else_under_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_package(tmp_path / "odd", odd="json:JSONDecoder")
    monkeypatch.syspath_prepend(tmp_path / "odd")
    with pytest.raises(RecipeError, match="'odd' must be a Benchmark, got <class 'json"):
        plugins.find(Benchmark, "odd")


def test_name_of_another_plug_in_is_refused(
    installed: Path,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other_package(
        tmp_path / "second",
        nurses="json:JSONDecoder",
        perplexity=f"{PACKAGE}.nurses:Nurses",
    )
    monkeypatch.syspath_prepend(tmp_path / "second")
    both = f"json:JSONDecoder of second and {PACKAGE}.nurses:Nurses of equipoise-hospital"
    with pytest.raises(RecipeError, match=f"'nurses' must be one thing, it is {both}; give its"):
        plugins.find(Benchmark, "nurses")
    ours = f"equipoise itself and {PACKAGE}.nurses:Nurses of second"
    with pytest.raises(RecipeError, match=f"'perplexity' must be one thing, it is {ours}"):
        plugins.find(Benchmark, "perplexity")
    built: AnyBenchmark = plugins.build(Benchmark, f"{PACKAGE}.nurses:Nurses")
    assert plugins.name_of(built) == "nurses"  # never a built-in's name


def test_same_class_twice_is_no_conflict(
    installed: Path,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other_package(tmp_path / "copy", nurses=f"{PACKAGE}.nurses:Nurses")
    monkeypatch.syspath_prepend(tmp_path / "copy")
    check_benchmark(plugins.build(Benchmark, "nurses"))


def test_a_package_of_a_moment_ago_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert "patience" not in plugins.available(Benchmark)
    write_metadata(tmp_path, "clinic", {"equipoise.benchmarks": {"patience": "clinic:Patience"}})
    assert "patience" in plugins.available(Benchmark)
    monkeypatch.undo()
    assert "patience" not in plugins.available(Benchmark)


def test_files_of_packages_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_metadata(tmp_path, "clinic", {"equipoise.benchmarks": {"patience": "clinic:Patience"}})
    before = plugins.available(Benchmark)
    assert "patience" in before
    monkeypatch.setattr("equipoise.installed.entry_points", lambda **_: pytest.fail("read again"))
    assert plugins.available(Benchmark) == before
    with pytest.raises(pytest.fail.Exception, match="read again"):
        plugins.available(Locator)


def test_versions_of_packages() -> None:
    assert version_of("numpy") == np.__version__
    assert version_of("a-package-of-nobody") == "not installed"
