"""A corpus into passages: at the ends of sentences, no word lost or twice, none too long."""

import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import DataError
from equipoise.supply.corpus import CorpusSupply, passages


def test_passages() -> None:
    text = "One fell. Two rose! Was it three? Four."
    assert passages(text, characters=20) == ["One fell. Two rose!", "Was it three? Four."]
    assert passages(text, characters=19) == ["One fell. Two rose!", "Was it three? Four."]
    assert passages(text, characters=18) == ["One fell.", "Two rose!", "Was it three?", "Four."]
    assert passages(text, characters=100) == [text]
    assert passages("  \n ", characters=5) == []


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Mr. Hill met Dr. Lake. They left.", ["Mr. Hill met Dr. Lake.", "They left."]),
        ("J. R. Hill came to us. All left.", ["J. R. Hill came to us.", "All left."]),
        ("He ate 2.5 pears etc. Peas. No.", ["He ate 2.5 pears etc. Peas.", "No."]),
        ('He said: "I know it." She did not.', ['He said: "I know it."', "She did not."]),
        ("a line without an end\nanother line", ["a line without an end", "another line"]),
        ("Where? “Here,” said the old man.", ["Where?", "“Here,” said the old man."]),
        ("It rained. at 5 p.m. in town. So!", ["It rained. at 5 p.m. in town.", "So!"]),
        ("They came from the U.S. Army. So!", ["They came from the U.S. Army.", "So!"]),
    ],
)
def test_sentence_boundaries(text: str, cut: list[str]) -> None:
    assert passages(text, characters=len(text) - 1) == cut


def test_long_sentences_and_words_are_cut() -> None:
    assert passages("On. Off. One two. Go.", characters=8) == ["On. Off.", "One two.", "Go."]
    assert passages("Off. One two three four", characters=9) == ["Off.", "One two", "three", "four"]
    assert passages("ab abcdefgh i", characters=3) == ["ab", "abc", "def", "gh", "i"]


def test_invalid_characters() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        passages("one", characters=0)


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["One.", "two", "Mr.", "Hill?", "\n", "\n\n", "  ", '"Yes!"', "é"]),
        st.text(max_size=6),
    )
).map(" ".join)


@pytest.mark.thorough
@given(TEXTS, st.integers(1, 30))
def test_passages_partition_the_text(text: str, characters: int) -> None:
    cut = passages(text, characters=characters)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(passage) <= characters for passage in cut)
    if all(len(word) <= characters for word in text.split()):
        assert [word for passage in cut for word in passage.split()] == text.split()


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("Third.\nFourth.\n\nFifth.")
    (tmp_path / "a.jsonl").write_text('{"text": "First."}\n\n{"text": " "}\n{"text": "Second."}')
    (tmp_path / "sub" / "b.txt.gz").write_bytes(gzip.compress(b"Sixth."))
    (tmp_path / "sub" / "c.jsonl.xz").write_bytes(
        lzma.compress(json.dumps({"text": "Seventh.", "id": 1}).encode())
    )
    (tmp_path / "notes.md").write_text("Not read.")
    (tmp_path / ".hidden.txt").write_text("Not read.")
    corpus = CorpusSupply(path=str(tmp_path)).supply()
    assert " ".join(corpus.texts) == "First. Second. Third.\nFourth. Fifth. Sixth. Seventh."
    assert len(corpus.texts) == 6
    names = "a.jsonl b.txt sub/b.txt.gz sub/c.jsonl.xz"
    assert " ".join(file.name for file in corpus.files) == names
    assert len({file.sha256 for file in corpus.files}) == 4
    assert CorpusSupply(path=str(tmp_path)).supply() == corpus


@pytest.mark.parametrize("place", ["", "  "])
def test_blank_path_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "note.txt").write_text("One tree.")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"a corpus must be a file or a folder, got '{place}'"):
        CorpusSupply(path=place).supply()


def test_paths_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("One tree. Two trees.")
    expected = ("One tree.", "Two trees.")
    assert (
        CorpusSupply(path=str(tmp_path / "texts" / "a.txt"), characters=12).supply().texts
        == expected
    )
    assert CorpusSupply(path="texts/a.txt", characters=12).supply().texts == expected
    assert CorpusSupply(path="texts", characters=12).supply().texts == expected


def test_unreadable_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"must hold files of \.txt or \.jsonl.*got none"):
        CorpusSupply(path=str(tmp_path)).supply()
    with pytest.raises(DataError, match="none"):
        CorpusSupply(path="none").supply()
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"One." * 99)[:20])
    with pytest.raises(DataError, match=r"cut\.txt\.gz cannot be unpacked"):
        CorpusSupply(path=str(tmp_path)).supply()
