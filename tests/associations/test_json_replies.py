"""Objects in replies: fenced, talked around, with commas too many, broken off."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.associations.json_replies import read_objects

ROWS = [{"question": "a, ]b"}, {"question": "c\\n"}]
PLAIN = '[{"question": "a"}, {"question": "b"}]'


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        (PLAIN, ["a", "b"]),
        (f"Sure! Here you are:\n```json\n{PLAIN}\n```\nEnjoy [them]!", ["a", "b"]),
        (f"<think>[{{\"question\": \"no\"}}]</think>{PLAIN}", ["a", "b"]),
        ("<think>[{\"question\": \"no\"}]", []),
        ('[{"question": "a",}, {"question": "b",},]', ["a", "b"]),
        ('[{"question": "a, ]"}, {"question": "b"},]', ["a, ]", "b"]),
        ('[{"question": "a"}, {"question": "b"}, {"quest', ["a", "b"]),
        ('{"question": "a"}\n{"question": "b"}', ["a", "b"]),
        ('{"questions": [{"question": "a"}, {"question": "b"}]}', ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ('{"questions": ["a", "b"], "note": "c"}', ["a", "b"]),
        ('[{"question": "two\nlines"}]', ["two\nlines"]),
        ('[{"text": "a"}]', []),
        ("I cannot do that.", []),
        ("", []),
        ("[" * 5000, []),
        ('{"a":' * 3000, []),
    ],
)  # fmt: skip
def test_read_objects(reply: str, texts: list[str]) -> None:
    assert [row["question"] for row in read_objects(reply, "question")] == texts


@pytest.mark.thorough
@given(st.lists(st.fixed_dictionaries({"question": st.text(), "n": st.integers()}), min_size=1))
def test_what_is_json_is_read_as_it_is(rows: list[dict[str, object]]) -> None:
    assert read_objects(json.dumps(rows), "question") == rows
    assert read_objects(f"Here:\n{json.dumps(rows, indent=1)}", "question") == rows


@pytest.mark.thorough
@given(st.text(alphabet='[]{}",:aquestion \\', max_size=60))
def test_no_text_is_an_error(reply: str) -> None:
    for row in read_objects(reply, "question"):
        assert "question" in row
