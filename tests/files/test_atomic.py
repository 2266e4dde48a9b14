"""Pages and tables are written whole or not at all."""

from pathlib import Path

import pytest

from equipoise.errors import StoreError
from equipoise.files.atomic import write_whole


def test_it_is_written_with_its_folder_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "table.md"
    assert write_whole(file, "ä\r\nb\n", what="table") == file
    assert file.read_bytes() == "ä\r\nb\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_whole(tmp_path / "page.html", "old", what="page")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match=r"cannot write the page .*page\.html: .*No space left"):
        write_whole(file, "new", what="page")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
