"""GSM8K's files, and the numbers that are read from what a model wrote."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data import gsm8k
from equipoise.data.gsm8k import last_number, marked_number, read_problems, read_shots
from equipoise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "gsm8k").mkdir()
    return tmp_path / "gsm8k"


def put(file: Path, *rows: object) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 2+3=5\n#### 5", "5"),
        ("#### 1,450,000 apples", "1450000"),
        ("####-10", "-10"),
        ("#### $-10", "-10"),
        ("#### $18.00.", "18.00"),
        ("#### 4 or #### 5", "4"),
        ("the answer is 5", None),
        ("#### none", None),
        ("#### 1.2.3", None),
        ("#### ,", None),
    ],
)
def test_marked_number(text: str, number: str | None) -> None:
    assert marked_number(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 and then 1,200.", "1200"),
        ("it costs $3.50, that is all.", "3.50"),
        ("it is -4", "-4"),
        ("10-3", "3"),
        ("(2+5)-3", "3"),
        ("a $-.5 b", "-0.5"),
        ("costs -$7", "-7"),
        ("nothing", None),
        ("", None),
        ("...,", None),
    ],
)
def test_last_number(text: str, number: str | None) -> None:
    assert last_number(text) == (None if number is None else Decimal(number))


@pytest.mark.thorough
@given(st.integers(-(10**9), 10**9), st.sampled_from(["{}", "{:,}"]))
def test_integers_round_trip(number: int, form: str) -> None:
    text = form.format(number)
    assert marked_number(f"so #### {text}\n") == number
    assert last_number(f"1 and 2 make {text}.") == number


@pytest.mark.usefixtures("data_folder")
def test_official_file() -> None:
    problems = read_problems(gsm8k.TEST)
    assert len({problem.id for problem in problems}) == len(problems) == 1319
    assert gsm8k.TEST.use().verified
    assert not gsm8k.shots_at_hand()
    assert sum(last_number(problem.answer) == problem.number for problem in problems) == 1319


def test_shots_are_fixed(folder: Path) -> None:
    rows = [{"question": f"{n} and {n}?", "answer": f"#### {2 * n}"} for n in range(9)]
    put(folder / "test.jsonl", rows[0])
    assert not gsm8k.shots_at_hand()
    put(folder / "train.jsonl", *rows)
    assert gsm8k.shots_at_hand()
    three, five = read_shots(3), read_shots(5)
    assert three == five[:3] == read_shots(3)
    assert [problem.id for problem in five] != sorted(problem.id for problem in five)
    with pytest.raises(DataError, match=r"train\.jsonl must have 10 problems to show, got 9"):
        read_shots(10)


def test_zero_shots_read_no_file(folder: Path) -> None:
    (folder / "train.jsonl").write_text("no json")
    assert read_shots(0) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a"], "must be an object, got a list"),
        ({"question": "quillwort?"}, r"must have a key 'answer', got \['question'\]"),
        ({"question": " ", "answer": "#### 3"}, "question must be .*got a blank text"),
        ({"question": "quillwort?", "answer": "3"}, "must end in '#### '.*got 0 times"),
        ({"question": "quillwort?", "answer": "#### three"}, "must end in '#### '.*got 1 times"),
    ],
)
def test_invalid_rows(folder: Path, row: object, message: str) -> None:
    good = {"question": "1 and 1?", "answer": "#### 2"}
    put(folder / "test.jsonl", good, row)
    with pytest.raises(DataError, match=message) as caught:
        read_problems(gsm8k.TEST)
    assert "gsm8k/test.jsonl, line 2" in str(caught.value)
    assert "quillwort" not in str(caught.value)
