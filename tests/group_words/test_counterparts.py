"""Lists of words for groups: which are refused, and that they survive being written down."""

from typing import Any

import pytest

from equipoise.errors import DataError
from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.wordings import counterparts

LISTS = Counterparts.parsed(counterparts())
PAIR = {"female": [["woman", "women"]], "male": [["man", "men"]]}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, "must have an axis, got 0"),
        ({"gender": {"female": [["woman"]]}}, "two groups or more, got 1"),
        ({"gender": {"female": [], "male": []}}, "must have members, got 0"),
        ({"gender": PAIR | {"male": [["man"]]}}, "as many members and forms each"),
        ({"gender": PAIR | {"male": [["man", ""]]}}, "must not be empty .* got ''"),
        ({"gender": PAIR | {"male": [["man", " men"]]}}, "got ' men'"),
        ({"gender": PAIR | {"male": [["man", "old  men"]]}}, "got 'old  men'"),
        ({"gender": PAIR | {"male": [["man", "woman"]]}}, "listed once, .* got 'woman' in"),
        ({"gender": PAIR, "kin": PAIR}, "listed once, .* got 'woman' in 'gender.female'"),
        ({"gender": PAIR | {"male": [["man", "Woman"]]}}, "'woman' in .* and 'Woman' in"),
        ({"a": PAIR, "b": {"x": [["Women"]], "y": [["z"]]}}, "'women' in .* and 'Women' in"),
        ({"gender": PAIR | {"male": [[]]}}, r"a list of forms, got \[\]"),
        ({"gender": PAIR | {"male": "man"}}, "list of members, got 'man'"),
        ({"gender": ["man"]}, "must map groups"),
        (["man"], "must map axes"),
    ],
)
def test_lists_that_cannot_be_used(lists: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Counterparts.parsed(lists)


@pytest.mark.parametrize("empty", ["", "-", " - ", "--", "=", "=-", "+", "+ "])
def test_a_word_without_a_letter_is_refused(empty: str) -> None:
    with pytest.raises(DataError, match=r"must not be empty .* got '.*'; correct it"):
        Counterparts.parsed({"age": {"old": [empty], "young": ["young"]}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["African American"], ["African-American"]),
        (["African American", "x"], ["y", "African-American"]),
        (["MAN"], ["man"]),
        (["man"], ["MAN"]),
        (["man", "Man"], ["x", "y"]),
        (["+man"], ["Man"]),
        (["man", "=x", "=X"], ["a", "b", "c"]),
    ],
)
def test_words_that_differ_in_case_or_hyphens_alone_are_refused(
    one: list[str], other: list[str]
) -> None:
    with pytest.raises(DataError, match=r"must be listed once, however it is written, got .*; rem"):
        Counterparts.parsed({"race": {"a": one, "b": other}})  # type: ignore[dict-item]


def test_a_second_reading_is_no_second_entry() -> None:
    both = {"a": ["her", "=her", "x"], "b": ["his", "him", "=his"]}
    assert Counterparts.parsed({"gender": both}).axes  # type: ignore[dict-item]
    other = {"a": ["man"], "b": ["=man"]}
    assert Counterparts.parsed({"gender": other}).axes  # type: ignore[dict-item]


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"the axis 'age', have \['gender'"):
        LISTS.only(["age"])


def test_lists_survive_json() -> None:
    assert Counterparts.parsed(LISTS.as_json) == LISTS
    assert len(LISTS.sha256) == 64
    assert LISTS.sha256 != LISTS.only(["gender"]).sha256
