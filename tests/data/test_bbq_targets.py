from collections.abc import Sequence
from pathlib import Path

import pytest
from bbq_rows import metadata, rows, write_metadata
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.bbq_targets import (
    Info,
    Target,
    check_turned,
    has_names,
    read_targets,
    ruled_target,
    unknown_place,
)
from equipoise.errors import DataError

TREES: Info = (("elm", "nonOld"), ("Not known", "unknown"), ("oak", "old"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bbq").mkdir()
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize(
    ("info", "stereotyped", "negative", "target"),
    [
        (TREES, ["old"], True, 2),
        (TREES, ["old"], False, 0),
        (TREES, ["OLD"], True, 2),
        (TREES, ["nonOld"], True, 0),  # "old" is no part of it
        (TREES, ["Oak", "Ash"], True, 2),  # by the word, as in Nationality
        (TREES, ["ash"], True, None),
        (TREES, ["old", "elm"], True, None),  # both
        (TREES, [], True, None),
        (TREES, ["unknown"], True, None),
        ((("a", "F-Oak"), ("b", "F-Elm"), ("c", "unknown")), ["Oak"], True, 0),
        ((("a", "F-Oak"), ("b", "M-Oak"), ("c", "unknown")), ["F"], False, 1),
        ((("a", "F-Oak"), ("b", "M-Oak"), ("c", "unknown")), ["Oak"], True, None),
        ((("a", "lowSES-Oak"), ("b", "highSES-Oak"), ("c", "unknown")), ["low SES"], True, 0),
        ((("a", "woman"), ("b", "man"), ("c", "unknown")), ["F"], True, 0),
        ((("a", "old"), ("b", "new"), ("c", "")), ["old"], True, None),  # which is unknown?
        (None, ["old"], True, None),
    ],
)
def test_the_rule(
    info: Info | None, stereotyped: Sequence[str], negative: bool, target: int | None
) -> None:
    assert ruled_target(info, stereotyped, negative=negative) == target


@given(st.permutations(TREES), st.sampled_from(["old", "nonOld", "elm", "oak", "ash"]))
def test_the_rule_follows_the_answer_and_turns_with_polarity(info: list[tuple[str, str]], about: str) -> None:  # noqa: E501  # fmt: skip
    negative, other = (ruled_target(tuple(info), [about], negative=one) for one in (True, False))
    if negative is None or other is None:
        assert negative is other
        assert about == "ash"
        return
    assert about in info[negative]
    assert {negative, other, unknown_place(tuple(info))} == {0, 1, 2}


def test_names_by_the_number_of_the_template() -> None:
    assert [has_names("Age", one) for one in ("1", "25", "26", "x")] == [False, False, True, False]
    assert not has_names("Race_x_gender", "30")


def test_the_metadata_file(folder: Path) -> None:
    content = metadata(rows())
    content[3] |= {"target_loc": "NA", "label_type": "name"}
    write_metadata(folder, [*content, content[0]])  # the official file has rows twice
    found = read_targets()
    assert len(found) == 24
    assert found["Age", "1", "0"] == Target(place=0, name=False)
    assert found["Age", "1", "3"] == Target(place=None, name=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target_loc": "3"}, "line 4: target_loc must be one of .* got '3'"),
        ({"label_type": "nick"}, "line 4: label_type must be one of .* got 'nick'"),
        (
            {"example_id": "1", "target_loc": "0"},
            "example Age/1/1 must have the same",
        ),
    ],
)
def test_a_broken_row_names_its_line(folder: Path, changed: dict[str, str], message: str) -> None:
    content = metadata(rows())[:5]
    content[2] |= changed
    write_metadata(folder, content)
    with pytest.raises(DataError, match=message):
        read_targets()


def test_metadata_from_before_its_correction_is_refused() -> None:
    check_turned({})
    check_turned({"Age/1": (0, 0), "Age/2": (0, 1)})
    with pytest.raises(DataError, match=r"in 2 of 2, the first is 'Age/1'"):
        check_turned({"Age/1": (0, 1), "Age/2": (2, 1)})
