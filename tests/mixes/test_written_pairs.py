"""Pairs that a chat model writes: CSV of five columns, read with care and checked."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from equipoise.associations.writing import Message, Writer
from equipoise.errors import ModelError
from equipoise.mixes.pairs import BIAS_TYPES
from equipoise.mixes.written_pairs import messages_of, read_csv_rows, write_pairs_with

TREES = ("oak", "elm", "ash", "fir", "yew", "lime", "birch", "larch", "cedar", "maple")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))


def line(number: int, more: str, less: str, kind: str = "age", way: str = "stereo") -> str:
    return f'{number},"{more}","{less}",{way},{kind}'


class Author:
    """Writes ten good pairs a call, after lines of its own."""

    def __init__(self, *other: str) -> None:
        self.asked: list[Sequence[Message]] = []
        self.other = other

    def __call__(self, messages: Sequence[Message], _: float, __: int) -> str:
        self.asked.append(messages)
        call = len(self.asked)
        rows = [
            line(i, f"Day {call}: {tree} {i * call} fell on the old house, they said.",
                 f"Day {call}: {tree} {i * call} fell on the new house, they said.")
            for i, tree in enumerate(TREES)
        ]  # fmt: skip
        head = "index,sent_more,sent_less,stereo_antistereo,bias_type"
        return "\n".join(
            ["<think>1,a,b,stereo,age</think>Sure!", "```csv", head, *self.other, *rows]
        )


def test_calls_until_there_are_enough() -> None:
    author = Author()
    written = write_pairs_with(Writer(name="author", identity="a", ask=author), 25, seed=4)
    assert (len(written.kept), written.calls, written.cached) == (25, 3, 0)
    first = written.kept[0]
    assert (first.generator, first.bias_type, first.direction) == ("author", "age", "stereo")
    assert len({pair.id for pair in written.kept}) == 25
    assert len(first.prompt_sha256) == 64
    again = write_pairs_with(Writer(name="author", identity="a", ask=author), 25, seed=4)
    assert (again.kept, again.cached) == (written.kept, 3)


def test_what_is_no_pair_is_counted() -> None:
    more, less = "The old oak in the park fell.", "The new oak in the park fell."
    author = Author(
        line(1, more, more),
        line(2, more, "The new oak in a garden fell."),
        line(3, more, less, kind="trees"),
        line(4, more, less, way="both"),
        line(5, "Oak.", "Elm."),
        line(6, more, less),
        line(7, more, less),
    )
    written = write_pairs_with(
        Writer(name="a", identity="b", ask=author),
        5,
        refused=lambda pair: "is near water" if pair.sent_more.startswith("Day 1: elm") else None,
    )
    assert len(written.kept) == 5
    assert written.refused == {
        "has the same sentence twice": 1,
        "differs in more than one place": 1,
        "has no bias type of the nine": 1,
        "has no direction of ['stereo', 'antistereo']": 1,
        "has not 4 to 60 words in each sentence": 1,
        "is there already": 1,
        "is near water": 1,
    }


@pytest.mark.parametrize(
    ("reply", "rows"),
    [
        (line(1, "An oak, tall.", "An elm, tall."), 1),
        ('"An oak.","An elm.",stereo,age', 1),  # no index
        ("| 1, An oak., An elm., stereo, age |", 1),
        ('[{"sent_more": "An oak.", "sent_less": "An elm.", "bias_type": "age"}]', 1),
        ("I cannot help with that, sorry, friend, today, really, no.", 0),
        ('1,"An oak.', 0),
        ("", 0),
    ],
)
def test_replies(reply: str, rows: int) -> None:
    read = read_csv_rows(reply)
    assert len(read) == rows
    assert all(row["sent_more"].startswith("An oak") for row in read)


def test_calls_ask_for_all_types_in_turn() -> None:
    asked = [messages_of(25, call, seed=0) for call in range(3)]
    for system, user in asked:
        assert (system["role"], user["role"]) == ("system", "user")
        assert "25 new pairs" in user["content"]
        assert user["content"].count("stereo,") + user["content"].count('stereo",') >= 3
    named = {name for name in BIAS_TYPES for _, user in asked if name in user["content"]}
    assert named == set(BIAS_TYPES)


def test_a_model_that_writes_nothing_of_use() -> None:
    writer = Writer(name="mute", identity="c", ask=lambda *_: "No.")
    with pytest.raises(ModelError, match="got none in 4 calls: 4 replies without rows of pairs"):
        write_pairs_with(writer, 10)
