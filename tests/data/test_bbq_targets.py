"""Which answer of a BBQ question shows the bias, by the words and groups of its answers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.bbq import ruled_target

TREES = [("elm", "nonOld"), ("Not known", "unknown"), ("oak", "old")]


@pytest.mark.parametrize(
    ("info", "unknown", "stereotyped", "negative", "target"),
    [
        (TREES, 1, ["old"], True, 2),
        (TREES, 1, ["old"], False, 0),
        (TREES, 1, ["OLD"], True, 2),
        (TREES, 1, ["nonOld"], True, 0),  # "old" is no part of it
        (TREES, 1, ["Oak", "Ash"], True, 2),  # by the word, as in Nationality
        (TREES, 1, ["ash"], True, None),
        (TREES, 1, ["old", "elm"], True, None),  # both
        (TREES, 1, [], True, None),
        (TREES, 1, ["unknown"], True, None),
        ([("a", "F-Oak"), ("b", "F-Elm"), ("c", "unknown")], 2, ["Oak"], True, 0),
        ([("a", "F-Oak"), ("b", "M-Oak"), ("c", "unknown")], 2, ["F"], False, 1),
        ([("a", "F-Oak"), ("b", "M-Oak"), ("c", "unknown")], 2, ["Oak"], True, None),
        ([("a", "lowSES-Oak"), ("b", "highSES-Oak"), ("c", "unknown")], 2, ["low SES"], True, 0),
        ([("a", "woman"), ("b", "man"), ("c", "unknown")], 2, ["F"], True, 0),
        ([("a", "old"), ("b", "new"), ("c", "")], None, ["old"], True, None),  # which is unknown?
    ],
)
def test_the_rule(
    info: Sequence[tuple[str, str]],
    unknown: int | None,
    stereotyped: Sequence[str],
    negative: bool,
    target: int | None,
) -> None:
    assert ruled_target(info, unknown, stereotyped, negative=negative) == target


@given(st.permutations(TREES), st.sampled_from(["old", "nonOld", "elm", "oak"]))
def test_the_rule_follows_the_answer_and_turns_with_polarity(
    info: list[tuple[str, str]], about: str
) -> None:
    unknown = info.index(TREES[1])
    negative, other = (
        ruled_target(info, unknown, [about], negative=negative) for negative in (True, False)
    )
    assert negative is not None
    assert about in info[negative]
    assert {negative, other, unknown} == {0, 1, 2}
