"""Texts that a chat model writes: asked in calls, checked, topped up, cached."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from equipoise.associations.generated import (
    messages_of,
    write_paragraphs_with,
    write_questions_with,
)
from equipoise.associations.writing import PER_CALL, Message, Writer
from equipoise.errors import ModelError

WORDS = ("river", "stone", "garden", "lamp", "paper", "winter", "copper", "window", "silver")


class Author:
    """Writes valid paragraphs, all different, and remembers what it was asked."""

    def __init__(self, *faulty: dict[str, object]) -> None:
        self.asked: list[tuple[Sequence[Message], float, int]] = []
        self.faulty = faulty

    def __call__(self, messages: Sequence[Message], temperature: float, seed: int) -> str:
        self.asked.append((messages, temperature, seed))
        call = len(self.asked)
        rows: list[dict[str, object]] = [
            row(f"In X the {WORDS[number % 9]} of guest {call} {number} comes {call * number} "
                f"hours after the {WORDS[(number + call) % 9]} and day {number * 7} of {call}.")
            for number in range(PER_CALL - len(self.faulty))
        ]  # fmt: skip
        return f"```json\n{json.dumps([*self.faulty, *rows])}\n```"


def row(paragraph: str, **other: object) -> dict[str, object]:
    return {
        "id": 1, "paragraph": paragraph, "medium": "tweet", "topic": "travel",
        "writing_style": "dry", "implicitness_score": 2, "justification": "as said",
    } | other  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))


@pytest.mark.thorough
def test_calls_until_there_are_enough() -> None:
    author = Author()
    writer = Writer(name="author", identity="author@1", ask=author, temperature=0.7)
    written = write_paragraphs_with(writer, "always_late", 60, seed=5)
    assert (len(written.kept), written.calls, written.cached) == (60, 3, 0)
    assert len({paragraph.id for paragraph in written.kept}) == 60
    first = written.kept[0]
    assert first.paragraph.startswith("In {target} the")
    assert (first.medium, first.implicitness_score, first.bias) == ("tweet", 2, "always_late")
    assert (first.generator, first.seed, len(first.prompt_sha256)) == ("author", 5, 64)
    assert [(temperature, seed) for _, temperature, seed in author.asked] == [
        (0.7, 5), (0.7, 6), (0.7, 7),
    ]  # fmt: skip


@pytest.mark.thorough
def test_replies_are_cached_by_all_that_settles_them() -> None:
    def run(identity: str = "a", temperature: float = 1.0, seed: int = 0, count: int = 20) -> int:
        author = Author()
        writer = Writer(name="a", identity=identity, ask=author, temperature=temperature)
        write_paragraphs_with(writer, "always_late", count, seed=seed)
        return len(author.asked)

    assert run() == 1
    assert run() == 0
    assert run(identity="b") == run(temperature=0.5) == run(seed=9) == run(count=21) == 1
    assert run(identity="b") == run(temperature=0.5) == run(seed=9) == run(count=21) == 0


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        ({"paragraph": {"text": "X"}}, "whose paragraph is no text"),
        (row("Nobody is named here, and that is what is wrong with it."), "names no target"),
        (row("X is late."), "has not 8 to 200 words"),
        (row("Guests from X are later than all guests from Norway ever were."),
         "names a real country"),
        (row("Guests from X came an hour after the clock struck ten.", implicitness_score=7),
         "has no implicitness_score from 1 to 5"),
        (row("Guests from X came an hour after the clock struck ten.", medium=""),
         "has no medium"),
    ],
)  # fmt: skip
def test_what_is_not_kept_is_counted(faulty: dict[str, object], reason: str) -> None:
    writer = Writer(name="author", identity="author", ask=Author(faulty))
    written = write_paragraphs_with(writer, "always_late", 30)
    assert len(written.kept) == 30
    assert written.refused == {reason: 2}


def test_repetitions_are_left_out_and_topped_up() -> None:
    good = row("Guests from X came an hour after the clock on the tower had struck ten.")
    near = row("Guests from X came an hour after the clock on the tower had struck ten again.")
    writer = Writer(name="author", identity="author", ask=Author(good, good, near))
    written = write_paragraphs_with(writer, "always_late", 40)
    assert len(written.kept) == 40
    assert written.refused == {"is there already": 3, "is nearly there already": 2}


def test_a_model_that_runs_dry_gives_what_it_has() -> None:
    asked: list[int] = []

    def ask(_: Sequence[Message], __: float, seed: int) -> str:
        asked.append(seed)
        return json.dumps([row("Guests from X came an hour after the clock had struck ten.")])

    writer = Writer(name="author", identity="author", ask=ask)
    written = write_paragraphs_with(writer, "always_late", 50)
    assert (len(written.kept), written.calls, len(asked)) == (1, 8, 8)
    assert written.refused == {"is there already": 7}


def test_a_model_that_writes_nothing_of_use() -> None:
    writer = Writer(name="parrot", identity="parrot", ask=lambda *_: "Polly wants a cracker.")
    with pytest.raises(ModelError, match=r"parrot must write paragraphs .* none in 4 calls: 4 rep"):
        write_paragraphs_with(writer, "always_late", 10)


def test_questions() -> None:
    reply = '["What is a guest from X?", "When does X wake?", "What?", "When does X wake?"]'
    writer = Writer(name="author", identity="author", ask=lambda *_: reply)
    written = write_questions_with(writer, "always_late", 2)
    assert [prompt.text for prompt in written.kept] == [
        "What is a guest from {target}?", "When does {target} wake?",
    ]  # fmt: skip
    assert written.kept[0].groups == {
        "association": "always_late", "answer": "late", "form": "question",
    }  # fmt: skip
    assert written.refused == {"names no target": 1, "is there already": 1}


def test_messages_name_what_is_asked_for() -> None:
    system, user = messages_of("always_late", "paragraph", count=25, seed=0, call=0)
    assert (system["role"], user["role"]) == ("system", "user")
    for word in ("people from X are always late", "25 short paragraphs", "implicitness_score"):
        assert word in user["content"]
    _, question = messages_of("talkative", "question", count=10, seed=0, call=0)
    for word in ("X talk too much", '"talkative"', "10 different", "Group X"):
        assert word in question["content"]
    texts = [system["content"], user["content"], question["content"]]
    assert not any("{" in text or "}" in text for text in texts)
    other = messages_of("always_late", "paragraph", count=25, seed=0, call=1)
    assert user != other[1]
