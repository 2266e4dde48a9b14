"""The wheel and the source archive hold the whole package, and what is installed of them works."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = """
from setuptools.build_meta import build_sdist, build_wheel
build_sdist("dist"), build_wheel("dist")
"""


def files_of_package(folder: Path) -> set[str]:
    """Every file of the package below a folder, but for bytecode."""
    return {
        file.relative_to(folder).as_posix()
        for file in (folder / "equipoise").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both, built from a copy of what they are built from."""
    copy = tmp_path_factory.mktemp("release")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "equipoise", copy / "equipoise", ignore=ignored)
    subprocess.run([sys.executable, "-c", BUILD], cwd=copy, check=True, capture_output=True)
    return copy / "dist"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the wheel, and no checkout, beside its libraries."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


@pytest.mark.thorough
def test_both_hold_every_file_of_the_package(built: Path) -> None:
    expected = files_of_package(ROOT)
    (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if name.startswith("equipoise/")} == expected
    with tarfile.open(archive) as source:
        names = [name.partition("/")[2] for name in source.getnames()]
    assert expected <= set(names)


@pytest.mark.thorough
def test_what_is_installed_lists_all_plugins(installed: dict[str, str], tmp_path: Path) -> None:
    code = """
import equipoise
from equipoise import cli
print(equipoise.__file__)
cli.run(["list", "--json"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=installed, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    place, document = done.stdout.split("\n", 1)
    assert Path(place).is_relative_to(installed["PYTHONPATH"])
    names = {file.stem for file in (ROOT / "equipoise/mitigate").glob("[a-z]*.py")} - {"base"}
    assert set(json.loads(document)["mitigation"]) >= names


@pytest.mark.slow
def test_what_is_installed_runs_the_demo(installed: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "equipoise", "demo", "--out", str(tmp_path / "demo")]
    done = subprocess.run(
        command, cwd=tmp_path, env=installed, check=True, capture_output=True, text=True
    )
    assert "true 0." in done.stdout
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000
