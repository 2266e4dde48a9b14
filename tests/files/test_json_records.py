"""Findings as JSON and back: nothing is lost, and what cannot be read is named."""

import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from equipoise.conclusions import (
    Change,
    ChangedExample,
    Claim,
    Finding,
    Ranking,
    RankStability,
)
from equipoise.errors import StoreError
from equipoise.files.json_records import read_record, record_json, write_record
from equipoise.records import Margin

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
WORDS = st.one_of(st.text(max_size=8), st.sampled_from(["nan", "inf", "-inf", "null", "1"]))
CLAIMS = st.builds(
    Claim,
    margin=st.builds(Margin, size=NUMBERS, relative=st.booleans()),
    value=NUMBERS,
    low=NUMBERS,
    high=NUMBERS,
    p=NUMBERS,
)
CHANGES = st.builds(
    Change,
    before=NUMBERS,
    difference=NUMBERS,
    p=NUMBERS,
    ideal=st.none() | NUMBERS,
    unit=WORDS,
    group=st.dictionaries(WORDS, WORDS, max_size=2),
    claim=st.none() | CLAIMS,
)
RANKINGS = st.builds(Ranking, scores=st.lists(NUMBERS, max_size=3).map(tuple), locator=WORDS)
STABILITIES = st.builds(
    RankStability,
    rankings=st.lists(RANKINGS, max_size=2).map(tuple),
    spearman=NUMBERS,
    first=st.dictionaries(st.integers(0, 99), st.integers(0, 99), max_size=3),
    reason=st.none() | WORDS,
)
EXAMPLES = st.builds(
    ChangedExample,
    groups=st.dictionaries(WORDS, WORDS, max_size=2),
    texts=st.lists(WORDS, max_size=2).map(tuple),
    before=NUMBERS,
    wrote_before=st.none() | WORDS,
)


def alike(first: Any, second: Any) -> bool:
    """Equal in value and type, nan to nan and -0.0 to -0.0."""
    if isinstance(first, float):
        return isinstance(second, float) and repr(first) == repr(second)
    if is_dataclass(first):
        return type(first) is type(second) and all(
            alike(getattr(first, field.name), getattr(second, field.name))
            for field in fields(first)
        )
    if isinstance(first, tuple):
        return isinstance(second, tuple) and [*map(alike, first, second)] == [True] * len(first)
    return type(first) is type(second) and bool(first == second)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents") / "one.json"


@pytest.mark.thorough
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.one_of(CHANGES, STABILITIES, EXAMPLES))
def test_record_round_trip(file: Path, value: Any) -> None:
    write_record(file, value)
    assert alike(read_record(file, TypeAdapter(type(value))), value)
    text = file.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_tuple_of_records_round_trip(file: Path) -> None:
    result = (Finding(check="c", level="ok", where="w", text="ä"),) * 2
    write_record(file, result)
    assert read_record(file, TypeAdapter(tuple[Finding, ...])) == result
    write_record(file, ())
    assert file.read_text() == "[]\n"


def test_nonfinite_numbers_are_strings() -> None:
    margin = Margin(size=math.nan)
    assert json.loads(record_json(margin)) == {"size": "NaN", "relative": False}
    numbers = (math.inf, -math.inf, np.float64("nan"), 0.1, None, True)
    texts = ["Infinity", "-Infinity", "NaN", 0.1, None, True]
    assert json.loads(record_json(numbers)) == texts
    assert json.loads(record_json({1: frozenset({"a"})})) == {"1": ["a"]}


@pytest.mark.parametrize("value", [object(), Margin])
def test_other_things_are_no_record(value: object) -> None:
    with pytest.raises(ValueError, match="Unable to serialize"):
        record_json(value)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.json must be there, it is missing; run"):
        read_record(tmp_path / "none.json", TypeAdapter(Margin))


@pytest.mark.parametrize(
    "content", [b"", b'{"size": 1', b"[]", b'{"size": "many"}', b'{"relative": true}', b"\xff"]
)
def test_unreadable_file_is_a_one_line_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cut.json").write_bytes(content)
    with pytest.raises(StoreError) as caught:
        read_record(tmp_path / "cut.json", TypeAdapter(Margin))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'cut.json'} must be readable, got: ")
    assert message.endswith("; run the recipe again, which redoes this step")
    assert "\n" not in message
