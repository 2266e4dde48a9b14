"""The wheel and the source archive hold the whole package, and what is installed of them works."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
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
def test_what_pip_installs_runs_the_demo(built: Path, tmp_path: Path) -> None:
    """The wheel in a clean environment, the big libraries lent."""
    demo = tmp_path / "demo"
    (wheel,) = built.glob("*.whl")
    done = _run([_install(wheel, tmp_path / "clean"), "demo", "--quick", "--out", demo])
    assert "afgb: measured 0.3" in done.stdout
    assert "LFTF (parity) removed " in done.stdout
    assert "14 steps done, 0 were done before, 0 failed" in " ".join(done.stderr.split())
    assert (demo / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    _run([*pip, "--no-build-isolation", "--wheel-dir", tmp_path, archive])
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel.name
    contents = [
        {name: file.read(name) for name in file.namelist() if not name.endswith("/RECORD")}
        for file in map(zipfile.ZipFile, (wheel, again))
    ]
    assert contents[0] == contents[1]


def _install(file: Path, folder: Path) -> Path:
    """The command of a new environment that has this file, and lends all else from ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / sysconfig.get_path("purelib", vars={"base": "", "platbase": ""}).lstrip("/")
    # a path alone: what is installed as a checkout there is not seen from here
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps"]
    _run([*pip, "--no-index", "--no-build-isolation", "--ignore-installed", file])
    place = _run([folder / "bin" / "python", "-c", "import equipoise; print(equipoise.__file__)"])
    assert Path(place.stdout.strip()).is_relative_to(packages)
    return folder / "bin" / "equipoise"


def _run(command: Sequence[object]) -> subprocess.CompletedProcess[str]:
    """Run a command outside of the checkout, which it must not see."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd="/", env=environment, check=True, capture_output=True, text=True
    )
