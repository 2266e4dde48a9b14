import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest

from equipoise.data.sources import (
    Source,
    data_folders,
    git_blob,
    read_json,
    read_table,
    reading_from,
    unpacked,
)
from equipoise.errors import DataError
from equipoise.files.cache import cache_folder
from equipoise.files.parsing import parse_json, parse_jsonl

CONTENT = b'{"a": 1}\n'
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("EQUIPOISE_DATA", str(data))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(cache))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return data, cache


@pytest.fixture
def remote(tmp_path: Path) -> str:
    file = tmp_path / "remote.json"
    file.write_bytes(CONTENT)
    return file.as_uri()


def put(folder: Path, content: bytes, name: str = "set/one.json") -> Source:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return Source(name)


def test_git_blob_equals_git_hash_object(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    completed = subprocess.run(["git", "hash-object", str(file)], capture_output=True, check=True)
    assert git_blob(CONTENT) == completed.stdout.decode().strip()


def test_data_folder_precedes_the_cache(folders: tuple[Path, Path], remote: str) -> None:
    data, cache = folders
    source = Source("set/one.json", url=remote, hashes=(SHA256,), licence="CC")
    assert read_json(source) == {"a": 1}
    assert (cache / "data" / "pinned" / "set" / "one.json").read_bytes() == CONTENT
    put(data, b'{"a": 2}')
    assert read_json(source) == {"a": 2}
    use = source.use()
    assert (use.verified, use.revision) == (False, None)
    assert use.licence == "not known: a file of the user's own"  # the official one's is CC


def test_named_folder_precedes_the_data_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    named = tmp_path / "named"
    source = put(folders[0], b'{"a": 2}')
    put(named, b'{"a": 3}')
    other = put(folders[0], b'{"a": 4}', "set/two.json")
    with reading_from(named):
        assert data_folders() == [named, folders[0]]
        assert (read_json(source), read_json(other)) == ({"a": 3}, {"a": 4})
        with reading_from(None):
            assert read_json(source) == {"a": 3}
        (named / "SHA256SUMS").write_text(f"{'1' * 64}  set/one.json\n")
        with pytest.raises(DataError, match="SHA256SUMS"):
            source.read()
    assert read_json(source) == {"a": 2}


@pytest.mark.usefixtures("folders")
def test_downloads_are_cached(remote: str) -> None:
    source = Source("one.json", url=remote, hashes=(git_blob(CONTENT),))
    assert source.use().verified
    Path(remote.removeprefix("file://")).unlink()
    assert source.read() == CONTENT


def test_official_file_in_the_data_folder_is_verified(folders: tuple[Path, Path]) -> None:
    """By a sha256 or by a git blob; its revision is that of its address."""
    put(folders[0], CONTENT)
    url = "https://raw.githubusercontent.com/owner/name/abc/set/one.json"
    for hash in (SHA256, git_blob(CONTENT)):
        use = Source("set/one.json", url=url, hashes=("0" * 64, hash)).use()
        assert (use.verified, use.revision, use.sha256) == (True, "abc", SHA256)


def test_download_hash_mismatch(folders: tuple[Path, Path], remote: str) -> None:
    source = Source("one.json", url=remote, hashes=("0" * 64,))
    with pytest.raises(DataError, match=rf"{'0' * 64}, got sha256 {SHA256}.*; put the file"):
        source.read()
    assert not list(folders[1].rglob("*.json"))  # nothing wrong is kept


def test_cache_hash_mismatch(folders: tuple[Path, Path]) -> None:
    put(folders[1] / "data" / "pinned", b"changed", "one.json")
    source = Source("one.json", hashes=(git_blob(CONTENT),))
    with pytest.raises(DataError, match=rf"{git_blob(CONTENT)}, got .*; delete it"):
        source.read()


def test_listed_hash_mismatch(folders: tuple[Path, Path]) -> None:
    source = put(folders[0], CONTENT)
    (folders[0] / "SHA256SUMS").write_text(f"{SHA256}  set/one.json\n")
    assert source.read() == CONTENT
    (folders[0] / "set" / "SHA256SUMS").write_text(f"{'1' * 64} *one.json\n")
    with pytest.raises(DataError, match=rf"sha256 1{{64}} by .*SHA256SUMS, got {SHA256}"):
        source.use()


def test_unreadable_list_of_hashes(folders: tuple[Path, Path]) -> None:
    source = put(folders[0], CONTENT)
    (folders[0] / "SHA256SUMS").write_text("not a hash\n")
    with pytest.raises(DataError, match="SHA256SUMS, line 1"):
        source.read()


@pytest.mark.usefixtures("folders")
def test_missing_file_names_the_variable() -> None:
    with pytest.raises(DataError, match=r"set/one.json must be in folder .*EQUIPOISE_DATA"):
        Source("set/one.json").read()


@pytest.mark.usefixtures("folders")
def test_unset_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUIPOISE_DATA")
    assert data_folders() == []
    with pytest.raises(DataError, match="EQUIPOISE_DATA, which is not set"):
        Source("set/one.json").read()


def test_variable_that_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", "no/such/folder")
    with pytest.raises(DataError, match="no/such/folder"):
        data_folders()


@pytest.mark.usefixtures("folders")
def test_offline_refuses_to_download(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE=1 forbids"):
        Source("one.json", url=remote, hashes=(SHA256,)).read()


@pytest.mark.usefixtures("folders")
def test_unreachable_url(tmp_path: Path) -> None:
    gone = (tmp_path / "gone").as_uri()
    with pytest.raises(DataError, match="cannot be downloaded"):
        Source("one.json", url=gone, hashes=(SHA256,)).read()


def test_unreadable_file(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(folders[0], CONTENT)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        DataError, match=r"one.json must be readable, got: .*; check its permissions"
    ):
        source.read()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up.json", "a/../../up.json"])
def test_path_stays_inside(path: str) -> None:
    with pytest.raises(ValueError, match="inside the data folder"):
        Source(path)


def test_url_needs_a_hash() -> None:
    with pytest.raises(ValueError, match="needs a hash"):
        Source("one.json", url="https://example.org/one.json")


def test_cache_folder_is_at_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQUIPOISE_CACHE", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "equipoise"


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_empty_file(folders: tuple[Path, Path], content: bytes) -> None:
    with pytest.raises(DataError, match=r"one.json must hold data, got an empty file"):
        put(folders[0], content).read()


def test_truncated_json_names_the_position(folders: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=r"one.json, line 2, column 7: .*cut short"):
        read_json(put(folders[0], b'{"a": 1,\n"b": ['))


def test_lone_surrogates_are_refused() -> None:
    assert parse_json(b'["\\ud83d\\ude00"]', "a.json") == ["\U0001f600"]
    assert parse_json(rb'["\\ud800"]', "a.json") == ["\\ud800"]
    with pytest.raises(DataError, match=r"a.json: must hold whole characters, got .*ud800"):
        parse_json(b'["a\\ud800"]', "a.json")


def test_bad_line_of_jsonl() -> None:
    assert parse_jsonl(b'\xef\xbb\xbf{"a": 1}\r\n\r\n[2]\n', "x") == [(1, {"a": 1}), (3, [2])]
    with pytest.raises(DataError, match="line 3, column 2"):
        parse_jsonl(b"1\n2\n{\n", "x")


def test_jsonl_without_lines() -> None:
    with pytest.raises(DataError, match="x must hold JSON lines, got none"):
        parse_jsonl(b"\n \n", "x")


def test_packed_files(tmp_path: Path) -> None:
    file = tmp_path / "one"
    for content in (CONTENT, gzip.compress(CONTENT)):
        file.write_bytes(content)
        assert unpacked(file) == CONTENT
    file.write_bytes(gzip.compress(CONTENT)[:-4])
    with pytest.raises(DataError, match="one cannot be unpacked"):
        unpacked(file)
    with pytest.raises(
        DataError, match=r"none must be readable, got: No such file .*; name a file that is there"
    ):
        unpacked(tmp_path / "none")


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(DataError, match=r"line 2: text must be UTF-8, got byte 0xff"):
        parse_json(b"fine\n\xff\n", "x")


def test_csv_with_bom_and_crlf(folders: tuple[Path, Path]) -> None:
    plain = b'a,b\n1,"x, y"\n2,z\n'
    want = read_table(put(folders[0], plain), ("a", "b"))
    assert [row.values for row in want] == [{"a": "1", "b": "x, y"}, {"a": "2", "b": "z"}]
    assert [row.where for row in want] == ["set/one.json, line 2", "set/one.json, line 3"]
    marked = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")
    assert read_table(put(folders[0], marked), ("a", "b")) == want


def test_csv_faults_name_the_place(folders: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=r"column 'c', got 2 of other names; correct line 1"):
        read_table(put(folders[0], b"a,b\n1,2\n"), ("a", "c"))
    with pytest.raises(DataError, match="line 3: must have 2 fields, got 1"):
        read_table(put(folders[0], b"a,b\n1,2\n3\n"), ("a",))
    with pytest.raises(DataError, match="rows, got none"):
        read_table(put(folders[0], b"a,b\n"), ("a",))
    with pytest.raises(DataError, match="line 2"):
        read_table(put(folders[0], b'a,b\n1,"never closed\n'), ("a",))


def test_a_file_with_two_endings(folders: tuple[Path, Path]) -> None:
    """Which of them would be read is nobody's guess."""
    data, _ = folders
    source = Source("own/Animals.jsonl", licence="own", endings=(".csv",))
    (data / "own").mkdir()
    (data / "own/Animals.csv").write_text("a\n")
    assert source.local_file() == data / "own/Animals.csv"
    (data / "own/Animals.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"one file in .*Animals.jsonl and Animals.csv; delete"):
        source.local_file()
