"""Amazon polarity's form, on rows of own words."""

from pathlib import Path

import pytest

from equipoise.data.amazon_polarity import AMAZON
from equipoise.errors import DataError


def put(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(folder))
    (folder / "amazon_polarity").mkdir()
    (folder / "amazon_polarity" / "test.csv").write_text(content)


def test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        tmp_path,
        monkeypatch,
        '"2","Good lamp","It shines.\\nSaid ""all day"", too."\n"1","","It broke."\n',
    )
    first, second = AMAZON.rows()
    assert (first.label, first.texts) == (1, ("Good lamp", 'It shines.\nSaid "all day", too.'))
    assert (second.label, second.texts, second.id) == (0, ("", "It broke."), "line 2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold data, got an empty file"),
        ('"3","a","quillwort"\n', r"line 1: label must be one of \['1', '2'\], got '3'"),
        ('"label","title","text"\n"1","a","b"\n', "line 1: label must be one of"),
        ('"1","quillwort"\n', "must have 3 fields, got 2"),
        ('"1","a"," "\n', "column 'text' must have a text"),
    ],
)
def test_invalid_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    put(tmp_path, monkeypatch, content)
    with pytest.raises(DataError, match=message) as caught:
        AMAZON.rows()
    assert "quillwort" not in str(caught.value)
