"""Files into documents, documents into windows: nothing lost, twice or too long."""

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.documents import read_documents, windows
from equipoise.errors import DataError


def documents(tmp_path: Path, content: str, name: str = "text.txt") -> dict[str, str]:
    file = tmp_path / name
    file.write_bytes(content.encode())
    return dict(read_documents(str(file))[0])


def test_paragraphs_lines_and_tables(tmp_path: Path) -> None:
    assert documents(tmp_path, "\n\none\ntwo \n \nthree\n") == {
        "line 3": "one\ntwo",
        "line 6": "three",
    }
    assert documents(tmp_path, "one\r\n two\r\n") == {"line 1": "one", "line 2": "two"}
    table = documents(tmp_path, "one a\tx\n\tx\ntwo\ty\n", "text.tsv")
    assert table == {"line 1": "one a", "line 3": "two"}


def test_json_lines_and_packed_files(tmp_path: Path) -> None:
    rows = '{"text": " one "}\n\n{"text": ""}\n{"text": "two", "id": 2}\n'
    expected = {"line 1": "one", "line 4": "two"}
    assert documents(tmp_path, rows, "text.jsonl") == expected
    for name, pack in (("text.jsonl.gz", gzip.compress), ("text.jsonl.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(rows.encode()))
        assert read_documents(str(tmp_path / name))[0] == expected
    (tmp_path / "text.tsv.gz").write_bytes(gzip.compress(b"one\tx\n"))
    assert read_documents(str(tmp_path / "text.tsv.gz"))[0] == {"line 1": "one"}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            '{"text": "one"}\n{"body": "two"}',
            r"line 2 must have a key 'text', got \['body",
        ),
        ('["one"]', "line 1 must be an object, got a list"),
        ('{"text": 3}', "line 1, text must be a text, got 3"),
        ('{"text": "one"', "line 1, column"),
        ('{"text": " "}', "must hold text"),
    ],
)
def test_json_lines_without_a_text(tmp_path: Path, rows: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        documents(tmp_path, rows, "text.jsonl")


def test_truncated_packed_files(tmp_path: Path) -> None:
    for name, pack in (("text.txt.gz", gzip.compress), ("text.txt.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(b"one two three" * 99)[:30])
        with pytest.raises(DataError, match="cannot be unpacked"):
            read_documents(str(tmp_path / name))


def test_byte_order_mark(tmp_path: Path) -> None:
    assert documents(tmp_path, "\ufeffone\n") == {"line 1": "one"}


def test_user_file_is_unverified(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("one")
    use = read_documents(str(tmp_path / "own.txt"))[1]
    assert (use.name, use.verified) == ("own.txt", None)


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="must hold text, got only blank lines"):
        documents(tmp_path, " \n\n")
    with pytest.raises(
        DataError, match=r"none\.txt' must be the path of a file, or one in a data folder"
    ):
        read_documents("none.txt")
    with pytest.raises(DataError, match=r"'/none/none\.txt' does not exist"):
        read_documents("/none/none.txt")
    with pytest.raises(DataError, match=r"test\.tsv is not in folder"):
        read_documents(None)
    (tmp_path / "bad.txt").write_bytes(b"one\n\xff\n")
    with pytest.raises(DataError, match=r"bad\.txt, line 2: text must be UTF-8"):
        read_documents(str(tmp_path / "bad.txt"))


def test_windows() -> None:
    cut = windows("aaa bbb ccc ddd eee fff", window=12, stride=8)
    assert [(window.context, window.text) for window in cut] == [
        ("", "aaa bbb ccc"),
        ("ccc", " ddd eee"),
        ("eee", " fff"),
    ]
    assert [window.context for window in windows("aaa bbb ccc", window=4, stride=4)] == ["", "", ""]


def test_word_longer_than_the_stride() -> None:
    cut = windows("ab " + "é" * 6, window=8, stride=4)
    assert "".join(window.text for window in cut) == "ab " + "é" * 6
    assert max(len(window.text.encode()) for window in cut[1:]) <= 4


@pytest.mark.parametrize(("window", "stride"), [(8, 9), (8, 3)])
def test_invalid_stride(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match=f"got {stride}"):
        windows("one two", window=window, stride=stride)


@pytest.mark.thorough
@given(st.text(min_size=1), st.integers(4, 40), st.integers(0, 40))
def test_windows_partition_the_text(text: str, stride: int, more: int) -> None:
    text = text.strip()
    cut = windows(text, window=stride + more, stride=stride)
    assert "".join(window.text for window in cut) == text
    so_far = ""
    for window in cut:
        assert len(window.context.encode()) <= more
        assert len(window.text.encode()) <= (stride if so_far else stride + more)
        assert so_far.endswith(window.context)
        so_far += window.text


@pytest.mark.usefixtures("data_folder")
def test_official_files() -> None:
    news, use = read_documents(None)
    assert len(news) == 7600
    assert use.verified
    wiki, use = read_documents("neutral_text/wikitext-2-raw/wiki.test.raw")
    assert len(wiki) == 2891
    assert use.verified
    assert not any("\r" in text for text in wiki.values())
