"""Files and folders are written whole or not at all."""

from pathlib import Path

import pytest

from equipoise.errors import StoreError
from equipoise.files.atomic import check_new_file, folder_sha256, new_folder, sha256, write_file


def test_file_is_written_with_its_folder_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "table.md"
    assert write_file(file, "ä\r\nb\n", what="table") == file
    assert file.read_bytes() == "ä\r\nb\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_unreplaceable_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_file(tmp_path / "page.html", "old", what="page")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match=r"cannot write the page .*page\.html: .*No space left"):
        write_file(file, "new", what="page")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_folder_appears_when_complete(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "edit", what="edit") as folder:
        (folder / "part").mkdir()
        (folder / "part" / "file").write_text("x")
        assert not (tmp_path / "a" / "edit").exists()
    assert (tmp_path / "a" / "edit" / "part" / "file").read_text() == "x"
    assert [place.name for place in (tmp_path / "a").iterdir()] == ["edit"]


def fill_and_fail(folder: Path, error: Exception) -> None:
    with new_folder(folder, what="edit") as beside:
        (beside / "file").write_text("x")
        raise error


def test_incomplete_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write the edit .*No space left"):
        fill_and_fail(tmp_path / "edit", OSError(28, "No space left"))
    with pytest.raises(ValueError, match="half done"):
        fill_and_fail(tmp_path / "edit", ValueError("half done"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_does_not_replace_another(tmp_path: Path) -> None:
    place = tmp_path / "edit"
    place.mkdir()
    (place / "mine").write_text("x")
    with (
        pytest.raises(StoreError, match=r"cannot write the edit .*choose another place"),
        new_folder(place, what="edit"),
    ):
        pass
    assert (place / "mine").read_text() == "x"


def test_a_new_file_is_none_that_is_there(tmp_path: Path) -> None:
    file = write_file(tmp_path / "table.md", "mine", what="table")
    with pytest.raises(
        StoreError, match=r"a table must .*got .*table\.md, which is there; .*remove"
    ):
        check_new_file(file, what="a table")
    with pytest.raises(StoreError, match=r"cannot be made because .*table\.md is none"):
        check_new_file(file / "other.md", what="a table")
    check_new_file(tmp_path / "new" / "table.md", what="a table")
    assert [place.name for place in tmp_path.iterdir()] == ["table.md"]


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "task.yaml").write_text("x")
    (tmp_path / "cache").write_text("y")
    before = folder_sha256(tmp_path), folder_sha256(tmp_path, suffixes=(".yaml",))
    (tmp_path / "cache").write_text("z")
    after = folder_sha256(tmp_path), folder_sha256(tmp_path, suffixes=(".yaml",))
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)
    (tmp_path / "a" / "task.yaml").rename(tmp_path / "a" / "other.yaml")
    assert folder_sha256(tmp_path, suffixes=(".yaml",)) != after[1]
