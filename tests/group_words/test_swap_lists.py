"""Lists of words to swap, as files hold them: the built-in one, one's own, and faults."""

import json
from pathlib import Path

import pytest

from equipoise.errors import DataError, RecipeError
from equipoise.group_words.swap_lists import SwapLists, read_swap_lists
from equipoise.group_words.swap_rows import Row
from equipoise.group_words.swaps import swapped


def read(tmp_path: Path, content: object) -> SwapLists:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return read_swap_lists(str(file))


def axis(**given: object) -> object:
    return {"axes": {"pets": {"groups": ["cats", "dogs"], "rows": [["cat", "dog"]]} | given}}


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    rows = [["cat", ["dog", "hound"]], {"words": ["Tom", "Rex"], "exact": True}]
    lists = read(tmp_path, axis(rows=rows))
    assert (lists.use.name, lists.use.verified) == ("own.json", False)
    assert lists.axes["pets"].rows[1] == Row(words=(("Tom",), ("Rex",)), exact=True)
    text = swapped("Tom is a cat, not a hound named TOM.", lists.chosen("pets"), seed=0)
    assert text == "Rex is a dog, not a cat named TOM."


def test_the_built_in_lists_are_recorded() -> None:
    use = read_swap_lists().use
    assert (use.name, use.verified, use.licence) == ("swaps.json", True, "Apache-2.0 (own list)")
    assert len(use.sha256) == 64


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match=r"no axis 'gendr'; did you mean 'gender'\?"):
        read_swap_lists().chosen("gendr")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], r"own\.json must be an object with 'axes'.*got \[\]"),
        ({"axes": {}}, "must be an object with 'axes'"),
        ({"axes": {"pets": {"rows": []}}}, r"axis 'pets': must have groups and rows.*\['rows'\]"),
        (axis(colour=1), "may have unchanged and persons, got"),
        (axis(rows=[]), r"rows must be a list of rows, got \[\]"),
        (axis(groups="cats"), "groups must be a list of words, got 'cats'"),
        (axis(rows=["cat"]), "row 1: must be a list of words, or an object.*got 'cat'"),
        (axis(rows=[["cat", 3]]), "row 1 must be a list of words, got 3"),
        (axis(rows=[["cat", ""]]), "must begin and end with a letter.*got ''"),
        (axis(rows=[["cat", []]]), "row 1: a group must have a word"),
        (axis(rows=[["cat", "dog"], ["Cat", "wolf"]]), "row 2: a word must be listed once"),
        (axis(rows=[{"words": ["cat", "dog"], "use": "verb"}]), "use must be one of.*got 'verb'"),
        (axis(rows=[{"word": ["cat", "dog"]}]), "row 1: must be a list of words"),
        (axis(unchanged=[1]), r"unchanged must be a list of words, got \[1\]"),
    ],
)
def test_files_that_cannot_be_lists(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json' must be a JSON file, got none there"):
        read_swap_lists(str(tmp_path / "none.json"))
    (tmp_path / "cut.json").write_text('{"axes": ')
    with pytest.raises(DataError, match=r"cut\.json, line 1, column \d+: must be JSON"):
        read_swap_lists(str(tmp_path / "cut.json"))
