"""Prompts with words for all of them, or with columns of words."""

from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import DataError
from equipoise.own_data.prompts import PromptFile, read_prompts

HE_SHE = ("he|him", "she|her")


def read(
    folder: Path, content: str, words: Any = HE_SHE, separator: str = " ", **named: Any
) -> PromptFile:
    (folder / "mine.csv").write_text(content)
    return read_prompts(str(folder / "mine.csv"), named, words, None, separator)


def test_words_for_all_prompts(tmp_path: Path) -> None:
    file = read(tmp_path, "prompt,group\nThe nurse said that ,care\n")
    (prompt,) = file.prompts
    assert (prompt.text, prompt.first, prompt.second) == (
        "The nurse said that", (" he", " him"), (" she", " her")
    )  # fmt: skip
    assert prompt.groups == {"group": "care", "cluster": "line 2"}
    assert file.notes[0] == "words: 'he|him' against 'she|her'"


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("prompt,first,second", {}),
        ("Prompt,words_1,words_2", {}),
        ("sentence,kind,rude", {"first": "kind", "second": "rude"}),
    ],
)
def test_columns_of_words(tmp_path: Path, header: str, named: dict[str, str]) -> None:
    file = read(tmp_path, f"{header}\nThe oak is,kind|warm,rude|cold\n", None, **named)
    (prompt,) = file.prompts
    assert (prompt.first, prompt.second) == ((" kind", " warm"), (" rude", " cold"))


def test_without_spaces(tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, "prompt\n木は\n", ("古い", "若い"), "").prompts
    assert (prompt.first, prompt.second) == (("古い",), ("若い",))


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ("prompt\nThe oak is\n", None, r"a column of each set of words .*--set 'prompts\.words="),
        ("prompt,first,second\nThe oak is,old,\n", None, r"mine\.csv, line 2: column 'second'"),
        ("prompt,first,second\nThe oak is,old,old\n", None, r"line 2: words must be two sets"),
        ("prompt,first,second\nThe oak is,old|gray,young\n", None, "got 2 and 1"),
        ("prompt,group\n,a\n", HE_SHE, r"mine\.csv, line 2: column 'prompt' must have a text"),
        ("prompt\nThe oak is ____.\n", HE_SHE, r"line 2: a prompt must end .*got '____\.' there"),
        ("word\nx\n", HE_SHE, "must have a column of prompt, got 'word'"),
    ],
)
def test_faults_name_the_place(tmp_path: Path, content: str, words: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, words)
