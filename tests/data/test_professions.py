"""The two profession lists: sizes, named members (a hash pins all), files that are not the list."""

import json
from pathlib import Path

import pytest

from equipoise.data.professions import professions
from equipoise.errors import DataError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "professions").mkdir()
    return tmp_path / "professions" / "professions.json"


@pytest.mark.usefixtures("data_folder")
def test_prof262() -> None:
    words = {profession.word: profession for profession in professions("prof262")}
    assert len(words) == 262
    assert {"mobster", "nurse", "preacher", "caretaker", "footballer", "lifeguard"} <= set(words)
    assert not {"foreman", "actress", "salesman", "waiter"} & set(words)
    assert words["nurse"].score == -0.9


@pytest.mark.usefixtures("data_folder")
def test_prof_clean() -> None:
    words = {profession.word for profession in professions("prof_clean")}
    assert len(words) == 241
    assert {"registered nurse", "taxi driver", "nurse"} <= words
    assert not {"acquaintance", "socialite", "protester", "maid", "headmaster", "nun"} & words
    assert not any("_" in word for word in words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must have 1 entries, got 0"),
        ('{"nurse": 1}', "must be a list, got a dict"),
        ('[["nurse", 0.0]]', r"\[0\]\[2\] must be there, got 2"),
        ('[["nurse", 0.0, "low"]]', r"\[0\]\[2\] must be a number, got a text"),
        ('[["nurse", 0.0, 2.5]]', r"\[0\]\[2\] must be less than .* got 2.5"),
        ('[["nurse", 0.0, -0.9], ["nurse", 0.0, -0.9]]', "'nurse' must be there once"),
        ('[["nurse", 0.0', "must be JSON"),
        ("", "empty"),
    ],
)
def test_malformed_list(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        professions("prof262")


def test_list_of_wrong_size(file: Path) -> None:
    file.write_text(json.dumps([["nurse", 0.0, -0.9], ["doctor", 0.0, 0.4]]))
    with pytest.raises(DataError, match=r"must yield the list prof_clean.*got 2 words"):
        professions("prof_clean")


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"professions\.json"):
        professions("prof262")
