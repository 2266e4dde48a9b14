"""The target of a BBQ question by the words and groups of its answers alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.bbq_targets import NamedPeople, ruled_targets

TREES = [("elm", "nonOld"), ("Not known", "unknown"), ("oak", "old")]
Info = Sequence[tuple[str, str]]


def named(
    info: Info,
    stereotyped: Sequence[str],
    *,
    negative: bool = True,
    unknown: int | None = None,
    texts: Sequence[str] = ("", "", ""),
    template: str = "1",
) -> NamedPeople:
    marked = [place for place, (_, group) in enumerate(info) if group == "unknown"]
    return NamedPeople(
        template=template,
        negative=negative,
        info=tuple(info),
        texts=tuple(texts),
        unknown=marked[0] if marked else unknown,
        stereotyped=tuple(stereotyped),
    )


def pair(first: str, second: str) -> Info:
    """Two groups, whose words say nothing, and "unknown" at the end."""
    return [("Ash", first), ("Fir", second), ("c", "unknown")]


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
        (pair("F-Oak", "F-Elm"), ["Oak"], True, 0),
        (pair("F-Oak", "M-Oak"), ["F"], False, 1),
        (pair("F-Oak", "M-Oak"), ["Oak"], True, None),  # no other row tells which
        (pair("lowSES-Oak", "highSES-Oak"), ["low SES"], True, 0),
        (pair("lowSES-F-Oak", "highSES-F-Elm"), ["Elm"], True, 1),
        (pair("woman", "man"), ["F"], True, 0),
        (pair("boy", "man"), ["F"], True, None),  # Gender_identity: nobody is
        (pair("nonTrans_F", "trans_M"), ["Transgender women", "trans"], True, 1),
        (pair("nonTrans", "trans"), ["trans"], False, 0),
        (pair("M-Red Oak", "M-Oak"), ["Black", "Red Oak"], True, 0),
    ],
)
def test_target_of_a_row_alone(
    info: Info, stereotyped: Sequence[str], negative: bool, target: int | None
) -> None:
    assert ruled_targets([named(info, stereotyped, negative=negative)]) == [target]


def test_no_target_when_nobody_is_known_to_be_unknown() -> None:
    silent = [("a", "old"), ("b", "new"), ("c", "")]
    assert ruled_targets([named(silent, ["old"])]) == [None]
    assert ruled_targets([named(silent, ["old"], unknown=2)]) == [0]


@pytest.mark.parametrize(
    ("first", "other"), [("F-", "M-"), ("lowSES-", "highSES-"), ("highSES-M-", "lowSES-M-")]
)
def test_both_of_the_race_are_told_apart_by_the_rest_of_the_template(
    first: str, other: str
) -> None:
    same = named(pair(f"{other}Oak", f"{first}Oak"), ["Oak"])
    positive = named(pair(f"{other}Oak", f"{first}Oak"), ["Oak"], negative=False)
    clear = [named(pair(f"{first}Oak", f"{sex}Elm"), ["Oak"]) for sex in (first, other)]
    assert ruled_targets([same, positive, *clear]) == [1, 0, 0, 0]
    elsewhere = named(pair(f"{other}Oak", f"{first}Oak"), ["Oak"], template="2")
    differing = named(pair(f"{other}Oak", f"{other}Elm"), ["Oak"])
    assert ruled_targets([elsewhere, *clear]) == [None, 0, 0]
    assert ruled_targets([same, *clear, differing]) == [None, 0, 0, 0]


def test_a_silent_answer_is_read_by_its_text() -> None:
    texts = ("The Latina woman", "The Latino man", "Not known")
    info = [("", ""), ("Latino man", "M-Latino"), ("Not known", "unknown")]
    other = named(pair("F-Latino", "M-Elm"), ["Latino"])
    assert ruled_targets([named(info, ["Latino"], texts=texts), other]) == [0, 0]
    alone = [("", ""), ("Elm man", "M-Elm"), ("Not known", "unknown")]
    assert ruled_targets([named(alone, ["Latino"], texts=texts)]) == [0]
    assert ruled_targets([named(alone, ["Latino"], texts=("Somebody", "", ""))]) == [None]


@given(st.permutations(TREES), st.sampled_from(["old", "nonOld", "elm", "oak"]))
def test_target_flips_with_polarity(info: list[tuple[str, str]], about: str) -> None:
    rows = [named(info, [about], negative=negative) for negative in (True, False)]
    negative, other = ruled_targets(rows)
    assert negative is not None
    assert about in info[negative]
    assert {negative, other, info.index(TREES[1])} == {0, 1, 2}
